"""Delivery: each message was handled once, was confirmed after that, and was handled in the order of sending."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sim.checks.message_fates import fate_of
from sim.checks.result import about_machine, about_message, many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.verdict import Check

__all__ = ["check_confirm", "check_order"]


def check_confirm(index: Index) -> Check:
    """Each message was handled once in a life and confirmed after that. None was confirmed without being handled."""
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
    broke += [*_same_ids(index), *_sent_once_more(index), *_new_names(index)]
    count = len(index.made) + sum(1 for _ in index.evidence.journal.of("made twice"))
    again = sum(max(0, len(index.sendings[entry.id]) - 1) for entry in index.made)
    figures = f"{again} repeated" + (f", {len(explained)} explained by faults" if explained else "")
    return result_of(
        "confirm", many(count, "message"), count, broke, unknown=unknown, explained=explained, figures=figures
    )


def _same_ids(index: Index) -> list[Violation]:
    """The messages of durable senders that have the id of another, of a former life: one confirms the other."""
    first: dict[tuple[str, str], Entry] = {}
    broke = []
    for entry in index.made:
        own, _, _ = entry.id.rpartition(".")  # as the library gave it, without the life
        former = first.setdefault((entry.by, own), entry)
        if former.life != entry.life and index.durable(entry.by):
            text = f"{entry.by} is durable, and gave the id {own} to a message in a former life and in a later one"
            broke.append(about_message(entry, text))
    return broke


def _sent_once_more(index: Index) -> Iterator[Violation]:
    """The messages of durable senders that were settled in a former life, and sent in a later one.

    In the same life a repeat may wait in a full pipe, and leave when its message is settled.
    """
    starts: dict[str, list[int]] = defaultdict(list)
    for start in index.evidence.journal.of("start"):
        starts[start.by].append(start.t)
    for entry in index.made:
        settled = index.settled.get((entry.by, entry.id)) if index.durable(entry.by) else None
        if settled is None:
            continue
        last = max(index.times_sent(entry), default=0)
        if any(settled.t < start <= last for start in starts[entry.by]):
            text = f"{entry.by} sent {entry.id} to {entry.to} again after a restart, though it was settled before"
            yield about_message(entry, text)


def _new_names(index: Index) -> Iterator[Violation]:
    """The durable participants that go by a new incarnation after a restart: nobody knows what they sent before."""
    lives: dict[str, dict[str, None]] = {}
    for trace in index.evidence.journal.traces:
        if index.durable(trace.at):
            lives.setdefault(trace.at, {})[trace.life] = None
    for name, its in lives.items():
        if len(its) > 1:
            text = f"{name} is durable, and goes by {len(its)} incarnations: {', '.join(its)}"
            yield about_machine(machine_of(name), text)


def _wrong_twice(index: Index, entry: Entry) -> tuple[list[Violation], list[str]]:
    """Judge a message that a raw peer sent twice and never repeats: what is wrong, and what a fault explains."""
    name = f"{entry.id}, which a bare peer sent to {entry.to} twice,"
    handled = index.handled[entry.id]
    settled = index.settled.get((entry.by, entry.id))
    counts = Counter((copy.by, copy.life) for copy in handled)
    broke = [f"{name} was handled {n} times by {by} in one life" for (by, _), n in sorted(counts.items()) if n > 1]
    lost = [] if handled else [f"{name} was never handled"]
    if settled is None or settled.value != "confirmed":
        lost.append(f"{name} was never confirmed")
    path = index.tree.path(machine_of(entry.by), entry.to)
    ids = [entry.id, f"{entry.to}_"]  # the message, or its confirmation
    outage = index.outages.explain([*path, *reversed(path)], entry.t, ids=ids) if lost else None
    explained = [f"{sentence}: {outage.words}" for sentence in lost] if outage is not None else []
    broke += lost if outage is None else []
    return [about_message(entry, sentence) for sentence in broke], explained


def check_order(index: Index) -> Check:
    """The confirmed messages of one sender to one recipient were handled in the order of sending."""
    wanted: dict[tuple[str, str, str, int, int], list[str]] = defaultdict(list)
    for entry in index.made:
        if entry.sought and entry.key in ("STORM", "DATA", "START", "STOP"):
            kind = entry.key if entry.key in ("STORM", "DATA") else "START and STOP"
            is_durable = index.durable(entry.by)  # the order of a durable sender spans its lives
            wanted[entry.by, entry.to, kind, entry.example, 0 if is_durable else entry.life].append(entry.id)
    broke = []
    for (frm, to, kind, _, _), ids in sorted(wanted.items()):
        came = sorted((index.handled[i][0].t, n) for n, i in enumerate(ids) if index.handled[i])
        places = [n for _, n in came]
        late = next((k for k in range(1, len(places)) if places[k] < places[k - 1]), None)
        if late is not None:
            overtaken, before = ids[places[late]], ids[places[late - 1]]
            text = f"{kind} from {frm} to {to}: {overtaken} was handled after {before}"
            broke.append(Violation("", (machine_of(frm), machine_of(to)), (overtaken, before), text, stands=True))
    count = sum(map(len, wanted.values()))
    pairs = len({key[:4] for key in wanted})
    return result_of("order", f"{many(count, 'message')} of {many(pairs, 'pair')}", count, broke)
