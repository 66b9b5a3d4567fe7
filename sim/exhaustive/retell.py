"""Tells the steps of a find as the journal of a run, so that it is drawn and reported like any other.

Each step takes 10 ms there: a small lab has an order, and hardly any time.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal

from autopilot_net.protocol.effects import Confirmed, Deliver, Effect, Expired
from autopilot_net.trace_format import facts
from sim.diagram.build import diagram_of
from sim.evidence.journal import Entry, Journal, Trace
from sim.evidence.violation import Violation
from sim.exhaustive.play import SmallWorld, begin
from sim.exhaustive.promises import PREFIX, number_of
from sim.exhaustive.situation import SmallStep
from sim.exhaustive.small_hunt import KeptFind
from sim.exhaustive.small_labs import SmallLab
from sim.lab.topology import Machine, Topology
from sim.verdict import Check, Event, MachineRow, Report

__all__ = ["journal_of", "report_of", "topology_of"]

STEP_NS = 10_000_000
TRACE_FIELDS = frozenset(Trace.__struct_fields__)


def topology_of(lab: SmallLab) -> Topology:
    """The lab as a topology."""
    children = {name: tuple(child for child, parent in lab.parents.items() if parent == name) for name in lab.parents}
    machines = tuple(
        Machine(name, parent=parent, durable=name in lab.durable, children=children[name])
        for name, parent in lab.parents.items()
    )
    return Topology(lab.name, f"{lab.name}.yaml", machines)


def journal_of(lab: SmallLab, steps: Sequence[SmallStep]) -> Journal:
    """The journal of these steps, up to the one that breaks something."""
    at = begin(lab)
    told = _Telling(lab)
    for number, step in enumerate(steps, 1):
        world = SmallWorld(lab, at)
        before = at
        try:
            world.take(step)
            at = world.situation()
        except Exception:  # noqa: BLE001  # it is what was found, whatever it is
            told.add(number, step, before.pending, world.effects)
            break
        told.add(number, step, before.pending, world.effects)
    return told.journal


class _Telling:
    """Writes the journal, step by step."""

    def __init__(self, lab: SmallLab) -> None:
        self.lab = lab
        self.journal = Journal(entries=[Entry(t=0, by=name, what="start") for name in lab.parents])
        self._t = 0
        self._sent = {name: 0 for name in lab.parents}

    def add(
        self,
        number: int,
        step: SmallStep,
        pending: Sequence[Sequence[tuple[int, int]]],
        effects: Sequence[tuple[str, str, Effect]],
    ) -> None:
        """One step, what waited for a handler before it, and its effects."""
        self._t = number * STEP_NS
        if step.what == "send":
            self._made(step.where)
        elif step.what == "handle":
            waiting = pending[list(self.lab.parents).index(step.where)]
            self._note("handled", step.where, waiting[0][1])
        elif step.what in ("break", "restart"):
            self._fault(step)
        for name, life, effect in effects:
            self._effect(name, life, effect)

    def _made(self, name: str) -> None:
        mine = [number for number, send in enumerate(self.lab.sends, 1) if send.frm == name]
        number = mine[self._sent[name]]
        self._sent[name] += 1
        to = self.lab.sends[number - 1].to
        self.journal.entries.append(
            Entry(t=self._t, by=name, what="made", id=f"{PREFIX}{number}", key="DATA", to=to, sender=name, sought=True)
        )

    def _note(self, what: str, by: str, number: int, value: str | None = None) -> None:
        send = self.lab.sends[number - 1]
        about: dict[str, Any] = {"id": f"{PREFIX}{number}", "key": "DATA", "to": send.to, "sender": send.frm}
        self.journal.entries.append(Entry(t=self._t, by=by, what=what, value=value, **about))

    def _fault(self, step: SmallStep) -> None:
        verbs = ("reset",) if step.what == "break" else ("kill", "restart")
        for late, verb in enumerate(verbs):
            entry = Entry(t=self._t + late * STEP_NS // 4, by="parent", what="fault", key=verb, to=step.where)
            entry.value = {"what": "machine", "way": "both"}
            self.journal.entries.append(entry)

    def _effect(self, name: str, life: str, effect: Effect) -> None:
        fields = {field: value for field, value in facts(effect).items() if field in TRACE_FIELDS}
        at = self._t + STEP_NS // 2
        self.journal.traces.append(Trace(t=at, at=name, life=life, do=type(effect).__name__, **fields))
        if isinstance(effect, Deliver) and number_of(effect.message.id):
            self._note("began", name, number_of(effect.message.id))
        elif isinstance(effect, Confirmed | Expired) and number_of(effect.id):
            said = "confirmed" if isinstance(effect, Confirmed) else "expired"
            self._note("settled", name, number_of(effect.id), said)


def report_of(kept: KeptFind, *, replay: str, took_s: float = 0.0) -> Report:
    """The report of a find, with its picture, and each of its steps in the timeline."""
    lab = kept.small_lab
    sends = {f"{PREFIX}{number}": send for number, send in enumerate(lab.sends, 1)}
    named = [id for id in sends if f"{id} " in f"{kept.why} "]
    machines = dict.fromkeys(name for id in named for name in (sends[id].frm, sends[id].to)) or dict.fromkeys(
        lab.parents
    )
    broke = Violation(kept.check, tuple(machines), tuple(named), kept.why)
    return Report(
        lab=lab.name,
        file=lab.words,
        seed=0,
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        took_s=took_s,
        up_s=None,
        verdict="broke",
        sentence=str(broke),
        advice="take the steps again, and look at the effects of each",
        broke=[str(broke)],
        replay=replay,
        versions={"Python": sys.version.split()[0]},
        platform=platform.platform(),
        machines=_machine_rows(lab, machines),
        checks=[Check(name=kept.check, looked_at=lab.words, count=1, result="fail", broke=[broke])],
        timeline=[
            Event(at_s=number * STEP_NS / 1e9, machine=step.where or "all", what=step.what, note=step.way)
            for number, step in enumerate(kept.steps, 1)
        ],
        diagram=diagram_of(journal_of(lab, kept.steps), topology_of(lab), [broke]),
        not_proven=["anything beyond the bound, and the time that things take: a small lab has an order alone"],
    )


def _machine_rows(lab: SmallLab, struck: Collection[str]) -> list[MachineRow]:
    depth: dict[str, int] = {}
    rows = []
    for name, parent in lab.parents.items():
        depth[name] = 0 if parent is None else depth[parent] + 1
        fared: Literal["well", "badly"] = "badly" if name in struck else "well"
        rows.append(MachineRow(id=name, parent=parent, kind=None, depth=depth[name], fared=fared))
    return rows
