"""Rows: medians of rounds, ratios of pairs of one round, and the calls of the run in which they were counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sim.bench.results import Spread, load_report, rows_of
from sim.bench.works import BARE, OURS
from tests.sim.bench.made_up_bench import report, sample, small


def test_a_ratio_is_of_two_sides_in_one_round() -> None:
    """The machine was ten times as slow in the second."""
    bare, ours = rows_of(small((100.0, 50.0), (10.0, 6.0), (100.0, 40.0)))
    assert (bare.side, bare.ratio) == (BARE, None)
    assert ours.ratio == Spread(0.5, 0.4, 0.6)
    assert ours.value == Spread(40.0, 6.0, 50.0)


def test_calls_come_from_the_run_that_was_not_timed_and_all_else_from_the_others() -> None:
    [_, ours] = rows_of(small((100.0, 50.0)))
    assert ours.figures == {"sender_us": 20.0, "p99_ms": 5.0, "sender_calls": 100.0, "recipient_calls": 50.0}


@pytest.mark.parametrize(("ours", "reached"), [(79.0, False), (81.0, True)])
def test_a_rate_reaches_its_goal_from_above(ours: float, reached: bool) -> None:
    [_, row] = rows_of(small((100.0, ours)))
    assert row.is_reached is reached


@pytest.mark.parametrize(("ours", "reached"), [(2.6, False), (2.4, True)])
def test_a_time_reaches_its_goal_from_below(ours: float, reached: bool) -> None:
    [bare, row] = rows_of([sample("round trip", BARE, 0, 1.0), sample("round trip", OURS, 0, ours)])
    assert (bare.is_reached, row.is_reached) == (None, reached)


def test_where_there_is_no_bare_side_there_is_no_ratio() -> None:
    [row] = rows_of([sample("star", OURS, 0, 1.0)])
    assert (row.ratio, row.is_reached) == (None, None)


@pytest.mark.parametrize(("value", "reached"), [(19_999.0, False), (20_001.0, True)])
def test_without_a_bare_side_a_goal_is_a_value(value: float, reached: bool) -> None:
    [row] = rows_of([sample("trial", OURS, 0, value)])
    assert row.is_reached is reached


def test_a_report_is_read_as_it_was_saved(tmp_path: Path) -> None:
    made = report(small((100.0, 50.0)))
    (tmp_path / "a.json").write_bytes(msgspec.json.encode(made))
    assert load_report(tmp_path / "a.json") == made


def test_another_file_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"rows": 1}')
    with pytest.raises(ValueError, match=r"a\.json is no report of a bench, as --save writes it"):
        load_report(tmp_path / "a.json")
