"""A journal of a lab of five machines, line by line, and what a diagram shows."""

from __future__ import annotations

import json
from typing import Any

from autopilot_net.protocol.effects import Transmit
from autopilot_net.trace_format import facts
from sim.diagram.build import diagram_of
from sim.diagram.model import Diagram, Lifeline
from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.topology import Machine, Topology
from tests.sim.findings import violation

MS = 1.0
S = 1000.0
LOST = [violation("confirm: never confirmed", messages=("_rig_1_2",))]
LAB = Topology(
    name="five",
    path="five.yaml",
    machines=(
        Machine("T", children=("rig_1", "rig_5")),
        Machine("rig_1", parent="T"),
        Machine("rig_5", parent="T", children=("rig_5_cam",)),
        Machine("rig_5_cam", parent="rig_5"),
        Machine("rig_9", parent="T"),
    ),
)


class Tape:
    """A journal, line by line; times in milliseconds since the run began."""

    def __init__(self) -> None:
        self.journal = Journal(entries=[Entry(t=0, by="T", what="start")])

    def note(self, at_ms: float, what: str, by: str = "parent", **facts: Any) -> None:
        """A program wrote this down."""
        self.journal.entries.append(Entry(t=round(at_ms * 1e6), by=by, what=what, **facts))

    def trace(self, at_ms: float, do: str, at: str, *, life: str = "a", **facts: Any) -> None:
        """An endpoint traced this."""
        self.journal.traces.append(Trace(t=round(at_ms * 1e6), at=at, life=life, do=do, **facts))

    def sent(
        self, at_ms: float, at: str, peer: str, message: dict[str, Any], *, bytes_: str = "", life: str = "a"
    ) -> None:
        """A frame left, with these bytes; by default, those of the first sending."""
        raw = json.dumps(message, separators=(",", ":")).encode()
        traced = facts(Transmit(peer, (b"", raw)))
        self.trace(at_ms, "Transmit", at, life=life, **{**traced, "digest": bytes_ or str(message["id"])})

    def diagram(self, *messages: str) -> Diagram:
        """The picture of what broke with these messages, which there must be."""
        self.journal.entries.sort(key=lambda entry: entry.t)
        self.journal.traces.sort(key=lambda trace: trace.t)
        broke = [violation("confirm: lost", messages=messages)] if messages else LOST
        found = diagram_of(self.journal, LAB, broke)
        assert found is not None
        return found


def trial(id: str = "_rig_1_2", key: str = "DATA", to: str = "T", **more: Any) -> dict[str, Any]:
    """A message as it opens."""
    return {"id": id, "to": to, "sender": id.rpartition("_")[0], "key": key, "value": {"x": 1}, **more}


def confirm(of: str, id: str, to: str) -> dict[str, Any]:
    """The confirmation of a message."""
    return {"id": id, "to": to, "sender": id.rpartition("_")[0], "key": "CONFIRM", "value": of}


def made(tape: Tape, at_ms: float = 1, id: str = "_rig_1_2", **facts: Any) -> None:
    """A program made a message."""
    sender = id.rpartition("_")[0]
    tape.note(at_ms, "made", sender, id=id, sought=True, **{"key": "DATA", "to": "T", **facts})


def hops(diagram: Diagram, end: str | None = None) -> list[tuple[str, str]]:
    """From which machine to which, of the messages' own arrows that ended so."""
    mine = [arrow for arrow in diagram.arrows if not arrow.confirm and end in (None, arrow.end)]
    return [(_name(arrow.frm), _name(arrow.to)) for arrow in mine]


def _name(node: Lifeline) -> str:
    return "_" + node.machine if node.program else node.machine


def whats(diagram: Diagram) -> list[tuple[str, str]]:
    """The marks, from left to right."""
    return [(_name(spot.on), spot.what) for spot in diagram.spots]
