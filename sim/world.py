"""What a rehearsal asks of a world in which a lab runs: of real processes, and of virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.faults.actions import Action
from sim.lab.topology import Topology
from sim.scenario import Example

__all__ = ["NO_END", "LabError", "World"]

NO_END = Violation("", (), (), "how the session ends: it did not come to its end")


class LabError(Exception):
    """The lab did not come up, or a process of it ended that should not have."""


class World(Protocol):
    """One lab. The methods are called in this order, by one thread; each waits until what it is for has happened."""

    topology: Topology
    died: list[str]  # participants that ended by themselves

    def start(self) -> None:
        """Start every machine, and wait until each is ready. Raises `LabError`."""

    def await_handshakes(self) -> list[str]:
        """Wait until the terminal's program has heard of every machine's; the machines it has not."""

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the storms that have a time; whether the session came to its end."""

    def heal(self) -> list[Violation]:
        """End every fault that still lasts, and wait until the lab has converged; what of it has not."""

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; the ids of the messages and streams that still are."""

    def ask(self) -> None:
        """Have the terminal ask every pilot for proof that its copies are whole."""

    def expected(self) -> dict[str, Any]:
        """What each of the lab's own programs says that it should have produced; None of one that does not say."""

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm on a calm lab, and wait until it has settled; whether it has."""

    def more(self) -> Journal:
        """What was written down since the last call."""

    def stop(self) -> None:
        """End everything."""
