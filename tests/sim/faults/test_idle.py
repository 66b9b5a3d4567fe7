"""A fault that strikes nothing in a lab is refused with the reason."""

from __future__ import annotations

import pytest

from sim.faults.idle import why_idle
from sim.lab.fault import Fault
from sim.lab.topology import Machine, Session, Topology

LAB = Topology(
    name="small",
    path="small.yaml",
    machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T")),
    session=Session(duration_s=2.0),
)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(kill="rig_9", at_s=0), "no machine of small matches kill='rig_9'"),
        (Fault(kill="rig_1"), "the fault does not say when, by at_s or between_s"),
        (Fault(kill="rig_1", at_s=2), "the fault at 2 s is not within the session of 2 s (rig_1 is killed at 2 s)"),
        (
            Fault(cut="rig_1", at_s=0, what="station"),
            "what means nothing to cut, which takes at_s, between_s, heal_after_s, probability, way",
        ),
    ],
)
def test_the_reason_names_what_is_wrong(fault: Fault, sentence: str) -> None:
    assert why_idle(fault, LAB) == sentence


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kill="rig_1", at_s=1.9, what="program"),
        Fault(cut="rig_1", between_s=(1.0, 2.0)),
        Fault(drop="rig_1", at_s=0, probability=0.01),
    ],
)
def test_a_fault_that_may_strike_is_not_idle(fault: Fault) -> None:
    assert why_idle(fault, LAB) == ""
