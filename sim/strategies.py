"""Hypothesis strategies for storms over a given lab: what may be sent between whom, by which way, carrying what."""

from __future__ import annotations

import itertools
import json
from typing import Any

import networkx as nx
from hypothesis import strategies as st

from sim.emulated import probe_of
from sim.payloads import ArraySpec, Payload
from sim.scenario import Example, Flow, Op, Opaque, Send, Twice
from sim.topology import Topology, graph

__all__ = ["examples", "payloads"]

DTYPES = ["?", "i1", "u1", "<i2", ">i2", "<u4", "<i8", ">u8", "<f2", ">f4", "<f8", "<c16", "S5", "<U3"]

_numbers = st.integers() | st.integers(2**64, 2**90) | st.floats(width=64)
_scalars = st.none() | st.booleans() | _numbers | st.text(max_size=12)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)


def payloads() -> st.SearchStrategy[Payload]:
    """From null to nested JSON (NaN, the infinities, integers beyond 64 bits) to arrays of many dtypes and shapes."""
    arrays = st.builds(
        ArraySpec,
        dtype=st.sampled_from(DTYPES),
        shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
        seed=st.integers(0, 1000),
        layout=st.sampled_from(["C", "F", "strided"]),
    )
    texts = _json.map(json.dumps)
    return st.builds(Payload, text=texts) | st.builds(Payload, text=texts, array=arrays, alone=st.booleans())


@st.composite
def examples(draw: st.DrawFn, topology: Topology, messages: int | None = None) -> Example:
    """One storm of at most `messages` messages (the topology's own limit if None), the bare actors' part among them."""
    lab = _Lab(topology)
    left = topology.storm.messages if messages is None else messages
    ops: list[Op] = []
    for _ in range(draw(st.integers(1, 12))):
        if left < 1:
            break
        op: Send | Flow = draw(lab.flows(left)) if draw(st.integers(0, 4)) == 0 else draw(lab.sends(left))
        left -= op.items if isinstance(op, Flow) else op.burst
        ops.append(op)
    places = draw(st.lists(st.integers(0, len(ops)), min_size=3, max_size=3))
    ops.insert(places[0], draw(lab.twices(numbered=True)))
    ops.insert(places[1], draw(lab.twices(numbered=False)))
    ops.insert(places[2], draw(lab.opaques()))
    return Example(ops=tuple(ops))


class _Lab:
    """Who may speak to whom in one lab."""

    def __init__(self, topology: Topology) -> None:
        self._machines = [machine.id for machine in topology.machines]
        self._paths: dict[str, dict[str, list[str]]] = dict(nx.all_pairs_shortest_path(graph(topology).to_undirected()))
        self._speakers = [(m, name) for m in self._machines for name in (m, "_" + m, probe_of(m))]

    def sends(self, most: int) -> st.SearchStrategy[Send]:
        """A burst between two participants, up, down or across, by id alone or along explicit hops."""
        pairs = [
            (a, b)
            for a, b in itertools.product(self._speakers, self._speakers)
            if a[1] != b[1] and not (a[0] == b[0] and b[1].startswith("_") and not a[1].endswith(".probe"))
        ]

        def send(pair: tuple[Any, Any], explicit: bool, sought: bool, payload: Payload, burst: int) -> Send:
            (at, frm), (end, to) = pair
            # A node is not found by its id alone from another machine: only stations are, and their programs.
            along = explicit or (to.endswith(".probe") and at != end)
            return Send(
                frm=frm,
                to=to,
                hops=self._hops(at, frm, end, to) if along else (),
                sought=sought,
                payload=payload,
                burst=burst,
            )

        return st.builds(
            send,
            st.sampled_from(pairs),
            st.booleans(),
            st.sampled_from([True, True, False]),
            payloads(),
            st.integers(1, min(most, 20)),
        )

    def flows(self, most: int) -> st.SearchStrategy[Flow]:
        """A stream from a node to a station, with whatever batch size."""
        nodes = [name for _, name in self._speakers if name.startswith("_") or name.endswith(".probe")]
        return st.builds(
            Flow,
            frm=st.sampled_from(nodes),
            to=st.sampled_from(self._machines),
            items=st.integers(0, min(most, 40)),
            batch=st.integers(1, 13),
            payload=payloads(),
        )

    def twices(self, *, numbered: bool) -> st.SearchStrategy[Twice]:
        """A bare peer that repeats itself, as ours do or as Autopilot's own."""
        machines = st.sampled_from(self._machines)
        return st.builds(Twice, at=machines, to=machines, times=st.integers(2, 4), numbered=st.just(numbered))

    def opaques(self) -> st.SearchStrategy[Opaque]:
        """Bytes that are no message, over at least one link where there is one."""
        pairs = [(a, b) for a in self._machines for b in self._machines if a != b or len(self._machines) == 1]
        return st.builds(
            lambda pair, size, seed: Opaque(at=pair[0], to=pair[1], size=size, seed=seed),
            st.sampled_from(pairs),
            st.integers(0, 300),
            st.integers(0, 1000),
        )

    def _hops(self, at: str, frm: str, end: str, to: str) -> tuple[str, ...]:
        stations = self._paths[at][end]
        through = stations if frm != at else stations[1:]
        return (*through, to) if to != end else tuple(through)
