"""What wall clocks really showed, by their readings."""

from __future__ import annotations

import pytest

from sim.evidence.journal import Entry
from sim.evidence.true_clocks import READ_S, Span, TrueClocks

S = 10**9


def clocks(*readings: tuple[str, float, float]) -> TrueClocks:
    """Readings: who, at which second, and how far the clock was ahead."""
    entries = [Entry(t=int(at * S), wall=1e9 + at + ahead, by=by, what="heard") for by, at, ahead in readings]
    return TrueClocks(sorted(entries, key=lambda entry: entry.t), {"T": None, "rig_1": None})


def middle(span: Span) -> float:
    return (span.low + span.high) / 2


def test_the_offset_between_two_readings_is_theirs() -> None:
    (span,) = clocks(("_T", 1, 5), ("T", 9, 5), ("_rig_1", 2, 2), ("rig_1.probe", 8, 2)).offsets("rig_1", 4 * S, 5 * S)
    assert middle(span) == pytest.approx(3)
    assert span.high - span.low < 0.002


def test_what_drifts_is_somewhere_between_two_readings() -> None:
    (span,) = clocks(("T", 1, 0), ("rig_1", 1, 0.010), ("rig_1", 9, 0.020), ("T", 9, 0)).offsets("rig_1", 5 * S, 5 * S)
    assert span.distance(-0.015) == 0
    assert span.distance(-0.025) == pytest.approx(0.005, abs=0.002)


def test_between_the_readings_around_a_setting_a_clock_may_have_been_set_already_or_not() -> None:
    read = clocks(("T", 1, 0), ("T", 9, 0), ("rig_1", 2, 1), ("rig_1", 4, 7), ("rig_1", 8, 7))
    assert [round(middle(span)) for span in read.offsets("rig_1", 3 * S, 3 * S)] == [-1, -7]
    assert [round(middle(span)) for span in read.offsets("rig_1", 5 * S, 6 * S)] == [-7]
    assert read.settings("rig_1") == {2 * S: 4 * S}


def test_at_the_time_of_a_reading_nothing_else_counts() -> None:
    read = clocks(("T", 1, 0), ("T", 9, 0), ("rig_1", 2, 1), ("rig_1", 4, 7), ("rig_1", 4, 7))
    assert [round(middle(span)) for span in read.offsets("rig_1", 2 * S, 2 * S)] == [-1]
    assert [round(middle(span)) for span in read.offsets("rig_1", 4 * S, 4 * S)] == [-7]


def test_before_the_first_and_after_the_last_reading_it_is_theirs_less_surely() -> None:
    read = clocks(("T", 5, 0), ("rig_1", 5, 1))
    near, far = read.offsets("rig_1", 5 * S, 5 * S)[0], read.offsets("rig_1", 0, 0)[0]
    assert near.high - near.low == pytest.approx(4 * READ_S, abs=1e-6)
    assert far.high - far.low == pytest.approx(4 * READ_S + 4 * 5 * 100e-6, abs=1e-6)


def test_of_a_clock_that_nobody_read_nothing_is_known() -> None:
    read = clocks(("T", 5, 0))
    assert read.offsets("rig_1", 0, 9 * S) == []


def test_the_terminals_clock_may_be_taken_from_earlier() -> None:
    read = clocks(("T", 1, 0), ("T", 2, 9), ("rig_1", 5, 1), ("T", 8, 9))
    assert [round(middle(span)) for span in read.offsets("rig_1", 5 * S, 5 * S, terminal_since=0)] == [-1, 8]
    assert [round(middle(span)) for span in read.offsets("rig_1", 5 * S, 5 * S)] == [8]
