"""Two benches are compared by calls and by ratios, and neither by times nor by what chance makes slow."""

from __future__ import annotations

from sim.bench.compare import changes, worse
from tests.sim.bench.made_up_bench import report, sample, small

THEN = report(small((100.0, 50.0)))


def test_the_same_is_no_worse() -> None:
    assert worse(THEN, THEN) == []
    assert {change.times for change in changes(THEN, THEN)} == {1.0}


def test_a_machine_that_is_slower_as_a_whole_is_no_worse() -> None:
    assert worse(report(small((10.0, 5.0))), THEN) == []


def test_more_calls_a_message_are_worse() -> None:
    assert worse(report(small((100.0, 50.0), calls=110.0)), THEN) == []
    [change] = worse(report(small((100.0, 50.0), calls=130.0)), THEN)
    assert str(change) == "small: sender calls a message 100.00 then, 130.00 now"


def test_less_than_half_of_the_ratio_in_all_rounds_is_worse() -> None:
    assert worse(report(small((100.0, 20.0), (100.0, 20.0), (100.0, 30.0))), THEN) == []
    [change] = worse(report(small((100.0, 20.0), (100.0, 20.0), (100.0, 22.0))), THEN)
    assert (change.what, change.then, change.now, change.times) == ("ratio to bare", 0.5, 0.2, 0.4)


def test_a_time_is_worse_when_it_is_longer() -> None:
    then = report([sample("round trip", "bare", 0, 1.0), sample("round trip", "ours", 0, 10.0)])
    now = report([sample("round trip", "bare", 0, 1.0), sample("round trip", "ours", 0, 21.0)])
    assert [change.work for change in worse(now, then)] == ["round trip"]
    assert worse(then, now) == []


def test_a_work_that_was_not_there_is_not_compared() -> None:
    assert list(changes(THEN, report([]))) == []
