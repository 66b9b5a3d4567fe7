"""Spans of time: merged, overlapping and touching."""

from __future__ import annotations

from sim.evidence.spans import merged, overlap, touches


def test_spans_that_meet_become_one() -> None:
    assert merged([(5, 6), (1, 3), (2, 4), (4, 5), (8, 9)]) == [(1, 6), (8, 9)]
    assert merged([]) == []


def test_the_overlap_is_the_time_in_common() -> None:
    spans = [(1, 6), (8, 9)]
    assert [overlap(spans, *span) for span in ((0, 10), (2, 3), (6, 8), (5, 9))] == [6, 1, 0, 2]


def test_a_moment_in_common_is_a_touch() -> None:
    spans = [(1, 6), (8, 9)]
    assert [touches(spans, *span) for span in ((6, 7), (7, 7), (0, 20))] == [True, False, True]
