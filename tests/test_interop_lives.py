"""What comes again, from and to Autopilot's own: repeats of a slow handler's message, and restarts on either side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import Message
from tests.conftest import eventually
from tests.labs import DEADLINE_S
from tests.theirs import Mixed

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


Slow.__call__.__annotations__["message"] = Message


# -- repeats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [[], ["mid"]], ids=["next to it", "through a station of ours"])
def test_what_their_station_repeats_is_handled_once(lab: Mixed, between: list[str]) -> None:
    lab.station("o", "top")
    slow = lab.nodes["_top"].listens["NOTE"] = Slow()
    parent = "top"
    for parent in between:
        lab.station("o", parent, "top")
    lab.station("t", "low", parent)
    low = lab.stations["low"]
    low.tell("push", to="top", key="NOTE", value="slow")
    eventually(lambda: slow.values)
    assert low.outbox()
    eventually(lambda: lab.nodes["_top"] and False)
