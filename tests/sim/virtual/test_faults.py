"""What a fault of a machine does in virtual time, and what healing ends."""

from __future__ import annotations

import pytest

from sim.lab.fault import Fault, What
from sim.lab.topology import Topology
from tests.sim.virtual.virtual_run import Run, up


def test_what_is_sent_to_who_stands_still_waits_and_is_handled_when_it_goes_on(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, pause="T", resume_after_s=2), storms=(up(1, 3), up(1.1, 2, sought=False)))
    assert run.numbers() == [0, 1, 2, 3, 4]
    assert all(2 <= at < 2.2 for at in run.times())
    assert not run.traces("PeerDown", "rig_1")
    assert run.broke == []


def test_one_half_of_a_machine_can_be_struck(topology: Topology) -> None:
    storms = (up(0.5, frm="T", to="rig_1"), up(0.5, frm="_rig_1", to="T"))
    run = Run(topology, Fault(at_s=0, pause="rig_1", what="program", resume_after_s=1), storms=storms)
    assert max(run.times("rig_1")) < 0.6
    assert min(run.times("T")) > 1
    assert run.broke == []


@pytest.mark.parametrize(
    ("what", "again"), [("station", {"rig_1"}), ("program", {"_rig_1"}), ("machine", {"rig_1", "_rig_1"})]
)
def test_a_half_that_is_killed_leaves_the_other(topology: Topology, what: What, again: set[str]) -> None:
    run = Run(topology, Fault(at_s=0, kill="rig_1", what=what, restart_after_s=0.5), storms=(up(1, frm="_rig_1"),))
    assert {entry.by for entry in run.entries if (entry.what, entry.life) == ("start", 1)} == again
    assert len(run.handled()) == 1
    assert run.broke == []


@pytest.mark.parametrize(("sender", "arrive"), [("rig_1", []), ("rig_2", [0, 1, 2])])
def test_a_kill_takes_what_is_in_memory_and_a_durable_machine_has_it_elsewhere(
    topology: Topology, sender: str, arrive: list[int]
) -> None:
    faults = (Fault(at_s=0, cut=sender, heal_after_s=3), Fault(at_s=1.5, kill=sender, restart_after_s=0.5))
    run = Run(topology, *faults, storms=(up(0.5, 3, frm=sender),))
    assert run.numbers() == arrive
    assert len([what for what in run.explained if "lost with its sender" in what]) == 3 - len(arrive)
    assert run.broke == []


def test_who_was_killed_is_noticed_at_once_and_comes_back(topology: Topology) -> None:
    fault = Fault(at_s=1, kill="rig_1", restart_after_s=1)
    run = Run(topology, fault, storms=(up(0, frm="T", to="rig_1"), up(1.5, frm="T", to="rig_1")))
    assert any(1 < at < 1.1 for at in run.traces("PeerDown", "T"))
    assert [entry.life for entry in run.handled("rig_1")] == [0, 1]
    assert run.broke == []


def test_a_power_cut_is_silent_and_takes_all_that_is_below(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=1, power_cut="rig_1", restart_after_s=2), storms=(up(0, 1), up(4, 1, frm="box")))
    assert not [at for at in run.traces("PeerDown", "T") if 1 < at < 3]
    lives = {(entry.by, entry.life) for entry in run.entries if entry.what == "start"}
    assert {(name, 1) for name in ("rig_1", "_rig_1", "box", "_box")} <= lives
    assert ("rig_2", 1) not in lives
    assert run.broke == []


def test_what_is_not_ended_is_healed(topology: Topology) -> None:
    faults = (Fault(at_s=0, kill="rig_1"), Fault(at_s=0.2, cut="rig_2"), Fault(at_s=0.3, pause="box"))
    run = Run(topology, *faults, storms=(up(1, frm="T", to="box"), up(1, frm="rig_2")))
    assert len(run.handled("box")) == len(run.handled("T")) == 1
    assert run.checks["whole"].result == "pass"
    assert run.broke == []
