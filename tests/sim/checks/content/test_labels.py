"""Labels: whose an item is said to be is whose it is, after a graduation and through a parent too."""

from __future__ import annotations

from typing import Any

import pytest

from sim.checks.content.labels import judge_labels
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.lab.fault import Fault
from sim.lab.topology import Graduation, Machine, Session, Stream, Topology
from tests.sim.checks.healthy_run import broke, found
from tests.sim.journal_builder import SEED, Tale

OWN = Stream(bytes=1, rate_hz=1.0, to="rig_1")
BY_PARENT = Stream(bytes=1, rate_hz=1.0)
RIGHT = {"pilot": "rig_1", "child": "cam", "subject": "b"}


def said(labels: Any, *, spec: Stream = BY_PARENT, session: int = 1, at: float = 15, **lab: Any) -> list[str]:
    """What is said of an item of `cam` that came with these labels. Its rig had a, and b from second 10 on."""
    program, starts, kill = lab.get("program"), lab.get("starts", (5, 10)), lab.get("kill")
    machines = (
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", children=("cam",), subjects=("a", "b"), program=program),
        Machine("cam", parent="rig_1", streams={"s": spec}),
    )
    topology = Topology(
        name="l",
        path="l.yaml",
        machines=machines,
        faults=(Fault(at_s=7, kill="rig_1", restart_after_s=1.0),) if kill else (),
        session=Session(duration_s=20, graduate=(Graduation(at_s=5, pilot="rig_1"),)),
    )
    tale = Tale()
    for number, start in enumerate(starts):
        tale.at(start).made(f"_T_{number}", "_T", "rig_1", "START")
    if kill:
        tale.struck("kill", "rig_1", since=kill, until=kill + 1, end="restart")
    index = Index(Evidence(topology=topology, seed=SEED, journal=tale.journal))
    to = "_T" if spec is BY_PARENT else "_rig_1"
    item = Entry(t=int(at * 1e9), by=to, what="item_got", stream=f"cam/s/{session}", value=labels)
    return judge_labels(index, machines[2], spec, [item, item])


def test_an_item_that_a_parent_forwards_is_the_parents_with_the_child_beside_it() -> None:
    assert said(RIGHT) == []
    assert said({**RIGHT, "pilot": "cam"}) == ["2 items came to _T with pilot cam, and not pilot rig_1"]
    assert said({**RIGHT, "child": None}) == ["2 items came to _T with no child, and not child cam"]


def test_an_item_that_goes_to_a_program_is_the_machines_own() -> None:
    assert said({"pilot": "cam", "child": None, "subject": "b"}, spec=OWN) == []
    wrong = said({"pilot": "rig_1", "child": None, "subject": "b"}, spec=OWN)
    assert wrong == ["2 items came to _rig_1 with pilot rig_1, and not pilot cam"]


def test_a_subject_that_is_stale_after_a_graduation_is_told() -> None:
    assert said({**RIGHT, "subject": "a"}) == ["2 items came to _T with subject a, and not subject b"]
    assert said({**RIGHT, "subject": None}) == ["2 items came to _T with no subject, and not subject b"]


def test_an_item_that_was_under_way_when_its_rig_graduated_may_have_the_next_subject() -> None:
    assert said(RIGHT, session=0, at=10.1) == []
    assert said(RIGHT, session=0, at=9) == ["2 items came to _T with subject b, and not subject a"]
    own = {"pilot": "cam", "child": None, "subject": "b"}
    assert said(own, spec=OWN, session=0, at=10.1) == ["2 items came to _rig_1 with subject b, and not subject a"]


@pytest.mark.parametrize("lab", [{"kill": 12}, {"starts": (5, 10, 11)}, {"program": "mylab:Box"}])
def test_what_a_station_knew_is_not_judged_where_it_cannot_be_known(lab: dict[str, Any]) -> None:
    assert said({**RIGHT, "subject": None}, **lab) == []


def test_an_item_whose_labels_were_not_written_down_is_not_judged() -> None:
    assert said(None) == []


def test_a_wrong_label_breaks_the_check_of_streams(run: Evidence) -> None:
    found(run, "item_got", stream="rig_1/wheel/0", n=3).value = {"pilot": "rig_2", "subject": "mouse"}
    assert broke(run) == {"streams": ["rig_1 wheel: 1 item came to _T with pilot rig_2, and not pilot rig_1"]}
