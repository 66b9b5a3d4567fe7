"""PURE. Whether a virtual lab is whole: who is connected, what lies behind whom, and what still waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import networkx as nx

from sim.topology import Machine
from sim.virtualmachines import Node, Station
from sim.virtualprograms import Notebook

if TYPE_CHECKING:
    from sim.virtual import VirtualLab

__all__ = ["tell_whole", "unsettled", "wrongs"]


def wrongs(lab: VirtualLab) -> list[str]:
    """What is not as it should be in a calm lab, in words."""
    return [wrong for machine in lab.topology.machines for wrong in _wrong_at(lab, machine)]


def tell_whole(lab: VirtualLab, journal: Notebook) -> None:
    """Write down what each station and each node knows, and what it still waits for."""
    for name in sorted(lab.stations):
        journal.write("whole", by=name, value=_picture(lab.stations[name], lab.topology.terminal.id))
    for name in sorted(lab.programs):
        for node in lab.programs[name].nodes:
            journal.write("whole", by=node.id, value=_picture(node, ""))


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


def _wrong_at(lab: VirtualLab, machine: Machine) -> Iterator[str]:
    station, program = lab.stations[machine.id], lab.programs[machine.id]
    routes = station.line.endpoint.routes
    for peer in (station, *program.nodes):
        if any(line.endpoint.outbox.messages() for line in peer.lines):
            yield f"{peer.id} still awaits confirmations"
    beside = [name for name in (machine.parent, *machine.children, "_" + machine.id) if name]
    yield from (f"{machine.id} does not see {name}" for name in beside if not routes.has(name))
    for child in machine.children:
        below = sorted(nx.descendants(lab.graph, child))
        lost = [name for name in below if routes.next_hop(name, from_above=True) != child]
        yield from (f"{machine.id} does not know that {name} is behind {child}" for name in lost)


def _picture(peer: Station | Node, terminal: str) -> dict[str, Any]:
    routes = peer.line.endpoint.routes
    told: dict[str, Any] = {
        "outbox": [id for line in peer.lines for id in line.endpoint.outbox.messages()],
        "routes": dict(sorted(routes.behind.items())),
        "neighbours": sorted([*routes.below, *([routes.upstream] if routes.up and routes.upstream else [])]),
    }
    if isinstance(peer, Station) and peer.id == terminal:
        told["known"] = sorted(peer.role.pilots)
    return told
