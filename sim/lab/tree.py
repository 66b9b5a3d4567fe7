"""The machines of a lab as a tree, and the paths of messages in it.

A *path* is the list of participants that a message crosses, including sender and recipient. *Hops* are what a sender
names to choose the path: the stations between, then the recipient. A *link* has the id of the machine at its lower end.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sim.lab.names import is_node, machine_of
from sim.lab.topology import Topology, graph

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Tree"]


class Tree:
    """The tree of one lab. Methods raise KeyError for an unknown machine, unless they return None for it."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._parents = {machine.id: machine.parent for machine in topology.machines}

    def __contains__(self, machine: str) -> bool:
        return machine in self._parents

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """The tree for networkx, with edges from parent to child."""
        return graph(self._topology)

    def machine_of(self, name: str) -> str | None:
        """The machine of a participant or of the endpoint of a stream, or the machine that made a message with this id.

        None if there is none.
        """
        behind = machine_of(name)
        if behind in self._parents:
            return behind
        return max((id for id in self._parents if behind.startswith((id + "_", id + "."))), key=len, default=None)

    def parent(self, machine: str) -> str | None:
        """The parent of a machine. None for the terminal."""
        return self._parents[machine]

    def upward(self, machine: str) -> list[str]:
        """A machine, its parent, and so on to the terminal."""
        found = [machine]
        while (parent := self._parents[found[-1]]) is not None:
            found.append(parent)
        return found

    def depth(self, machine: str) -> int:
        """How many links a machine is below the terminal."""
        return len(self.upward(machine)) - 1

    def subtree(self, *machines: str) -> list[str]:
        """These machines and all below them, in the order of the file."""
        found = set(machines)
        for machine, parent in self._parents.items():  # every parent is before its children
            if parent in found:
                found.add(machine)
        return [machine for machine in self._parents if machine in found]

    def depth_first(self) -> list[str]:
        """The terminal, then each machine followed by all that is below it."""
        children: dict[str | None, list[str]] = {}
        for machine, parent in self._parents.items():
            children.setdefault(parent, []).append(machine)
        found, stack = list[str](), children[None]
        while stack:
            found.append(stack.pop())
            stack += reversed(children.get(found[-1], []))
        return found

    def children(self, machine: str) -> list[str]:
        """The machines directly below a machine, in the order of the file."""
        return [child for child, parent in self._parents.items() if parent == machine]

    def next_hop(self, station: str, name: str) -> str:
        """The neighbour of a station behind which a participant lies. A neighbour lies behind itself."""
        path = self.path(station, name)
        return path[1] if len(path) > 1 else name

    def machines_between(self, frm: str, to: str) -> list[str]:
        """The machines that a message from one participant to another crosses, including the first and the last."""
        up, down = self.upward(machine_of(frm)), self.upward(machine_of(to))
        while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
            del up[-1], down[-1]
        return [*up, *reversed(down[:-1])]

    def path(self, frm: str, to: str) -> list[str]:
        """The path from one participant to another. A message for a program ends at the station of its machine."""
        first = [] if frm == machine_of(frm) else [frm]
        last = [to] if is_node(to) and not to.startswith("_") else []
        return [*first, *self.machines_between(frm, to), *last]

    def hops(self, frm: str, to: str) -> tuple[str, ...]:
        """The hops that a sender names for the path of the tree: the stations between, then the recipient."""
        stations = self.machines_between(frm, to)
        through = stations if frm != machine_of(frm) else stations[1:]
        return (*through, to) if to != machine_of(to) else tuple(through)

    def link(self, frm: str, to: str) -> tuple[str, bool] | None:
        """The link between two neighbours, and whether frm → to is up. None within a machine, or without a link."""
        lower, upper = machine_of(frm), machine_of(to)
        if self._parents.get(lower) == upper:
            return lower, True
        return (upper, False) if self._parents.get(upper) == lower else None
