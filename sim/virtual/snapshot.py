"""Snapshots of the stations and programs of a virtual lab, and the messages that are still under way."""

from __future__ import annotations

from collections.abc import Iterator

from sim.emulator.convergence import Snapshot, snapshot_of
from sim.virtual.programs import Running

__all__ = ["snapshots_of", "unsettled"]


def snapshots_of(running: Running) -> dict[str, Snapshot | None]:
    """The snapshot of each station (`rig_1`) and each program (`_rig_1`), by its id."""
    stations = sorted(running.stations.items())
    snapshots: dict[str, Snapshot | None] = {
        name: snapshot_of(station.line.endpoint, station.role) for name, station in stations
    }
    for name, program in sorted(running.programs.items()):
        lines = [line for node in program.nodes for line in node.lines]
        outbox = [id for line in lines for id in line.endpoint.outbox.messages()]
        snapshots["_" + name] = Snapshot(outbox=sorted(outbox))
    return snapshots


def unsettled(running: Running) -> Iterator[str]:
    """The ids of the messages and streams of live processes that are still under way."""
    for name, station in running.stations.items():
        if not station.process.dead:
            yield from running.senders[name].open()
    for program in running.programs.values():
        if not program.process.dead:
            yield from program.sender.open()
            for node in program.nodes:
                yield from (stream.id for stream in node.streams.values() if not stream.wait())
