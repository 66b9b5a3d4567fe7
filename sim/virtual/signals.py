"""Signals in a virtual lab."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from sim.emulator.signals import play_signals
from sim.lab.topology import Topology
from sim.virtual.journal import VirtualWriter
from sim.virtual.programs import Running
from sim.virtual.raw_peer import VirtualRawPeer
from sim.virtual.wires.connections import Wires

__all__ = ["VirtualSignals"]

CONNECT_S = 1.0  # how long a connection may take


class VirtualSignals:
    """Plays signals. `until(condition, seconds)` lets time pass until `condition` holds, and returns whether it does.

    `reports` is what processes have reported so far.
    """

    def __init__(
        self,
        topology: Topology,
        journal: VirtualWriter,
        running: Running,
        wires: Wires,
        reports: Collection[tuple[Any, ...]],
        until: Callable[[Callable[[], bool], float], bool],
    ) -> None:
        self.topology = topology
        self.journal = journal
        self.reports = reports
        self.until = until
        self._running = running
        self._wires = wires

    def play(self) -> bool:
        """Play the signals, and wait for the answers. Returns whether all came."""
        return play_signals(self)

    # -- for `play_signals`: see `SignalWorld` ---------------------------------------------------------------------

    def send_signals(self) -> None:
        """Have the terminal's program send the signals."""
        self._running.programs[self.topology.terminal.id].emulated.signal()

    def stranger(self, machine: str, name: str) -> VirtualRawPeer:
        """A new connection to the station of a machine, under a name that an earlier one may have too."""
        stranger = VirtualRawPeer(name, machine)
        stranger.wire = self._wires.wire(stranger.line)
        stranger.wire.connect()
        self.until(lambda: stranger.wire.is_up, CONNECT_S)
        return stranger

    def is_alive(self, machine: str) -> bool:
        """Whether the station of a machine runs."""
        return not self._running.stations[machine].process.dead
