"""Arrivals of storms are counted, and what is sent is journalled until it is settled."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import numpy as np
import pytest

from autopilot_net import ClockOffset, Delivery, Message
from sim.emulator.sender import ArrivalCounter, Sender, expanded
from sim.scenario import Crash, Op, Send


class Journal:
    """A journal in memory."""

    life = 3

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def now(self) -> int:
        return 5

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append((what, facts))


class Node:
    """A node whose deliveries the test settles."""

    clock_offset = ClockOffset(2.0, 0.25)

    def __init__(self, id: str) -> None:
        self.id = id
        self.closing = threading.Event()
        self.deliveries: list[Delivery] = []

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = True) -> Message:
        del repeat
        to = to if isinstance(to, str) else to[-1]
        return Message(id=f"{self.id}_{len(self.deliveries)}", to=to, sender=self.id, key=key, value=value)

    def send(
        self, to: Any = None, *, msg: Message | None = None, repeat: bool = True, expires_after: float | None = None
    ) -> Delivery:
        del to, repeat, expires_after
        assert msg is not None
        self.deliveries.append(Delivery(msg.id, str(msg.to)))
        return self.deliveries[-1]


@pytest.mark.parametrize("announced_first", [True, False])
def test_reached_is_told_once_when_as_many_have_arrived_as_were_announced(announced_first: bool) -> None:
    told: list[tuple[Any, ...]] = []
    arrivals = ArrivalCounter(lambda *words: told.append(words))
    steps = [partial(arrivals.expect, 5, 2), partial(arrivals.came, 5), partial(arrivals.came, 5)]
    for step in steps if announced_first else [*steps[1:], steps[0]]:
        assert told == []
        step()
    arrivals.came(5)
    assert told == [("reached", 5)]


def test_a_storm_is_settled_when_each_of_its_confirmed_messages_is() -> None:
    journal, told, node = Journal(), list[tuple[Any, ...]](), Node("_rig_1")
    sender = Sender(journal, lambda *words: told.append(words))
    sender.add(node)
    ops: list[Op] = [Send(frm="_rig_1", to="T"), Send(frm="_rig_1", to="T", sought=False), Crash("_rig_1", "T")]
    sender.storm(4, list(enumerate(ops)))
    confirmed, _, expired = node.deliveries
    assert sender.open() == ["_rig_1_0.3", "_rig_1_2.3"], "the life is part of an id"
    confirmed.settle(confirmed=True)
    assert told == []
    expired.settle(confirmed=False, reason="nobody there")
    assert told == [("settled", 4)]
    settled = [(facts["id"], facts["value"]) for what, facts in journal.lines if what == "settled"]
    assert settled == [("_rig_1_0.3", "confirmed"), ("_rig_1_2.3", "nobody there")]
    assert sender.wait(0) == []


def test_what_is_given_up_because_its_node_closes_is_not_settled() -> None:
    journal, node = Journal(), Node("_rig_1")
    sender = Sender(journal, lambda *_: None)
    sender.add(node)
    delivery = sender.send("_rig_1", "T", "DATA", None)
    node.closing.set()
    delivery.settle(confirmed=False, reason="closed")
    assert [what for what, _ in journal.lines] == ["made"]
    assert sender.wait(0) == [delivery.id]


def test_arrays_are_decoded_wherever_they_are_in_a_value() -> None:
    value = Message(Message(id="n_1", to="T", sender="n", key="K", value={"a": [np.arange(3)]}).serialize()).value
    assert expanded(value)["a"][0].tolist() == [0, 1, 2]


def test_an_array_that_arrives_can_be_written_to() -> None:
    array = np.zeros((2, 3))
    assert expanded({"frame": array})["frame"] is array
    array.flags.writeable = False
    with pytest.raises(ValueError, match=r"an array of shape \(2, 3\) arrived that cannot be written to"):
        expanded([{"frame": array}])
