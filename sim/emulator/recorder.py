"""The listens of an emulated program that only journal what arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autopilot_net import Message
from autopilot_net.roles.terminal import DISCONNECTED
from sim.emulator.copies import Copies
from sim.emulator.sender import ADDED, Sender, expanded
from sim.emulator.signals import part_told
from sim.emulator.strangers import twin_told
from sim.lab.names import machine_of
from sim.scenario.payloads import fingerprint

__all__ = ["Recorder"]

LABELS = ("pilot", "child", "subject")  # whose item it is: in its value, or beside it where it came alone


class Recorder:
    """Journals what arrives at a program. `tell` reports handshakes and exceptions to whoever runs the rehearsal.

    `ask` asks the terminal who is there, which is done whenever a machine is told to be gone. It must not wait for a
    confirmation: machines also leave as the lab ends, and then nobody is there to confirm anything.
    """

    def __init__(self, sender: Sender, tell: Callable[..., Any], ask: Callable[[], Any] = lambda: None) -> None:
        self.sender = sender
        self._tell = tell
        self._ask = ask
        self._copies = Copies()

    def listens(self) -> dict[str, Callable[[Message], Any]]:
        """The listens of the terminal's program."""
        return {
            "DATA": self._on_data,
            "CONTINUOUS": self.on_item,
            "STREAM_VIDEO": self.on_item,
            "HANDSHAKE": self._on_handshake,
            "STATE": self._on_state,
            "MACHINES": self._on_table,
            "COHERE": self._on_cohere,
            "ERROR": self._on_error,
        }

    def on_item(self, message: Message) -> None:
        """An item of a session's stream has reached its recipient."""
        value = expanded(message.value) if isinstance(message.value, dict) else {"value": expanded(message.value)}
        stream, n = value.get("stream"), value.get("n")
        if not (isinstance(stream, str) and isinstance(n, int)):
            stream, n = "", -1  # an item of the lab's own program, which has a form of its own
        own = {name: item for name, item in value.items() if name not in ADDED}
        labels = {name: value.get(name, message.get(name)) for name in LABELS}
        self.sender.heard(message, "item_got", stream=stream, n=n, print=fingerprint(own), value=labels)

    def _on_data(self, message: Message) -> None:
        value = message.value if isinstance(message.value, dict) else {}
        if "stream" in value or value.get("continuous"):
            self.on_item(message)
            return
        origin = message.get("origin") or {}
        self._copies.add(machine_of(str(origin.get("sender"))), str(origin.get("id")), message.value)
        self.sender.heard(message, print=fingerprint(expanded(message.value)))

    def _on_handshake(self, message: Message) -> None:
        machine = str(message.value.get("pilot"))
        self.sender.heard(message, "shook", value={"machine": machine, "way": message.get("way"), **message.value})
        is_program = (message.get("origin") or {}).get("sender") == "_" + machine
        self._tell("shook", machine, is_program)
        self._note_clock(message)

    def _on_state(self, message: Message) -> None:
        if not isinstance(message.value, dict):
            self.sender.heard(message, "pong")  # the terminal's own answer to a PING
            return
        if message.value["state"] == DISCONNECTED:
            self.sender.heard(message, "gone", value={"machine": message.value["pilot"]})
            self._ask()
            return  # the station sends this, not the machine
        self.sender.heard(message, "state", value=message.value)
        self._note_clock(message)

    def _on_table(self, message: Message) -> None:
        rows = message.value.items() if isinstance(message.value, dict) else ()
        table = {name: {"online": row.get("online"), "state": row.get("state")} for name, row in rows}
        self.sender.heard(message, "table", value=table)

    def _note_clock(self, message: Message) -> None:
        if "clock" in message:
            self.sender.heard(message, "clock", value={"machine": message.value["pilot"], **message.clock})

    def _on_cohere(self, message: Message) -> None:
        proof = message.value
        self.sender.heard(message, "cohere", value={**proof, **self._copies.judge(str(proof.get("pilot")), proof)})

    def _on_error(self, message: Message) -> None:
        part = part_told(message.value)
        if part:
            self.sender.heard(message, "raised", value={**message.value, "part": part})
            self._tell("raised", message.value.get("machine"), part)
            return
        twin = twin_told(message.value)
        if twin:
            self.sender.heard(message, "twin told", value=message.value)
            self._tell("twin told", twin)
            return
        self.sender.heard(message, "exception", value=message.value)
        self._tell("exception", message.value)
