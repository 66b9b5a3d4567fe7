"""Signals in a lab of processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import zmq

from sim.emulator.signals import play_signals
from sim.evidence.journal import Writer
from sim.lab.topology import Topology
from sim.processes.raw_peer import RawPeer
from sim.processes.supervisor import Supervisor

__all__ = ["SignalPlayer"]

LOOK_S = 0.01  # how often strangers are read


class SignalPlayer:
    """Plays signals on the processes of `supervisor`, whose stations listen at `ports`. Called by one thread."""

    def __init__(
        self, topology: Topology, supervisor: Supervisor, journal: Writer, *, ports: Mapping[str, int]
    ) -> None:
        self.topology = topology
        self.journal = journal
        self._supervisor = supervisor
        self._ports = ports
        self._zmq: zmq.Context[zmq.Socket[bytes]]
        self._strangers: list[RawPeer] = []

    def play(self) -> bool:
        """Play the signals, and wait for the answers; whether all came."""
        self._zmq = zmq.Context()
        try:
            return play_signals(self)
        finally:
            for stranger in self._strangers:
                stranger.close()
            self._zmq.term()

    # -- for `play_signals`: see `SignalWorld` -----------------------------------------------------------------------

    @property
    def reports(self) -> Collection[tuple[Any, ...]]:
        """What the processes have reported."""
        return self._supervisor.reports

    def send_signals(self) -> None:
        """Have the terminal's program send the signals."""
        self._supervisor.send("_" + self.topology.terminal.id, "signal")

    def stranger(self, machine: str, name: str) -> RawPeer:
        """A new connection to the station of a machine, under a name that an earlier one may have too."""
        stranger = RawPeer(self._zmq, name, machine, self._ports[machine], returns=False)
        self._strangers.append(stranger)
        return stranger

    def is_alive(self, machine: str) -> bool:
        """Whether the station of a machine runs."""
        return self._supervisor.is_alive(machine)

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Read reports and strangers until `condition` holds, for at most so many seconds; whether it holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._supervisor.wait_until(time.monotonic() + LOOK_S)
            for stranger in self._strangers:
                stranger.read()
        return True
