"""The wall clocks of the machines of a lab on processes: a file each, which the parent writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sim.evidence.journal import Writer
from sim.lab.topology import Topology
from sim.processes.clocks.faketime import MISSING, UNASKED, clock_file, is_asked_for, library
from sim.scenario.clocks import ClockPlan, clock_plans

__all__ = ["WallClocks"]

NOT_UNDER_IT = "the fork server of this process had been started before, without faketime"
ASKED_FOR = "the topology says `clocks: shared`"


class WallClocks:
    """Writes the files, and says why the machines share one clock, where they do."""

    def __init__(self, topology: Topology, *, seed: int, folder: Path, journal: Writer) -> None:
        self._folder = folder
        self._journal = journal
        why_not = UNASKED if not is_asked_for() else MISSING if library() is None else ""
        self._why_shared = ASKED_FOR if topology.clocks == "shared" else why_not
        self._plans = {} if self._why_shared else clock_plans(topology, seed)
        (folder / "clocks").mkdir(parents=True, exist_ok=True)
        for machine, plan in self._plans.items():
            self._write(machine, plan.skew_s, plan)

    @property
    def why_shared(self) -> str:
        """Why all machines share the clock of this one. Empty if each has its own. Known once all have started."""
        return self._why_shared or (NOT_UNDER_IT if any((self._folder / "clocks").glob("*.right")) else "")

    def settings(self) -> Iterator[tuple[float, Callable[[], Any]]]:
        """When to set each clock, in seconds from now, and the call that does it.

        Both processes of a machine read its file when a second begins. So it is written in the middle of one.
        """
        if self.why_shared:
            return
        now = time.time()
        for machine, plan in self._plans.items():
            at_s = plan.step_at_s + (0.5 - now - plan.step_at_s) % 1.0
            yield at_s, partial(self._set, machine, plan)

    def _set(self, machine: str, plan: ClockPlan) -> None:
        self._journal.write("clock set", to=machine, value={"ahead_s": plan.step_s})
        self._write(machine, plan.skew_s + plan.step_s, plan)

    def _write(self, machine: str, ahead_s: float, plan: ClockPlan) -> None:
        """Replace the file at once, so that nobody reads half of it."""
        file = clock_file(self._folder, machine)
        new = file.with_suffix(".new")
        new.write_text(f"{ahead_s:+.3f} x{1 + plan.drift:.6f}\n")
        new.replace(file)
