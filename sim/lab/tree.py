"""PURE. The way from one participant of a lab to another, as the tree has it."""

from __future__ import annotations

from sim.evidence.index import machine_behind
from sim.lab.topology import Topology

__all__ = ["hops_between", "machines_between"]


def hops_between(topology: Topology, frm: str, to: str) -> tuple[str, ...]:
    """The hops that a sender names to send by a way of its own: the stations between, then the recipient."""
    parents = {machine.id: machine.parent for machine in topology.machines}
    start, end = machine_behind(frm), machine_behind(to)
    stations = _path(parents, start, end)
    through = stations if frm != start else stations[1:]
    return (*through, to) if to != end else tuple(through)


def machines_between(topology: Topology, frm: str, to: str) -> list[str]:
    """The machines that what one participant sends another passes, the first and the last of them included."""
    parents = {machine.id: machine.parent for machine in topology.machines}
    return _path(parents, machine_behind(frm), machine_behind(to))


def _path(parents: dict[str, str | None], start: str, end: str) -> list[str]:
    """The machines from one to the other, both included."""
    up, down = _above(parents, start), _above(parents, end)
    while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
        del up[-1], down[-1]
    return [*up, *reversed(down[:-1])]


def _above(parents: dict[str, str | None], machine: str) -> list[str]:
    """The machine, its parent, and so on to the terminal."""
    found = [machine]
    while (parent := parents[found[-1]]) is not None:
        found.append(parent)
    return found
