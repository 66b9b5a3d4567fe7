"""What a lab's own tests look like: the README shows this file."""

import pytest

from sim.faults import Fault
from sim.labtest import LabUnderTest


@pytest.mark.lab("topologies/lab.yaml", duration_s=3, faults=False)
def test_a_wheel_whose_cable_is_pulled_out_loses_nothing(lab: LabUnderTest) -> None:
    played = lab.play(Fault(at_s=1, cut="rig_6_wheel", heal_after_s=1))
    assert played.held
    assert played.stream("rig_6_wheel", "wheel").received > 100


@pytest.mark.lab("topologies/badday.yaml")
def test_on_a_bad_day_the_switch_may_die_too(virtual_lab: LabUnderTest) -> None:
    played = virtual_lab.play(Fault(at_s=5, switch_dies="rig_?", heal_after_s=3))
    assert played.held
    assert not played.trials("rig_1").missing
