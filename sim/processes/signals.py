"""Signals in a lab of processes: has them sent, and waits for what must come of them."""

from __future__ import annotations

from sim.emulator.signals import PARTS
from sim.evidence.journal import Writer
from sim.lab.topology import Topology
from sim.processes.supervisor import Supervisor

__all__ = ["SignalPlayer"]

ANSWER_S = 10.0  # how long the answers may take


class SignalPlayer:
    """Plays signals on the processes of `supervisor`."""

    def __init__(self, topology: Topology, supervisor: Supervisor, journal: Writer) -> None:
        self._topology = topology
        self._supervisor = supervisor
        self._journal = journal

    def play(self) -> bool:
        """Play the signals, and wait for the answers; whether all came."""
        self._journal.write("signals")
        home, supervisor = "_" + self._topology.terminal.id, self._supervisor
        due = {("raised", machine.id, part, home) for machine in self._topology.machines for part in PARTS}
        supervisor.send(home, "signal")
        return supervisor.wait(lambda: due <= supervisor.reports, ANSWER_S)
