"""What comes again, from and to Autopilot's own: repeats of a slow handler's message, and restarts on either side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import Message
from tests.autopilot_net.interop.autopilot_lab import Mixed
from tests.conftest import eventually
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.autopilot


@pytest.fixture
def lab(autopilot: str) -> Iterator[Mixed]:
    """A lab of the test's own."""
    mixed = Mixed(autopilot)
    yield mixed
    mixed.close()


class Slow:
    """A listen that is done when it is told to be."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.may_end = threading.Event()

    def __call__(self, message: Message) -> None:
        """Be called with a message."""
        self.values.append(message.value)
        assert self.may_end.wait(DEADLINE_S)


# -- repeats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["top", "mid"], ids=["next to it", "through a station of ours"])
def test_what_their_station_repeats_is_handled_once_and_nowhere_else(lab: Mixed, between: str) -> None:
    lab.station("o", "top")
    if between == "mid":
        lab.station("o", "mid", "top")
    lab.station("t", "low", between)
    slow = lab.nodes["_top"].listens["NOTE"] = Slow()
    sent = lab.send("low", "top", repeat=True)
    eventually(lambda: not lab.stations["low"].outbox())  # it has sent it as often as it does, and given it up
    assert not sent.is_confirmed()
    slow.may_end.set()
    eventually(sent.is_confirmed)
    after = lab.send("low", "top", repeat=True)
    eventually(after.is_confirmed)
    assert slow.values == [sent.value, after.value]
    assert between == "top" or lab.values("mid") == ["low is here"]


# -- restarts ----------------------------------------------------------------------------------------------------------


def test_a_restarted_station_of_theirs_whose_ids_begin_again_is_heard_again(lab: Mixed) -> None:
    lab.station("o", "top")
    lab.station("t", "low", "top")
    first = lab.send("low", "top", repeat=True)
    eventually(first.is_confirmed)
    lab.restart("low")
    second = lab.send("low", "top", repeat=True)
    eventually(second.is_confirmed)
    assert first.id == second.id
    assert lab.values("top") == ["low is here", first.value, "low is here", second.value]


def test_a_restarted_node_of_theirs_whose_ids_begin_again_is_heard_again(lab: Mixed) -> None:
    lab.station("o", "top")
    sent = []
    for _ in range(2):
        lab.node("t", "n", "top")
        sent.append(lab.send("n", "top", repeat=True))
        eventually(sent[-1].is_confirmed)
        lab.nodes["n"].kill()
    assert sent[0].id == sent[1].id
    assert lab.values("top") == ["n is here", sent[0].value, "n is here", sent[1].value]


def test_what_is_for_one_of_theirs_waits_for_it_and_is_handled_once(lab: Mixed) -> None:
    lab.station("o", "top")
    lab.station("t", "low", "top")
    lab.node("o", "n", "top")
    before = lab.send("top", "low", repeat=True)
    eventually(before.is_confirmed)
    lab.stations["low"].kill()
    waiting = lab.send("top", "low", repeat=True)
    fence = lab.send("n", "top", repeat=True)
    eventually(fence.is_confirmed)
    assert not waiting.is_confirmed()
    lab.start_again("low")
    eventually(waiting.is_confirmed)
    assert lab.values("low").count(waiting.value) == 1


def test_a_restarted_station_of_ours_goes_on_with_theirs(lab: Mixed) -> None:
    lab.station("t", "top")
    lab.station("o", "low", "top")
    first = lab.send("low", "top", repeat=True)
    eventually(first.is_confirmed)
    lab.ours.nodes.pop("_low").release()
    lab.ours.stations.pop("low").release()
    lab.station("o", "low", "top")
    up = lab.send("low", "top", repeat=True)
    eventually(up.is_confirmed)  # it is there, before theirs, which never repeats, sends to it
    down = lab.send("top", "low", repeat=True)
    eventually(down.is_confirmed)
    assert lab.values("top") == [first.value, up.value]
    assert lab.values("low") == [down.value]
