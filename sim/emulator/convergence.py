"""Whether a lab has converged after its faults: every outbox empty, every machine connected, every route right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import Struct, field

from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.lab.topology import Topology

__all__ = ["Snapshot", "divergences", "snapshot_of", "steady"]


T = TypeVar("T")


class Snapshot(Struct, kw_only=True):
    """What one station or program knows of itself and of its neighbours. All lists are sorted."""

    outbox: list[str] = field(default_factory=list)  # ids of messages, and of streams that ended and are not sent
    routes: dict[str, str] = field(default_factory=dict)  # id -> the neighbour below, behind which that id lies
    neighbours: list[str] = field(default_factory=list)  # connected now, above and below
    known: list[str] = field(default_factory=list)  # machines that shook hands with it, or through it


def snapshot_of(endpoint: Endpoint, role: Pilot | Terminal) -> Snapshot:
    """The snapshot of a station, by its endpoint and its role. A machine is known once it has shaken hands.

    Where another thread changes these, call it through `steady`.
    """
    routes = endpoint.routes
    above = [routes.upstream] if routes.up and routes.upstream else []
    if isinstance(role, Terminal):
        known = [name for name, facts in role.pilots.items() if "way" in facts]
    else:
        known = list(role.children)
    return Snapshot(
        outbox=sorted(endpoint.outbox.messages()),
        routes=dict(sorted(routes.behind.items())),
        neighbours=sorted([*routes.below, *above]),
        known=sorted(known),
    )


def divergences(topology: Topology, snapshots: Mapping[str, Snapshot | None]) -> list[str]:
    """What differs from a lab that has converged, a sentence each. A snapshot of None: the participant did not answer.
    """
    found: list[str] = []
    for name, snapshot in snapshots.items():
        if snapshot is None:
            found.append(f"{name} does not answer")
        elif snapshot.outbox:
            found.append(f"{len(snapshot.outbox)} in the outbox of {name}, first {snapshot.outbox[0]}")
    above = {machine.id: machine.parent for machine in topology.machines}
    for machine in topology.machines:
        at, parent = machine.id, machine.parent
        found += _disconnected(snapshots, at, "_" + at)
        if parent is not None:
            found += _disconnected(snapshots, parent, at) + _disconnected(snapshots, at, parent)
        while parent is not None and (further := above[parent]) is not None:
            found += _misrouted(snapshots, further, machine.id, neighbour=parent)
            parent = further
    terminal = snapshots.get(topology.terminal.id)
    if terminal is not None:
        missing = [machine.id for machine in topology.machines[1:] if machine.id not in terminal.known]
        found += [f"{topology.terminal.id} does not know {name}" for name in missing]
    return found


def steady(take: Callable[[], T]) -> T:
    """The result of `take`, which reads dicts that another thread writes. It is called again if one changed meanwhile.
    """
    while True:
        try:
            return take()
        except RuntimeError:
            continue


def _disconnected(snapshots: Mapping[str, Snapshot | None], at: str, peer: str) -> list[str]:
    snapshot = snapshots.get(at)
    return [] if snapshot is None or peer in snapshot.neighbours else [f"{at} has no connection with {peer}"]


def _misrouted(snapshots: Mapping[str, Snapshot | None], at: str, name: str, *, neighbour: str) -> list[str]:
    snapshot = snapshots.get(at)
    if snapshot is None or snapshot.routes.get(name) == neighbour:
        return []
    has = snapshot.routes.get(name)
    return [f"{at} has {'no route' if has is None else f'the route by {has}'} to {name}, which is behind {neighbour}"]
