"""Works are played side by side, round by round, and calls are counted in a run of their own."""

from __future__ import annotations

from sim.bench.measure import measure
from sim.bench.stage import Stage
from sim.bench.works import BARE, OURS, Figures, Work

played: list[tuple[str, int, bool]] = []


def bare(stage: Stage, count: int) -> Figures:
    played.append((BARE, count, stage.counts_calls))
    return {"value": 2.0}


def ours(stage: Stage, count: int) -> Figures:
    played.append((OURS, count, stage.counts_calls))
    return {"value": 1.0, "sender_calls": 7.0}


def test_sides_take_turns_and_the_last_run_of_ours_counts_calls() -> None:
    played.clear()
    said: list[str] = []
    work = Work("small", "small messages", "/s", {BARE: bare, OURS: ours}, count=100, few=10)
    report = measure([work], rounds=2, say=said.append)
    assert played == [*[(BARE, 100, False), (OURS, 100, False)] * 2, (OURS, 10, True)]
    assert said[0] == "small: bare, round 1 of 2"
    assert [row.side for row in report.rows] == [BARE, OURS]
    assert report.rows[1].figures == {"sender_calls": 7.0}
    assert {"python", "pyzmq", "cores"} <= report.machine.keys()
