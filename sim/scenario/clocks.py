"""The clock of each machine of a lab: how wrong it is, how much it gains, and when it is set during the session.

A run draws them from its seed. No Pi has a battery for its clock: it is wrong when it starts, and the network sets it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sim.lab.seeds import NamedDraws
from sim.lab.topology import Topology

__all__ = ["DRIFT", "ClockPlan", "MachineClock", "clock_plans"]

EPOCH = 1_800_000_000.0  # the time of day at which virtual time begins
DRIFT = 50e-6  # of a quartz without temperature compensation, as a Pi has: seconds that it gains or loses in a second
SKEW_S = (2.0, 20.0)
STEP_S = (1.0, 4.0)
STEP_AT = (0.25, 0.6)  # as a share of the session: what comes after must show that the step was noticed


class ClockPlan(Struct, frozen=True):
    """How the wall clock of one machine differs from true time."""

    skew_s: float = 0.0  # how far it is ahead at the start of the run
    drift: float = 0.0  # how many seconds it gains in a second
    step_s: float = 0.0  # how far ahead it is set, once
    step_at_s: float = 0.0  # when, in seconds after the session has begun


class MachineClock:
    """The wall clock of a machine in virtual time, by its plan. `now` returns seconds since the start."""

    def __init__(self, plan: ClockPlan, now: Callable[[], float]) -> None:
        self.plan = plan
        self._now = now
        self._ahead = plan.skew_s

    def step(self) -> None:
        """Set the clock, as its plan says."""
        self._ahead += self.plan.step_s

    @property
    def epoch(self) -> float:
        """The wall-clock time at `now() == 0`, as the clock is set now. It changes as the clock gains."""
        return EPOCH + self._ahead + self.plan.drift * self._now()

    @property
    def wall(self) -> float:
        """The wall-clock time now, in seconds."""
        return self.epoch + self._now()


def clock_plans(topology: Topology, seed: int) -> dict[str, ClockPlan]:
    """The plan of each machine, by its id. With `clocks: shared` all are alike, and right."""
    if topology.clocks == "shared":
        return {machine.id: ClockPlan() for machine in topology.machines}
    draws = NamedDraws(seed, "clocks")
    return {machine.id: _plan(draws, machine.id, topology.session.duration_s) for machine in topology.machines}


def _plan(draws: NamedDraws, machine: str, duration_s: float) -> ClockPlan:
    def either_way(least: float, most: float, what: str) -> float:
        sign = 1 if draws.share(machine, what, "sign") < 0.5 else -1
        return sign * round(draws.between(least, most, machine, what), 3)

    return ClockPlan(
        skew_s=either_way(*SKEW_S, "skew"),
        drift=round(draws.between(-DRIFT, DRIFT, machine, "drift"), 6),
        step_s=either_way(*STEP_S, "step"),
        step_at_s=round(duration_s * draws.between(*STEP_AT, machine, "at"), 3),
    )
