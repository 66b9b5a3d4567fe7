"""Delivery: each message handled once and confirmed after that, and in the order in which it was sent."""

from __future__ import annotations

from collections import Counter, defaultdict

from sim.checks.message_fates import fate_of
from sim.checks.result import about_message, many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.verdict import Check

__all__ = ["check_confirm", "check_order"]


def check_confirm(index: Index) -> Check:
    """Handled once in one life and confirmed after that; nothing confirmed that was not handled."""
    broke: list[Violation] = []
    unknown: list[Violation] = []
    explained: list[str] = []
    for entry in index.made:
        fate = fate_of(index, entry)
        broke += fate.broke
        unknown += fate.unknown
        explained += fate.explained
    for entry in index.evidence.journal.of("made twice"):
        wrong, why = _wrong_twice(index, entry)
        broke, explained = broke + wrong, explained + why
    count = len(index.made) + sum(1 for _ in index.evidence.journal.of("made twice"))
    again = sum(max(0, len(index.sendings[entry.id]) - 1) for entry in index.made)
    figures = f"{again} repeated" + (f", {len(explained)} explained" if explained else "")
    return result_of(
        "confirm", many(count, "message"), count, broke, unknown=unknown, explained=explained, figures=figures
    )


def _wrong_twice(index: Index, entry: Entry) -> tuple[list[Violation], list[str]]:
    """What is wrong with what a bare peer, which repeats nothing later, sent twice; and what a fault explains."""
    name = f"{entry.id}, which a bare peer sent to {entry.to} twice,"
    handled = index.handled[entry.id]
    told = index.settled.get((entry.by, entry.id))
    counts = Counter((copy.by, copy.life) for copy in handled)
    broke = [f"{name} was handled {n} times by {by} in one life" for (by, _), n in sorted(counts.items()) if n > 1]
    lost = [] if handled else [f"{name} was never handled"]
    if told is None or told.value != "confirmed":
        lost.append(f"{name} was never confirmed")
    there = index.tree.path(machine_of(entry.by), entry.to)
    ids = [entry.id, f"{entry.to}_"]  # it, or its confirmation
    outage = index.outages.explain([*there, *reversed(there)], entry.t, ids=ids) if lost else None
    explained = [f"{said}: {outage.words}" for said in lost] if outage is not None else []
    broke += lost if outage is None else []
    return [about_message(entry, sentence) for sentence in broke], explained


def check_order(index: Index) -> Check:
    """What one sender sent to one recipient, confirmed, was handled in that order."""
    wanted: dict[tuple[str, str, str, int, int], list[str]] = defaultdict(list)
    for entry in index.made:
        if entry.sought and entry.key in ("STORM", "DATA", "START", "STOP"):
            kind = entry.key if entry.key in ("STORM", "DATA") else "START and STOP"
            is_durable = index.durable(entry.by)  # then its lives are one to whom it sends
            wanted[entry.by, entry.to, kind, entry.example, 0 if is_durable else entry.life].append(entry.id)
    broke = []
    for (frm, to, kind, _, _), ids in sorted(wanted.items()):
        came = sorted((index.handled[i][0].t, n) for n, i in enumerate(ids) if index.handled[i])
        places = [n for _, n in came]
        late = next((k for k in range(1, len(places)) if places[k] < places[k - 1]), None)
        if late is not None:
            one, before = ids[places[late]], ids[places[late - 1]]
            text = f"{kind} from {frm} to {to}: {one} was handled after {before}"
            broke.append(Violation("", (machine_of(frm), machine_of(to)), (one, before), text))
    count = sum(map(len, wanted.values()))
    pairs = len({key[:4] for key in wanted})
    return result_of("order", f"{many(count, 'message')} of {many(pairs, 'pair')}", count, broke)
