"""The program of an emulated machine, apart from any world."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from autopilot_net import Delivery, Message
from sim.emulator.program import EmulatedProgram
from sim.emulator.sender import Sender
from sim.lab.topology import Machine, Topology
from tests.patience import DEADLINE_S
from tests.sim.emulator.made_up_lab import Journal

NOTES = {"state": "RUNNING", "session": 0, "facts": {"session": 0, "subject": "m"}, "trial": 3, "numbers": {}}


class JournalWriter(Journal):
    """What was written down by a second life."""

    life = 1


class Participant:
    """A node that delivers everything at once."""

    ip = "127.0.0.1"
    clock_offset = None

    def __init__(self, id: str) -> None:
        self.id = id
        self.closing = threading.Event()
        self.sent: list[Message] = []

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = True) -> Message:
        del repeat
        return Message(id=f"{self.id}_{len(self.sent)}", to=to, sender=self.id, key=key, value=value)

    def send(
        self, to: Any = None, *, msg: Message | None = None, repeat: bool = True, expires_after: float | None = None
    ) -> Delivery:
        del to, repeat, expires_after
        assert msg is not None
        self.sent.append(msg)
        delivery = Delivery(msg.id, msg.to)
        delivery.settle(confirmed=True)
        return delivery


def test_an_order_during_a_restart_waits_until_the_program_has_resumed() -> None:
    """It runs already: else the order would begin its session anew, and give its items the numbers they had."""
    topology = Topology(
        name="l", path="l.yaml", machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T"))
    )
    participant, journal = Participant("_rig_1"), JournalWriter()
    sender = Sender(journal, lambda *_: None)
    sender.add(participant)
    kept: list[Any] = []
    memory: Any = SimpleNamespace(load=lambda: NOTES, keep=kept.append)
    program = EmulatedProgram(
        topology,
        topology.machine("rig_1"),
        seed=1,
        sender=sender,
        memory=memory,
        clock=lambda: 0.0,
        tell=lambda *_: None,
    )
    start = Message(id="T_1", to="_rig_1", sender="rig_1", key="START", value={"session": 0, "subject": "m"})
    handled: list[Any] = []
    handler = threading.Thread(target=lambda: handled.append(program.on_start(start)), daemon=True)
    handler.start()
    node: Any = participant  # as much of one as a rig without streams needs
    program.begin(node, node)
    handler.join(DEADLINE_S)
    assert handled == [[]]
    assert [message.value for message in participant.sent if message.key == "STATE"] == ["RUNNING"]
    assert not kept, "the session is the one it was"
