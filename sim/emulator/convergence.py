"""Whether a lab has converged after its faults: every outbox empty, every machine connected, every route right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct, field

from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.tree import Tree

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


def divergences(tree: Tree, snapshots: Mapping[str, Snapshot | None]) -> list[Violation]:
    """What differs from a lab that has converged. None in `snapshots`: there was no answer.

    Nothing is left in an outbox, every machine is connected with its neighbours and known to the terminal, and every
    route is the tree's.
    """
    found: list[Violation] = []
    for name, snapshot in snapshots.items():
        if snapshot is None:
            found.append(_about(name, f"{name} does not answer"))
        elif snapshot.outbox:
            found.append(_about(name, f"{_outbox_words(snapshot.outbox)} of {name}", *snapshot.outbox))
    terminal, *below = tree.depth_first()
    for machine in (terminal, *below):
        if (snapshot := snapshots.get(machine)) is not None:
            found += [*_disconnected(tree, machine, snapshot), *_misrouted(tree, machine, snapshot)]
    if (top := snapshots.get(terminal)) is not None:
        missing = [machine for machine in below if machine not in top.known]
        found += [_about(name, f"{terminal} does not know {name}") for name in missing]
    return found


def steady(take: Callable[[], T]) -> T:
    """The result of `take`, which reads dicts of another thread. It is called again if one changed meanwhile."""
    while True:
        try:
            return take()
        except RuntimeError:
            continue


def _about(name: str, text: str, *messages: str) -> Violation:
    return Violation("", (machine_of(name),), messages, text)


def _outbox_words(outbox: list[str]) -> str:
    return f"{len(outbox)} in the outbox ({', '.join(outbox[:5])}{' …' if len(outbox) > 5 else ''})"


def _disconnected(tree: Tree, at: str, snapshot: Snapshot) -> Iterator[Violation]:
    """A station has its parent, its children and its program beside it."""
    parent = tree.parent(at)
    beside = ["_" + at, *tree.children(at), *([parent] if parent is not None else [])]
    yield from (
        _about(at, f"{at} has no connection with {peer}") for peer in beside if peer not in snapshot.neighbours
    )


def _misrouted(tree: Tree, at: str, snapshot: Snapshot) -> Iterator[Violation]:
    """A station knows behind which child each machine further below lies, and takes nobody to be elsewhere."""
    further = [name for name in tree.subtree(at)[1:] if tree.parent(name) != at]
    for name in dict.fromkeys([*further, *sorted(snapshot.routes)]):
        machine, has = machine_of(name), snapshot.routes.get(name)
        if machine in tree and has != (right := tree.next_hop(at, name)):
            route = "no route" if has is None else f"the route by {has}"
            yield _about(at, f"{at} has {route} to {name}, which is behind {right}")
