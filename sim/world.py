"""The interface of the two worlds in which a lab can run: real processes, and virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.faults.actions import Action
from sim.lab.topology import Topology
from sim.scenario import Example

__all__ = ["NO_END", "LabError", "World", "settling_s"]

NOTICED_S = 12.0  # until both ends have given up a connection that fell silent, and use another one
NO_END = Violation("", (), (), "how the session ends: it did not come to its end")


class LabError(Exception):
    """The lab did not start, or one of its processes ended by itself."""


def settling_s(topology: Topology) -> float:
    """How long a lab may take to deliver all that is under way: as long as senders repeat, and longer if it was mute.
    """
    is_mute = any(fault.mute is not None for fault in topology.faults)
    return 3.0 + 7 * topology.repeat_interval_s + NOTICED_S * is_mute


class World(Protocol):
    """One lab. One thread calls the methods, in this order. Each waits until it is done."""

    topology: Topology
    settle_s: float  # how long it waits at most for what is under way
    died: list[str]  # participants whose process ended by itself

    def start(self) -> None:
        """Start every machine, and wait until each is ready. Raises `LabError`."""

    def await_handshakes(self) -> list[str]:
        """Wait for the handshakes of all machines with the terminal's program. Returns the machines without one."""

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the storms with a time, by number. Returns whether the session ended."""

    def heal(self) -> list[Violation]:
        """End every fault that still lasts, and wait until the lab has converged. Returns what has not converged."""

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any process. Returns the ids of messages and streams that still are."""

    def ask(self) -> None:
        """Have the terminal ask every pilot whether its copies are complete."""

    def expected(self) -> dict[str, Any]:
        """By machine, what the lab's own programs report as produced. None for a program that does not report."""

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm on a calm lab, and wait until it has settled. Returns whether it has."""

    def signal(self) -> bool:
        """Play the signals of `sim.emulator.signals` on a calm lab. Returns whether all were answered in time."""

    def more(self) -> Journal:
        """What was journalled since the last call."""

    def stop(self) -> None:
        """End all processes of the lab, whatever has happened before."""
