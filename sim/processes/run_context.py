"""What every process of one run is told when it starts."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sim.lab.topology import Machine, Topology

__all__ = ["RunContext"]


class RunContext(Struct, frozen=True):
    """The lab, the seed, the folder of the run, and the process group that each process joins."""

    topology: Topology
    seed: int
    folder: Path
    group: int

    @property
    def journal(self) -> Path:
        """The folder of journals and traces."""
        return self.folder / "journal"

    def durable(self, machine: Machine, part: str) -> Path | None:
        """The file of a durable machine's `station`, `program` or `probe`; None if the machine is not durable."""
        return self.folder / "durable" / f"{machine.id}.{part}.sqlite" if machine.durable else None
