"""How long a world waits for what is under way."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from sim.lab.fault import Fault
from sim.rehearse import world_of
from sim.scenario import Bounds, Scenario
from sim.virtual.lab import VirtualLab
from sim.world import settling_s
from tests.sim.journal_builder import small_lab


def test_a_lab_settles_as_long_as_senders_repeat_and_longer_after_a_connection_fell_silent() -> None:
    lab = small_lab(faults=(), repeat_interval_s=2.0)
    assert settling_s(lab) > 6 * lab.repeat_interval_s
    assert settling_s(replace(lab, faults=(Fault(cut="rig_1", at_s=1),))) == settling_s(lab)
    assert settling_s(replace(lab, faults=(Fault(mute="rig_1", at_s=1),))) > settling_s(lab) + 8.0


def test_a_lab_in_virtual_time_has_the_pipes_of_its_scenario(tmp_path: Path) -> None:
    """Else what a hunt has found with small ones would hold when it is replayed."""
    lab = world_of("virtual", Scenario(small_lab(), seed=0, bounds=Bounds(pipe_bytes=600)), tmp_path)
    assert isinstance(lab, VirtualLab)
    assert lab.pipe_bytes == 600
