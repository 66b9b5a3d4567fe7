"""Limits may be for the time of faults, or for the time without them."""

from __future__ import annotations

from typing import Literal

import pytest

from sim.checks.expect.windows import FaultWindows
from sim.evidence.index import Index
from sim.lab.topology import Limits
from sim.verdict import Check
from tests.sim.checks.expect.test_limits import expect
from tests.sim.checks.test_recovery import came
from tests.sim.journal_builder import Tale, evidence

When = Literal["all", "calm", "faults"]


def cut_at_20() -> Tale:
    """Ten trials a second apart. The link of rig_1 is cut at 20 s for 2 s, and the trial made meanwhile is slow."""
    tale = Tale().struck("cut", "rig_1", since=20, until=22, end="heal")
    for n in range(10, 20):
        came(tale, n, n + 0.1)
    came(tale, 21, 23)
    for n in range(40, 45):
        came(tale, n, n + 0.1)
    return tale


def test_a_window_lasts_until_what_was_struck_works_again() -> None:
    windows = FaultWindows(Index(evidence(cut_at_20())))
    ((begins, ends),) = windows.on(("_rig_1", "_T"))
    assert (begins / 1e9, ends / 1e9) == pytest.approx((19.5, 23.5), abs=0.01)
    assert windows.on(("_rig_2", "_T")) == []
    assert [round(t / 1e9) for span in windows.between([(begins, ends)]) for t in span] == [0, 20, 24, 44]


@pytest.mark.parametrize(("during", "result"), [("all", "fail"), ("calm", "pass"), ("faults", "fail")])
def test_a_limit_of_latency_is_for_its_time_alone(during: When, result: str) -> None:
    assert expect(cut_at_20(), trials=Limits(p99_ms=200.0, during=during)).result == result


def test_a_limit_says_which_time_it_is_for() -> None:
    (text,) = expect(cut_at_20(), trials=Limits(p99_ms=200.0, during="faults")).violations
    assert text.startswith("trials during faults p99 ms: 2,000 > 200; slowest: _rig_1_21 (2,000 ms")


def loss(at: float, during: When) -> Check:
    tale = cut_at_20()
    tale.at(at).made("_rig_1_lost", "_rig_1", "T", "DATA")
    return expect(tale, trials=(Limits(lost=0, during=during),))


def test_losses_are_counted_in_their_time_alone() -> None:
    assert [loss(15, during).result for during in ("all", "calm", "faults")] == ["fail", "fail", "pass"]
    assert [loss(21, during).result for during in ("all", "calm", "faults")] == ["fail", "pass", "fail"]


def test_a_rate_does_not_count_the_time_of_faults() -> None:
    tale = Tale().struck("cut", "rig_1", since=14, until=22, end="heal")
    for n in [10, 11, 12, 13, 23, 24, 25, 26]:
        came(tale, n, n + 0.1)
    assert expect(tale, trials=Limits(rate_hz=0.7)).result == "fail"
    assert expect(tale, trials=Limits(rate_hz=0.7, during="calm")).result == "pass"
