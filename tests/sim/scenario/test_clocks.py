"""Each machine has a clock of its own, drawn from the seed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sim.lab.topology import load
from sim.scenario.clocks import DRIFT, EPOCH, ClockPlan, MachineClock, clock_plans
from tests import ROOT

LAB = load(ROOT / "topologies" / "lab.yaml")


def test_the_clocks_of_all_machines_are_seconds_apart_and_set_by_seconds_in_the_session() -> None:
    plans = clock_plans(LAB, 7)
    assert list(plans) == [machine.id for machine in LAB.machines]
    assert len({plan.skew_s for plan in plans.values()}) == len(plans)
    for plan in plans.values():
        assert 2 <= abs(plan.skew_s) <= 20
        assert 1 <= abs(plan.step_s) <= 4
        assert abs(plan.drift) <= DRIFT
        assert 0 < plan.step_at_s < 0.7 * LAB.session.duration_s


def test_the_seed_alone_decides_and_a_lab_of_fewer_machines_keeps_the_clocks_of_those() -> None:
    assert clock_plans(LAB, 7) == clock_plans(LAB, 7)
    assert clock_plans(LAB, 7) != clock_plans(LAB, 8)
    fewer = clock_plans(replace(LAB, machines=LAB.machines[:3]), 7)
    assert fewer.items() <= clock_plans(LAB, 7).items()


def test_a_lab_may_have_one_clock() -> None:
    assert set(clock_plans(replace(LAB, clocks="shared"), 7).values()) == {ClockPlan()}


def test_a_clock_is_ahead_gains_and_is_set_once() -> None:
    now = [0.0]
    clock = MachineClock(ClockPlan(skew_s=3.0, drift=1e-5, step_s=-2.0), lambda: now[0])
    assert clock.wall == EPOCH + 3
    now[0] = 1000.0
    assert clock.wall == pytest.approx(EPOCH + 1003.01)
    clock.step()
    assert clock.wall == pytest.approx(EPOCH + 1001.01)
    assert clock.epoch == pytest.approx(EPOCH + 1.01)
