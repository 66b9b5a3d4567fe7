"""PURE. What stations and programs of a virtual lab have to say of themselves, and what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sim.emulator.convergence import Snapshot, snapshot_of

if TYPE_CHECKING:
    from sim.virtual.lab import VirtualLab

__all__ = ["snapshots_of", "unsettled"]


def snapshots_of(lab: VirtualLab) -> dict[str, Snapshot]:
    """The picture of each station and each program, by its id."""
    stations = sorted(lab.stations.items())
    snapshots = {name: snapshot_of(station.line.endpoint, station.role) for name, station in stations}
    for name in sorted(lab.programs):
        lines = [line for node in lab.programs[name].nodes for line in node.lines]
        outbox = [id for line in lines for id in line.endpoint.outbox.messages()]
        snapshots["_" + name] = Snapshot(outbox=sorted(outbox))
    return snapshots


def unsettled(lab: VirtualLab) -> Iterator[str]:
    """What is under way from who lives."""
    for name, station in lab.stations.items():
        if not station.process.dead:
            yield from lab.senders[name].open()
    for program in lab.programs.values():
        if not program.process.dead:
            yield from program.sender.open()
            for node in program.nodes:
                yield from (stream.id for stream in node.streams.values() if not stream.wait())
