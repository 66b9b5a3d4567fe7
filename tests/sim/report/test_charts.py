"""What a chart shows, apart from how bokeh draws it."""

from __future__ import annotations

from sim.lab.fault import ACTION_VERBS
from sim.report.charts import EVENTS, TOP_KEYS, _lanes, event_mark
from sim.report.style import label, plain
from sim.verdict import Rate, Report


def report(*rates: Rate) -> Report:
    return Report(
        lab="l", file="l.yaml", seed=1, started="", took_s=1.0, up_s=None, verdict="held", sentence="", advice="",
        rates=list(rates),
    )


def test_lanes_have_every_second_and_the_sum_of_all_keys_is_the_top_one() -> None:
    first, lanes = _lanes(report(Rate(second=3, by_key={"A": 2, "B": 1}), Rate(second=5, by_key={"A": 1})))
    assert first == 3
    assert lanes == [("B", [1, 0, 0]), ("A", [2, 0, 1]), ("all together", [3, 0, 1])]


def test_the_rarest_keys_share_a_lane() -> None:
    by_key = {f"key_{n:02}": 100 - n for n in range(TOP_KEYS + 3)}
    _, lanes = _lanes(report(Rate(second=0, by_key=by_key)))
    assert len(lanes) == TOP_KEYS + 2
    assert lanes[0] == ("other", [sum(100 - n for n in range(TOP_KEYS, TOP_KEYS + 3))])


def test_no_two_kinds_of_events_share_a_mark() -> None:
    marks = [event_mark(what) for what in EVENTS]
    assert len({mark.shape for mark in marks}) == len(marks) == len({mark.path for mark in marks})
    assert {*ACTION_VERBS} <= {*EVENTS}
    assert event_mark("shape").words == "slow link"


def test_an_event_without_a_mark_of_its_own_is_a_bar() -> None:
    assert (event_mark("kill").shape, event_mark("unheard of").shape) == ("square", "bar")


def test_labels_are_short_and_no_tex() -> None:
    assert label("rig_1") == "rig_1"
    assert len(label("a" * 80)) == 22
    assert "$$" not in plain("$$x$$")
