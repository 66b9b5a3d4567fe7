"""The evidence of a run with nothing wrong in it, and ways to change one thing in it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from sim.checks.registry import check_all
from sim.checks.streams import stream_rows
from sim.emulator.session import item_of, stream_name
from sim.evidence.index import Evidence, Index, digest
from sim.evidence.journal import Entry, Trace
from sim.lab.topology import Expect, Limits, Machine, Topology, Trials
from sim.scenario import Crash, Example, Flow, Opaque, Send, Twice, twice_id
from sim.scenario.payloads import fingerprint, opaque_bytes
from sim.verdict import Check, StreamRow
from tests.sim.journal_builder import CAMERA, SEED, WHEEL, Story

TRIP = ["rig_1.probe", "rig_1", "T", "T.probe"]
TWICE = Twice(at="T", to="rig_1")
OPAQUE = Opaque(at="rig_1", to="T", size=20, seed=1)
STORMS = {
    0: Example(
        ops=(
            Send(frm="rig_1.probe", to="T.probe", hops=("rig_1", "T", "T.probe"), burst=2),
            TWICE,
            OPAQUE,
            Flow(frm="rig_1.probe", to="T", items=4, batch=2),
            Send(frm="T", to="rig_1", sought=False),
        )
    ),
    1: Example(ops=(Crash(frm="T", to="rig_1"),)),
}


def lab(*more: Machine, **keys: Any) -> Topology:
    """A terminal, a rig with two streams, and `more` machines."""
    streams = {"wheel": WHEEL, "camera": CAMERA}
    rig = Machine("rig_1", parent="T", subjects=("mouse",), trials=Trials(), streams=streams)
    return Topology(name="two", path="two.yaml", machines=(Machine("T", children=("rig_1",)), rig, *more), **keys)


def healthy() -> Evidence:
    """The evidence of a complete run: a session, a storm and a crash. Every check passes."""
    story = Story()
    story.note("start", "T")
    story.note("start", "rig_1")
    story.shook("rig_1", "rig_1")
    _session(story)
    _storm(story)
    _crash(story)
    topology = lab(
        expect=Expect(
            trials=Limits(lost=0, twice=0, p99_ms=50.0),
            streams={"wheel": Limits(missing=0), "rig_1.camera": Limits(missing_pct=10.0)},
        )
    )
    return Evidence(topology=topology, seed=SEED, journal=story.journal, examples=STORMS)


def _session(story: Story) -> None:
    story.relayed("_T_0", ["_T", "T", "rig_1"], by="_rig_1", key="START", then=[lambda: story.says("rig_1", "RUNNING")])
    for n in range(3):
        story.relayed(f"_rig_1_{n}", ["_rig_1", "rig_1", "T"], by="_T", key="DATA")
    for name, spec in (("wheel", WHEEL), ("camera", CAMERA)):
        for n in range(10):
            shown = fingerprint(item_of(SEED, "rig_1", name, spec, 0, n))
            story.item(stream_name("rig_1", name, 0), n, by="_rig_1", to="T", at="_T", shown=shown)
    story.heard("rig_1", "RUNNING", sender="rig_1")  # the station, asked by PING
    story.clock("rig_1", 0.0002, 0.0005)
    story.clock("rig_1", -0.0001, 0.0003)
    story.relayed("_T_1", ["_T", "T", "rig_1"], by="_rig_1", key="STOP", then=[lambda: story.says("rig_1", "IDLE")])
    proof = {"pilot": "rig_1", "subject": "mouse", "session": "0", "count": 3, "agrees": True, "here": 3}
    story.note("cohere", "_T", first_sender="_rig_1", value=proof)


def _storm(story: Story) -> None:
    for n in range(2):
        story.message(f"rig_1.probe_{n}", TRIP, key="STORM", example=0)
    said = twice_id("actor.T.a", 0, 1)
    story.note("made twice", "actor.T.a", id=said, key="STORM", to="rig_1", example=0, n=1)
    story.carry(said, "T", "rig_1")
    story.note("handled", "rig_1", id=said, key="STORM", sender="actor.T.a", example=0)
    story.note("settled", "actor.T.a", id=said, key="STORM", to="rig_1", example=0, value="confirmed")
    raw = digest(opaque_bytes(OPAQUE.size, OPAQUE.seed, 0, 2))
    story.trace("Transmit", "rig_1", peer="T", digest=raw, head="\N{REPLACEMENT CHARACTER}\0")
    story.trace("Transmit", "T", peer="actor.T.b", digest=raw, head="\N{REPLACEMENT CHARACTER}\0")
    story.note("opaque", "actor.T.b", value=True, example=0, n=2)
    for n in range(4):
        story.item("rig_1.probe#0.3", n, by="rig_1.probe", to="T", at="T", shown="pay", example=0)
    story.message("T_5", ["T", "rig_1"], key="STORM", example=0, sought=False)


def _crash(story: Story) -> None:
    facts: dict[str, Any] = {"id": "T_9", "key": "CRASH", "example": 1}
    story.note("made", "T", to="rig_1", sought=True, **facts)
    story.carry("T_9", "T", "rig_1")
    story.note("began", "rig_1", **facts)
    story.note("kill", "parent", to="rig_1")
    story.note("restart", "parent", to="rig_1")
    story.carry("T_9", "T", "rig_1", sending="again")
    story.note("began", "rig_1", life=1, redelivered=True, **facts)
    story.note("handled", "rig_1", life=1, redelivered=True, **facts)
    story.note("settled", "T", to="rig_1", value="confirmed", **facts)


def found(run: Evidence, what: str, **facts: Any) -> Entry:
    """The first entry of this kind with these facts."""
    return next(e for e in run.journal.of(what) if all(getattr(e, name) == fact for name, fact in facts.items()))


def forget(run: Evidence, what: str, **facts: Any) -> Entry:
    """Remove that entry from the journal, and return it."""
    entry = found(run, what, **facts)
    run.journal.entries = [other for other in run.journal.entries if other is not entry]
    return entry


def again(run: Evidence, what: str, **facts: Any) -> Entry:
    """Insert a copy of that entry right after it, and return the copy."""
    entry = found(run, what, **facts)
    place = next(n for n, other in enumerate(run.journal.entries) if other is entry)
    run.journal.entries.insert(place + 1, replace(entry))
    return run.journal.entries[place + 1]


def crossings(run: Evidence, id: str) -> list[Trace]:
    """The links that a message crossed."""
    return [trace for trace in run.journal.traces if trace.do == "Transmit" and trace.id == id]


def violations_by_check(run: Evidence, result: str) -> dict[str, list[str]]:
    return {check.name: check.violations for check in check_all(run) if check.result == result}


def broke(run: Evidence) -> dict[str, list[str]]:
    """The violations of each check that fails, by its name."""
    return violations_by_check(run, "fail")


def check_of(run: Evidence, name: str) -> Check:
    return next(check for check in check_all(run) if check.name == name)


def row_of(run: Evidence, stream: str) -> StreamRow:
    return next(row for row in stream_rows(Index(run)) if row.stream == stream)


def reported(missing: int, *, first: int, sender: str = "_rig_1_camera.0") -> Trace:
    return Trace(t=0, at="T", life="a", do="Gap", sender=sender, first=first, missing=missing)


def limited(run: Evidence, **limits: Any) -> Evidence:
    run.topology = replace(run.topology, expect=Expect(**limits))
    return run
