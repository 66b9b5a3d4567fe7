"""A smaller lab out of a lab: fewer machines, and machines that do less. Whatever comes out is a lab again."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from sim.lab.topology import Expect, Fault, Machine, Stream, Topology
from sim.lab.tree import Tree

__all__ = ["of_machines", "with_faults", "with_machines"]


def of_machines(topology: Topology, kept: Collection[str]) -> Topology:
    """The lab of these machines and the terminal alone. Who was below one that is gone is below the next above it.

    `kept` names one machine at least. Faults stay as they are: whom they name may be gone.
    """
    tree = Tree(topology)
    here = {topology.terminal.id, *kept}
    machines = []
    for machine in topology.machines:
        if machine.id in here:
            above = [id for id in tree.upward(machine.id)[1:] if id in here]
            parent = above[0] if above else None
            machines.append(replace(machine, parent=parent, streams=_streams(machine, above)))
    return with_machines(topology, machines)


def with_machines(topology: Topology, machines: Collection[Machine]) -> Topology:
    """The lab with these machines, parents first, and what of its session holds for them: `children` follow parents."""
    children: dict[str | None, list[str]] = {}
    for machine in machines:
        children.setdefault(machine.parent, []).append(machine.id)
    whole = tuple(replace(machine, children=tuple(children.get(machine.id, ()))) for machine in machines)
    pilots = children.get(topology.terminal.id, [])
    end_s = topology.session.duration_s
    graduate = tuple(g for g in topology.session.graduate if g.pilot in pilots and g.at_s < end_s)
    return replace(topology, machines=whole, session=replace(topology.session, graduate=graduate), expect=Expect())


def with_faults(topology: Topology, faults: tuple[Fault, ...]) -> Topology:
    """The lab with these faults instead of its own."""
    return replace(topology, faults=faults)


def _streams(machine: Machine, above: list[str]) -> dict[str, Stream]:
    """Who sent to a machine that is gone sends the usual way."""
    return {
        name: stream if stream.to is None or stream.to in above else replace(stream, to=None)
        for name, stream in machine.streams.items()
    }
