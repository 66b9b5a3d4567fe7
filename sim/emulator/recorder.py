"""What an emulated program writes down of what comes in, and, at the terminal, tells whoever runs the rehearsal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autopilot_net import Ledger, Message
from autopilot_net.roles.terminal import DISCONNECTED
from sim.emulator.sender import ADDED, Speaker, expanded
from sim.scenario.payloads import fingerprint

__all__ = ["Hearing"]


class Hearing:
    """The listens of a program, as far as nothing is done but to write down what came."""

    def __init__(self, speaker: Speaker, tell: Callable[..., Any]) -> None:
        self.speaker = speaker
        self._tell = tell
        self._ledger = Ledger()
        self._recorded: set[str] = set()

    def on_item(self, message: Message) -> None:
        """An item of a session's stream has come to where it was meant to go."""
        value = expanded(message.value) if isinstance(message.value, dict) else {"value": expanded(message.value)}
        stream, n = value.get("stream"), value.get("n")
        if not (isinstance(stream, str) and isinstance(n, int)):
            stream, n = "", -1  # an item of the lab's own program, whose form is its own
        own = {name: item for name, item in value.items() if name not in ADDED}
        self.speaker.heard(message, "item_got", stream=stream, n=n, print=fingerprint(own))

    def listens(self) -> dict[str, Callable[[Message], Any]]:
        """Those of the terminal's program."""
        return {
            "DATA": self._on_data,
            "CONTINUOUS": self.on_item,
            "STREAM_VIDEO": self.on_item,
            "HANDSHAKE": self._on_handshake,
            "STATE": self._on_state,
            "COHERE": self._on_cohere,
            "ERROR": self._on_error,
        }

    def _on_data(self, message: Message) -> None:
        value = message.value if isinstance(message.value, dict) else {}
        if "stream" in value or value.get("continuous"):
            self.on_item(message)
            return
        first = str((message.get("origin") or {}).get("id"))
        if first not in self._recorded:  # what comes again after a kill is marked, and is one trial
            self._recorded.add(first)
            self._ledger.record(first, message.value)
        self.speaker.heard(message, print=fingerprint(expanded(message.value)))

    def _on_handshake(self, message: Message) -> None:
        machine = str(message.value.get("pilot"))
        self.speaker.heard(message, "shook", value={"machine": machine, "way": message.get("way"), **message.value})
        is_program = (message.get("origin") or {}).get("sender") == "_" + machine
        self._tell("shook", machine, is_program)

    def _on_state(self, message: Message) -> None:
        if message.value["state"] == DISCONNECTED:
            return  # which no machine says of itself
        self.speaker.heard(message, "state", value=message.value)
        if "clock" in message:
            self.speaker.heard(message, "clock", value={"machine": message.value["pilot"], **message.clock})

    def _on_cohere(self, message: Message) -> None:
        theirs = message.value
        ours = self._ledger.answer(theirs)
        agrees = all(theirs[name] == ours[name] for name in ("count", "digest"))
        self.speaker.heard(message, "cohere", value={**theirs, "agrees": agrees, "here": ours["count"]})

    def _on_error(self, message: Message) -> None:
        self.speaker.heard(message, "exception", value=message.value)
        self._tell("exception", message.value)
