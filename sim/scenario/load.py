"""The storm of load that a calm lab is given: more than a window of messages and of bytes, also to a slow handler."""

from __future__ import annotations

from sim.lab.names import probe_of
from sim.lab.topology import Machine, Topology
from sim.lab.tree import Tree
from sim.scenario.payloads import Payload
from sim.scenario.scenario import Example, Flow, Send

__all__ = ["load_storm"]

MESSAGES = 1_100  # a window is 1,000
LARGE = Payload(text=f'"{"x" * 250_000}"')
LARGE_COUNT = 40  # 10 MB of them: a window is 8 MiB
SLOW_COUNT, SLOW_MS = 48, 40  # more than a window of bytes, and slower than any sender
ITEMS = 200
STREAMS = 12  # more, of one item each: a stream has sockets of its own


def load_storm(topology: Topology) -> Example | None:
    """The storm, between the terminal and the machine that is farthest from it. None if every link is slow."""
    tree = Tree(topology)
    home = topology.terminal.id
    quick = [m for m in topology.machines[1:] if not _is_slow(topology, tree, m)]
    if not quick:
        return None
    far = max(quick, key=lambda machine: len(tree.path(machine.id, home))).id
    near = next((machine.id for machine in quick if machine.parent == home), far)
    probe, seat = probe_of(far), probe_of(home)
    return Example(
        ops=(
            Send(frm=probe, to=seat, hops=tree.hops(probe, seat), burst=MESSAGES),
            Send(frm=home, to=near, payload=LARGE, burst=LARGE_COUNT),
            Send(frm=seat, to=far, payload=LARGE, burst=SLOW_COUNT, takes_ms=SLOW_MS),
            Flow(frm=probe, to=home, items=ITEMS, batch=1),
            *[Flow(frm=probe, to=home, items=1, batch=1)] * STREAMS,
        )
    )


def _is_slow(topology: Topology, tree: Tree, machine: Machine) -> bool:
    """Whether a link on the way to the terminal has a rate or a latency, which would make the storm take long."""
    way = tree.machines_between(machine.id, topology.terminal.id)
    return any(topology.machine(name).link is not None for name in way)
