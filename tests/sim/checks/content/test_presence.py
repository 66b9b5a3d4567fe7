"""Presence: a machine that went, and what is below it, is told to be gone, unless nobody could be told."""

from __future__ import annotations

import pytest

from sim.checks.content.presence import untold_departures
from sim.evidence.index import Evidence, Index
from sim.lab.fault import Fault
from sim.lab.topology import Machine, Topology
from tests.sim.journal_builder import SEED, Tale

MACHINES = (
    Machine("T", children=("rig",)),
    Machine("rig", parent="T", children=("cam",)),
    Machine("cam", parent="rig"),
)


def tale_of(*gone: str, at: str = "T", peer: str = "rig", shook: float = 1.0) -> Tale:
    """Both machines shake hands at `shook`; `at` loses `peer` at second 10; the terminal is told of `gone`."""
    tale = Tale()
    tale.at(shook)
    tale.shook("rig", "rig")
    tale.shook("cam", "rig", "cam")
    tale.at(10).trace("PeerDown", at, peer=peer)
    for machine in gone:
        tale.note("gone", "_T", value={"machine": machine})
    tale.at(30).note("settled", "_T", id="_T_9", value="confirmed")
    return tale


def said(tale: Tale, *faults: Fault) -> list[str]:
    topology = Topology(name="p", path="p.yaml", machines=MACHINES, faults=faults)
    evidence = Evidence(topology=topology, seed=SEED, journal=tale.journal)
    return [wrong.text for wrong in untold_departures(Index(evidence))]


def test_a_machine_that_went_and_one_below_it_are_told_to_be_gone() -> None:
    assert said(tale_of("rig", "cam")) == []
    saw = "T saw rig go, and the terminal's program was never told that"
    assert said(tale_of()) == [f"{saw} it is gone", f"{saw} cam, below it, is gone"]
    assert said(tale_of("rig")) == [f"{saw} cam, below it, is gone"]


def test_a_pilot_tells_of_its_child_unless_it_has_lost_its_own_parent_too() -> None:
    saw = "rig saw cam go, and the terminal's program was never told that it is gone"
    assert said(tale_of(at="rig", peer="cam")) == [saw]
    tale = tale_of(at="rig", peer="cam")
    tale.at(11).trace("PeerDown", "rig", peer="T")
    assert said(tale) == []


def test_what_nobody_knew_what_a_fault_kept_from_being_told_and_the_end_of_the_run_are_no_matter() -> None:
    assert said(tale_of(shook=20.0)) == []
    paused = tale_of(at="rig", peer="cam").struck("pause", "T", since=9, until=12, end="resume")
    assert said(paused, Fault(at_s=9, pause="T", resume_after_s=3.0)) == []
    late = tale_of("rig", "cam")
    late.at(40).trace("PeerDown", "rig", peer="cam")
    assert said(late) == []


@pytest.mark.parametrize("who", ["T", "_T", "rig"])
def test_whoever_was_restarted_need_not_remember_who_was_there(who: str) -> None:
    tale = tale_of(at="rig", peer="cam")
    tale.at(5).begin_life(who)
    assert said(tale) == []
