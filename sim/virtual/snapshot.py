"""PURE. What stations and programs of a virtual lab have to say of themselves, and what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sim.emulator.convergence import Picture
from sim.virtual.machines import Station

if TYPE_CHECKING:
    from sim.virtual.lab import VirtualLab

__all__ = ["pictures_of", "unsettled"]


def pictures_of(lab: VirtualLab) -> dict[str, Picture]:
    """The picture of each station and each program, by its id."""
    pictures = {name: _picture_of(lab.stations[name]) for name in sorted(lab.stations)}
    for name in sorted(lab.programs):
        lines = [line for node in lab.programs[name].nodes for line in node.lines]
        outbox = [id for line in lines for id in line.endpoint.outbox.messages()]
        pictures["_" + name] = Picture(outbox=sorted(outbox))
    return pictures


def unsettled(lab: VirtualLab) -> Iterator[str]:
    """What is under way from who lives."""
    for name, station in lab.stations.items():
        if not station.process.dead:
            yield from lab.speakers[name].open()
    for program in lab.programs.values():
        if not program.process.dead:
            yield from program.speaker.open()
            for node in program.nodes:
                yield from (stream.id for stream in node.streams.values() if not stream.wait())


def _picture_of(station: Station) -> Picture:
    endpoint, role = station.line.endpoint, station.role
    routes = endpoint.routes
    above = [routes.upstream] if routes.up and routes.upstream else []
    is_terminal = routes.upstream is None
    known = [name for name, facts in role.pilots.items() if "way" in facts] if is_terminal else list(role.children)
    return Picture(
        outbox=sorted(endpoint.outbox.messages()),
        routes=dict(sorted(routes.behind.items())),
        neighbours=sorted([*routes.below, *above]),
        known=sorted(known),
    )
