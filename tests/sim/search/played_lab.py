"""A lab that plays storms in a journal alone, for tests of what plays them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx

from sim.evidence.index import digest
from sim.evidence.journal import Journal, Reader
from sim.lab.topology import Machine, Topology, graph
from sim.scenario import Example, Flow, Op, Opaque, Send, Twice, twice_id
from sim.scenario.payloads import Payload, build, fingerprint, opaque_bytes
from tests.sim.journal_builder import Story, append_to

Breaks = Callable[[Op], bool]
LAB = Topology(
    name="three",
    path="three.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
    ),
)
SEND = Send(frm="T", to="rig_1", payload=Payload(text="[1, 2]"), burst=3)
FLOW = Flow(frm="_cam", to="T", items=5, batch=2, payload=Payload(text="7"))
TWICE = Twice(at="T", to="cam")
OPAQUE = Opaque(at="cam", to="T", size=9)
OPS = (SEND, FLOW, TWICE, OPAQUE)


class PlayedLab:
    """A lab that plays storms in a journal alone, without a fault but in those ops that it breaks."""

    def __init__(self, topology: Topology, *, seed: int, folder: Path, breaks: Breaks = lambda _: False) -> None:
        self.topology = topology
        self.graph = graph(topology)
        self.folder = folder
        self.died: list[str] = []
        self.settle_s = 1.0
        self.played: list[Example] = []
        self.settles = True
        self.is_up = True
        self.missing: list[str] = []
        self.breaks = breaks
        self._tree = self.graph.to_undirected()
        (folder / "journal").mkdir(parents=True)
        self._reader = Reader(folder / "journal")

    def stop(self) -> None:
        self.is_up = False

    def more(self) -> Journal:
        return self._reader.more()

    def start(self) -> None:
        assert self.is_up

    def await_handshakes(self) -> list[str]:
        return self.missing

    def storm(self, example: Example, number: int) -> bool:
        self.played.append(example)
        story = Story()
        for n, op in enumerate(example.ops):
            fate = "lost" if self.breaks(op) else "handled"
            play: dict[type, Any] = {Send: self._send, Flow: self._flow, Twice: self._twice, Opaque: self._opaque}
            play[type(op)](story, op, number, n, fate)
        append_to(self.folder / "journal", story.journal)
        return self.settles

    def _send(self, story: Story, op: Send, number: int, n: int, fate: str) -> None:
        for k in range(op.burst):
            facts: dict[str, Any] = {"id": f"{number}.{n}.{k}", "key": "STORM", "example": number}
            facts["print"] = fingerprint(build(op.payload))
            way = self._way(op.frm, op.to)
            story.note("made", op.frm, to=op.to, sought=op.sought, **facts)
            story.carry(facts["id"], *way)
            if fate == "handled":
                story.note("handled", way[-1], **facts)
            if op.sought:
                story.note("settled", op.frm, value="confirmed", **facts)

    def _flow(self, story: Story, op: Flow, number: int, n: int, fate: str) -> None:
        for k in range(op.items):
            facts: dict[str, Any] = {"stream": f"{op.frm}#{number}.{n}", "n": k, "example": number}
            story.note("item_made", op.frm, to=op.to, print="same", **facts)
            if fate == "handled":
                story.note("item_got", op.to, print="same", **facts)

    def _twice(self, story: Story, op: Twice, number: int, n: int, fate: str) -> None:
        by = f"actor.{op.at}.a"
        facts: dict[str, Any] = {"id": twice_id(by, number, n), "key": "STORM", "example": number}
        story.note("made twice", by, to=op.to, n=n, **facts)
        for _ in range(1 if fate == "handled" else op.times):
            story.note("handled", op.to, **facts)
        story.note("settled", by, value="confirmed", **facts)

    def _opaque(self, story: Story, op: Opaque, number: int, n: int, fate: str) -> None:
        raw = digest(opaque_bytes(op.size, op.seed, number, n))
        for at, peer in itertools.pairwise(self._way(op.at, op.to)):
            story.trace("Transmit", at, peer=peer, digest=raw)
        story.note("opaque", f"actor.{op.to}.b", value=fate == "handled", n=n, example=number)

    def _way(self, frm: str, to: str) -> list[str]:
        here, there = (name.removeprefix("_").removesuffix(".probe") for name in (frm, to))
        stations = [str(name) for name in nx.shortest_path(self._tree, here, there)]
        return [*([frm] if frm != here else []), *stations, *([to] if to.endswith(".probe") else [])]
