"""The table says what was tried, and what never was."""

from __future__ import annotations

from sim.coverage.kinds import Kind, kinds
from sim.coverage.table import coverage_of
from sim.coverage.tally import Tally


def test_a_hunt_that_tried_nothing_says_so_of_every_kind() -> None:
    coverage = coverage_of(Tally())
    assert coverage.covered.startswith("0 of 19 faults, 0 of ")
    assert {"kill", "send", "DuplicateId", "confirm unknown"} < set(coverage.never)
    assert "faults: kill, restart, pause and 16 more; " in coverage.never_words


def test_that_a_check_broke_is_not_missed_since_a_hunt_ends_with_it() -> None:
    assert not [name for name in coverage_of(Tally()).never if name.endswith(" broke")]
    tally = Tally()
    tally.add({Kind("verdict", "order broke")})
    assert coverage_of(tally).groups[-1].tried == {"order broke": 1}


def test_each_fault_says_with_what_it_came_and_with_what_never() -> None:
    tally = Tally()
    tally.add({Kind("fault", "kill"), Kind("fault", "cut"), Kind("effect", "Gap")})
    rows = {row.fault: row for row in coverage_of(tally).pairs}
    assert rows["kill"].runs == rows["cut"].runs == 1
    assert rows["kill"].groups[0].tried == {"cut": 1}
    assert rows["cut"].groups[0].tried == {"kill": 1}
    effects = next(group for group in rows["cut"].groups if group.what == "effects of the core")
    assert effects.tried == {"Gap": 1}
    assert "Transmit" in effects.never
    assert coverage_of(tally).covered.split(", ")[-1].startswith("3 of "), "the two faults are one pair"


def test_what_went_through_everything_has_nothing_left() -> None:
    tally = Tally()
    tally.add(set(kinds()))
    coverage = coverage_of(tally)
    assert (coverage.never, coverage.never_words) == ([], "")
    assert all(group.never == [] for row in coverage.pairs for group in row.groups)
