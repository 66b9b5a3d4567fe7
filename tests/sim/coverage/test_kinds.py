"""The kinds come from the tables of the code, and each run names those that it went through."""

from __future__ import annotations

from typing import get_args

from autopilot_net.protocol.effects import Effect
from sim.checks.registry import CHECKS, check_all
from sim.coverage.kinds import GROUPS, PATHS, Kind, kinds, kinds_of_checks, kinds_of_scenario
from sim.evidence.index import Evidence
from sim.lab.fault import VERBS, Fault
from sim.lab.topology import Link, Machine, Topology
from sim.scenario import Example, Scenario, Send
from tests.sim.checks.healthy_run import forget


def names(group: str) -> list[str]:
    return [kind.name for kind in kinds() if kind.group == group]


def test_every_verb_effect_and_check_is_a_kind() -> None:
    assert names("fault") == list(VERBS)
    assert names("effect") == [effect.__name__ for effect in get_args(Effect)]
    assert len(names("verdict")) == len(CHECKS) * len(PATHS)
    assert {"confirm unknown", "streams explained", "programs broke"} < set(names("verdict"))
    assert {"send", "crash"} < set(names("step"))
    assert {"machine.durable", "link.latency_ms", "stream.reliable"} < set(names("lab"))
    assert "cut.way" in names("option")
    assert list(dict.fromkeys(kind.group for kind in kinds())) == list(GROUPS)


def test_a_scenario_has_its_faults_that_happened_with_their_options_its_steps_and_its_settings() -> None:
    machines = (Machine("T", durable=True), Machine("rig_1", parent="T", link=Link(latency_ms=1.0)))
    faults = (Fault(at_s=1, kill="rig_1"), Fault(at_s=1, cut="rig_1", way="up", heal_after_s=1))
    lab = Topology("lab", "lab.yaml", machines, faults=faults)
    scenario = Scenario(lab, 1, examples=(Example(ops=(Send("T", "rig_1"),)),))
    assert {str(kind) for kind in kinds_of_scenario(scenario, [1, 1])} == {
        *("fault cut", "option cut.way", "option cut.heal_after_s"),
        *("step send", "lab machine.durable", "lab link.latency_ms"),
    }
    assert set(kinds_of_scenario(scenario, [0, 1])) < set(kinds())


def test_a_run_has_its_effects_and_what_its_checks_said(run: Evidence) -> None:
    sound = set(kinds_of_checks(run.journal, check_all(run)))
    assert sound < set(kinds())
    assert {Kind("effect", "Transmit"), Kind("verdict", "confirm held")} < sound
    forget(run, "handled", id="rig_1.probe_1")
    broken = set(kinds_of_checks(run.journal, check_all(run)))
    assert Kind("verdict", "confirm broke") in broken
    assert Kind("verdict", "confirm held") not in broken
