"""PURE. When a lab is whole: nothing awaits a confirmation, everybody is there, every route is that of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct, field

from sim.lab.topology import Topology

__all__ = ["Picture", "lacks", "steady"]


T = TypeVar("T")


class Picture(Struct, kw_only=True):
    """What one station or program has to say of itself and of those around it. All lists are sorted."""

    outbox: list[str] = field(default_factory=list)  # ids of messages, and of streams that ended and are not sent
    routes: dict[str, str] = field(default_factory=dict)  # id -> the neighbour below behind which it lies
    neighbours: list[str] = field(default_factory=list)  # that are there, above and below
    known: list[str] = field(default_factory=list)  # machines that shook hands with it, or through it


def lacks(topology: Topology, pictures: Mapping[str, Any]) -> list[str]:
    """What is not as it should be, in words, by the last `Picture` of each participant that was asked; None: silent."""
    found: list[str] = []
    for name, picture in pictures.items():
        if picture is None:
            found.append(f"{name} does not answer")
        elif picture.outbox:
            found.append(f"{len(picture.outbox)} in the outbox of {name}, first {picture.outbox[0]}")
    above = {machine.id: machine.parent for machine in topology.machines}
    for machine in topology.machines:
        at, parent = machine.id, machine.parent
        found += _apart(pictures, at, "_" + at)
        if parent is not None:
            found += _apart(pictures, parent, at) + _apart(pictures, at, parent)
        while parent is not None and (further := above[parent]) is not None:
            found += _astray(pictures, further, machine.id, via=parent)
            parent = further
    known = pictures.get(topology.terminal.id)
    if known is not None:
        missing = [machine.id for machine in topology.machines[1:] if machine.id not in known.known]
        found += [f"{topology.terminal.id} does not know {name}" for name in missing]
    return found


def steady(take: Callable[[], T]) -> T:
    """What `take` gives, which reads what another thread writes: a dict that grows meanwhile is read again."""
    while True:
        try:
            return take()
        except RuntimeError:
            continue


def _apart(pictures: Mapping[str, Any], at: str, peer: str) -> list[str]:
    picture = pictures.get(at)
    return [] if picture is None or peer in picture.neighbours else [f"{at} has no connection with {peer}"]


def _astray(pictures: Mapping[str, Any], at: str, name: str, *, via: str) -> list[str]:
    picture = pictures.get(at)
    if picture is None or picture.routes.get(name) == via:
        return []
    has = picture.routes.get(name)
    return [f"{at} has {'no route' if has is None else f'the route by {has}'} to {name}, which is behind {via}"]
