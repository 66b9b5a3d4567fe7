"""A find is told as the journal of a run, and drawn."""

from __future__ import annotations

from sim.exhaustive.retell import journal_of, report_of, topology_of
from sim.exhaustive.situation import SmallStep
from sim.exhaustive.small_hunt import KeptFind
from tests.sim.exhaustive.planted import DURABLE, PAIR

STEPS = [
    SmallStep("send", "rig"),
    SmallStep("drop", "rig", "up"),
    SmallStep("timer"),
    SmallStep("deliver", "rig", "up"),
    SmallStep("handle", "T"),
    SmallStep("deliver", "rig", "down"),
]


def test_the_journal_has_what_was_made_handled_and_settled_and_every_effect() -> None:
    journal = journal_of(PAIR, STEPS)
    assert [(entry.what, entry.id) for entry in journal.entries if entry.id] == [
        ("made", "m1"),
        ("began", "m1"),
        ("handled", "m1"),
        ("settled", "m1"),
    ]
    assert {"Transmit", "Deliver", "Confirmed"} <= {trace.do for trace in journal.traces}


def test_the_report_has_the_picture_the_steps_and_the_promise() -> None:
    kept = KeptFind(PAIR, STEPS, "patience", "m1 is given up after 1 mishap")
    report = report_of(kept, replay="python -m sim replay x.json")
    assert report.diagram is not None
    assert [row.id for row in report.diagram.messages] == ["m1"]
    assert report.broke == ["patience: m1 is given up after 1 mishap"]
    assert len(report.timeline) == len(STEPS)
    assert {row.fared for row in report.machines} == {"badly"}


def test_a_small_lab_is_a_topology() -> None:
    topology = topology_of(DURABLE)
    assert [(machine.id, machine.parent, machine.durable) for machine in topology.machines] == [
        ("T", None, True),
        ("rig", "T", True),
    ]
