"""One scenario is run and judged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sim.coverage.kinds import Kind
from sim.coverage.tally import Tally
from sim.lab.fault import Fault
from sim.lab.topology import load
from sim.scenario import Example, Scenario, Send
from sim.search.trial import run_virtually
from tests import ROOT

PAIR = load(ROOT / "topologies" / "pair.yaml")


def test_an_exception_in_virtual_time_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("rig_9")

    monkeypatch.setattr("sim.search.trial.conduct", broken)
    (found,) = run_virtually(Scenario(topology=PAIR, seed=1))
    assert str(found) == "raised: KeyError in test_trial.py, broken: 'rig_9'"


def test_a_scenario_of_a_healthy_lab_holds_in_virtual_time() -> None:
    faults = (Fault(at_s=0.5, kill="rig_1", restart_after_s=0.5),)
    lab = msgspec.structs.replace(PAIR, faults=faults, expect=type(PAIR.expect)())
    sent = Example(ops=(Send(frm="T", to="rig_1", burst=5),), at_s=0.4)
    tally = Tally()
    assert run_virtually(Scenario(topology=lab, seed=1, examples=(sent,)), tally) == []
    assert tally.pairs[Kind("fault", "kill"), Kind("verdict", "recovery held")] == 1
