"""What the network can cause to be logged: quoted, cut, and only as many lines as somebody can read."""

from __future__ import annotations

import logging

import pytest

from autopilot_net.loglimit import KINDS, Drops, LogLimit, shown
from tests.conftest import eventually


def test_what_came_from_the_network_is_quoted_and_cut() -> None:
    assert shown("plain words") == "plain words"
    assert shown("\x1b[2J\r\n") == "\\x1b[2J\\r\\n"
    assert shown("x" * 1_000_000) == "x" * 80 + "…"
    assert shown(None) == "None"


class Clock:
    """Lines that were said, and a time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.drops = Drops("T", self.lines.append)

    def drop(self, count: int, reason: str, *recipients: str, peer: str = "rig_1") -> None:
        for recipient in recipients or ("",):
            self.drops.add("from", peer, reason, recipient, count, now=self.now)

    def later(self, seconds: float = 1.0) -> list[str]:
        self.now += seconds
        self.drops.speak(now=self.now)
        lines = list(self.lines)
        self.lines.clear()
        return lines


def test_a_line_says_how_many_it_stands_for_and_for_whom() -> None:
    clock = Clock()
    for number in range(5_000):
        clock.drop(1, "nobody of that id is known here", f"nosuch{min(number, 2) + 1}")
    assert clock.drops.due() is not None
    assert clock.later() == ["T dropped 5,000 from rig_1: nobody of that id is known here: 'nosuch1' and 2 more"]
    assert clock.drops.due() is None
    clock.drop(1, "nobody of that id is known here", *(f"n{number}" for number in range(10)))
    assert clock.later() == ["T dropped 10 from rig_1: nobody of that id is known here: 'n0' and 9 more"]
    clock.drop(2, "no room", peer="T")
    clock.drop(1, "odd", "one")
    assert clock.later() == ["T dropped 2: no room", "T dropped 1 from rig_1: odd: 'one'"]


def test_reasons_and_peers_without_end_are_a_few_lines_a_second() -> None:
    clock = Clock()
    for number in range(10_000):
        clock.drop(1, f"reason {number}\x1b[2J")
    lines = clock.later()
    assert len(lines) == KINDS + 1
    assert lines[-1] == f"T dropped {10_000 - KINDS:,} more, for reasons or neighbours beyond count"
    assert "\x1b" not in "".join(lines)
    clock.later(10)
    clock.drop(1, "another")
    assert clock.later() == ["T dropped 1 from rig_1: another"]


def test_of_lines_about_one_thing_those_that_follow_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    limit = LogLimit(logging.getLogger("autopilot_net"))
    assert [limit.log(logging.WARNING, ("a",), "a happened") for _ in range(5)] == [True, False, False, False, False]
    for number in range(10 * KINDS):
        limit.log(logging.WARNING, (f"thing {number}",), "another")
    assert len(caplog.records) <= KINDS + 2
    eventually(lambda: limit.log(logging.WARNING, ("a",), "a happened"))
    assert "a happened (and" in caplog.records[-1].getMessage()
    assert "times more since the last such line)" in caplog.records[-1].getMessage()
