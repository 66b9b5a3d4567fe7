"""Drawn faults are of every verb, and the file of their lab could hold each."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.lab.fault import VERBS, Several, verb_of
from sim.search.draw_faults import ends
from sim.search.strategies import faults, scenarios, topologies
from tests.sim.search.drawn import A_FEW, FORK, check_lab, drawn


@settings(A_FEW, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data(), virtual=st.booleans())
def test_a_fault_of_a_lab_is_one_that_its_file_could_hold(data: st.DataObject, virtual: bool, tmp_path: Path) -> None:
    lab = data.draw(topologies())
    check_lab(replace(lab, faults=(data.draw(faults(lab, virtual=virtual)),)), tmp_path)


def test_faults_are_of_every_verb_and_those_that_tcp_hides_are_for_virtual_time() -> None:
    verbs = {name for fault in drawn(faults(FORK), 400) for name in VERBS if getattr(fault, name) is not None}
    assert verbs == set(VERBS) - {"restart", "resume", "heal", "release"}, "what ends others is drawn with them"
    ended = drawn(faults(FORK).flatmap(lambda fault: ends(FORK, fault)), 400)
    assert {verb_of(end) for end in ended if end is not None} == {"restart", "resume", "heal", "release"}
    played = [fault for scenario in drawn(scenarios(FORK), 300) for fault in scenario.topology.faults]
    assert any(verb_of(fault) in ("restart", "resume", "heal", "release") for fault in played)
    real = drawn(faults(FORK, virtual=False), 400)
    assert not any(fault.drop or fault.duplicate for fault in real)
    assert any(fault.kill for fault in real)


def test_faults_strike_one_some_and_patterns_at_a_time_or_about_it() -> None:
    found = drawn(faults(FORK, around_s=1.5), 400)
    targets = [next(t for v in VERBS if (t := getattr(fault, v)) is not None) for fault in found]
    assert {type(target) for target in targets} == {str, tuple, Several}
    assert "*" in targets
    assert "T" in targets
    assert {fault.at_s is None for fault in found} == {fault.between_s is None for fault in found} == {True, False}
    begun = [fault.between_s[0] if fault.between_s else fault.at_s or 0.0 for fault in found]
    assert (min(begun), max(begun)) == (1.0, 2.5)
