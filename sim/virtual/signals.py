"""Signals in a virtual lab: has them sent, and waits for what must come of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sim.emulator.signals import PARTS
from sim.lab.topology import Topology
from sim.virtual.journal import VirtualWriter
from sim.virtual.programs import Running

__all__ = ["VirtualSignals"]

ANSWER_S = 10.0  # how long the answers may take


class VirtualSignals:
    """Plays signals. `until(condition, seconds)` lets time pass until `condition` holds, and returns whether it does.

    `reports` is what processes have reported so far.
    """

    def __init__(
        self,
        topology: Topology,
        journal: VirtualWriter,
        running: Running,
        reports: Collection[tuple[Any, ...]],
        until: Callable[[Callable[[], bool], float], bool],
    ) -> None:
        self._topology = topology
        self._journal = journal
        self._running = running
        self._reports = reports
        self._until = until

    def play(self) -> bool:
        """Play the signals, and wait for the answers. Returns whether all came."""
        self._journal.write("signals")
        home = self._topology.terminal.id
        due = {("raised", machine.id, part, "_" + home) for machine in self._topology.machines for part in PARTS}
        self._running.programs[home].emulated.signal()
        return self._until(lambda: due <= set(self._reports), ANSWER_S)
