"""Streams: every item arrived once, in order and with the same bytes, or it is missing and was reported as missing."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from sim.checks.content.labels import judge_labels
from sim.checks.content.own_streams import own_streams, reported_counts
from sim.checks.result import about_machine, excused, many, result_of
from sim.checks.stream_items import Items, Lost, judge_copies, judge_missing, judge_reports, runs
from sim.emulator.session import item_of, stream_destination
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.topology import Machine, Stream, Topology
from sim.scenario.payloads import fingerprint
from sim.verdict import Check, StreamRow, stream_label

__all__ = ["StreamTimes", "check_streams", "has_streams", "stream_rows", "stream_times"]

ASTRAY = "they came to"


class _StreamRecord:
    """The journal entries of one stream: `made` by its sender, `got` by any recipient."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.made: list[Entry] = []
        self.got: list[Entry] = []


class StreamTimes(Struct, frozen=True):
    """When each item of one stream was made, and when it first arrived (ns), or None."""

    sender: str
    to: str
    items: list[tuple[int, int | None]]
    batches: list[str] = []  # the id of the message that brought each item, if it is known
    is_timed: bool = True  # False of an own program: nobody knows when its items were made, and each stands as it came


def check_streams(index: Index) -> Check:
    """Every item of every stream arrived once, in order and unchanged. Items of own programs are only counted."""
    judged = _all_judged(index)
    broke = [wrong for row, lost, twice in judged for wrong in _wrong(row, lost, twice)]
    others = _own_rows(index)
    broke += [wrong for row in others for wrong in _wrong(row, Lost(), _twice(row))]
    broke += [
        about_machine(machine, f"{machine} says that {name} had {count!r} items, which is no number")
        for machine, name, count in reported_counts(index.evidence)
        if not isinstance(count, int)
    ]
    rows = [*(row for row, _, _ in judged), *(row for row in others if row.is_counted)]
    items = sum(row.sent for row in rows)
    explained = [f"{row.machine} {row.label}: {sentence}" for row, lost, _ in judged for sentence in lost.explained]
    kept_away, idle = excused(index, _idle(index.evidence, rows))
    count = sum(lost.count for _, lost, _ in judged)
    return result_of(
        "streams",
        f"{many(items, 'item')} of {many(len(rows), 'stream')}",
        items,
        broke,
        unknown=idle,
        explained=[*explained, *kept_away],
        figures=f"{many(count, 'item')} missing, explained by faults" if count else "",
    )


def has_streams(evidence: Evidence) -> bool:
    """Whether a stream was played or planned."""
    planned = evidence.session and _planned(evidence.topology)
    return bool(planned or reported_counts(evidence)) or any(True for _ in evidence.journal.of("item_made"))


def stream_rows(index: Index) -> list[StreamRow]:
    """A row for each stream of each session. The stream of a storm is called `storm` with a number."""
    return [*(row for row, _, _ in _all_judged(index)), *_own_rows(index)]


def stream_times(index: Index) -> dict[tuple[str, str], StreamTimes]:
    """The times of the items of each stream, by `machine` and `label` of its row."""
    times = {}
    for stream in _streams(index):
        machine, spec, name, session = _spec(index, stream)
        to = _ends_at(index, stream, machine, spec)
        made = {entry.n: entry.t for entry in stream.made}
        first: dict[int, Entry] = {}
        for entry in stream.got:
            if entry.by == to and entry.n in made:
                first.setdefault(entry.n, entry)
        sender = stream.made[0].by if stream.made else "_" + machine.id
        label = stream_label(name, session)
        times[machine.id, label] = StreamTimes(
            sender,
            to,
            [(t, first[n].t if n in first else None) for n, t in made.items()],
            [first[n].first.rpartition(".")[0] if n in first else "" for n in made],
        )
    for own in own_streams(index):
        sender = f"_{own.row.machine}"
        items: list[tuple[int, int | None]] = [(t, t) for t in own.arrivals]
        times[own.row.machine, own.row.label] = StreamTimes(sender, own.row.to, items, is_timed=False)
    return times


def _streams(index: Index) -> list[_StreamRecord]:
    streams: dict[str, _StreamRecord] = {}
    planned = _planned(index.evidence.topology)
    for entry in index.evidence.journal.of("item_made", "item_got"):
        if _is_planned(entry, planned):
            stream = streams.setdefault(entry.stream, _StreamRecord(entry.stream))
            (stream.made if entry.what == "item_made" else stream.got).append(entry)
    return [stream for _, stream in sorted(streams.items())]


def _all_judged(index: Index) -> list[tuple[StreamRow, Lost, list[str]]]:
    """The judgement of each stream, cached in `index`. It takes long, since it computes all items from the plan."""
    if index.judged_streams is None:
        index.judged_streams = [_judged(index, stream) for stream in _streams(index)]
    return index.judged_streams


def _judged(index: Index, stream: _StreamRecord) -> tuple[StreamRow, Lost, list[str]]:
    """The row of a stream, its missing items, and sentences about items that came again."""
    machine, spec, name, session = _spec(index, stream)
    to = _ends_at(index, stream, machine, spec)
    came = [entry for entry in stream.got if entry.by == to]
    astray = {entry.by for entry in stream.got} - {to}
    times = Counter(entry.n for entry in came)
    made = {entry.n: entry for entry in stream.made}
    missing = sorted(set(made) - set(times))
    items = Items(
        sender=stream.made[0].by if stream.made else "_" + machine.id,
        stream=f"_{machine.id}_{'.'.join(stream.name.split('/')[1:])}" if spec is not None else _flow_id(stream),
        stop=stream.made[0].to if stream.made else to,
        to=to,
        reliable=spec.reliable if spec is not None else True,
        made=made,
        came=came,
    )
    lost = judge_missing(index, items, missing)
    first_times = list({entry.n: None for entry in came})
    labels = judge_labels(index, machine, spec, came) if spec is not None else []
    wrong = [*judge_copies(index, items), *judge_reports(index, items, missing), *labels]
    rate = _rate(came)
    row = StreamRow(
        machine=machine.id,
        stream=name,
        session=session,
        to=to,
        reliable=items.reliable,
        sent=len(made),
        received=len(times.keys() & made.keys()),
        missing=runs(missing),
        where=_where(missing, lost, made=len(made), astray=astray),
        repeated=sum(n - 1 for n in times.values()),
        out_of_order=sum(1 for a, b in itertools.pairwise(first_times) if b < a),
        wrong=sum(1 for e in came if e.n not in made or e.print != _print(index, made[e.n], machine, spec)),
        items_per_s=round(rate, 1),
        mb_per_s=round(rate * _item_bytes(spec) / 1e6, 3),
    )
    return row, lost, wrong


def _rate(came: Sequence[Entry]) -> float:
    seconds = (came[-1].t - came[0].t) / 1e9 if len(came) > 1 else 0.0
    return (len(came) - 1) / seconds if seconds else 0.0


def _wrong(row: StreamRow, lost: Lost, wrong: list[str]) -> Iterator[Violation]:
    for sentence in [*_absent(row, lost), *wrong, *_spoilt(row)]:
        yield about_machine(row.machine, f"{row.machine} {row.label}: {sentence}")


def _absent(row: StreamRow, lost: Lost) -> Iterator[str]:
    missing = runs(lost.unexplained) or (row.missing if not lost.count else [])
    if missing and (row.reliable or not row.where.startswith("reported")):
        count = len(lost.unexplained) or row.sent - row.received
        yield f"{count} of {row.sent} items missing at {row.to}: {', '.join(missing[:5])} ({row.where})"
    elif row.where.startswith(ASTRAY):
        yield f"items for {row.to} went elsewhere too ({row.where})"


def _spoilt(row: StreamRow) -> Iterator[str]:
    if row.out_of_order:
        yield f"{many(row.out_of_order, 'item')} came after a later one to {row.to}"
    if row.wrong:
        yield f"{many(row.wrong, 'item')} came to {row.to} with other content than was made"


def _twice(row: StreamRow) -> list[str]:
    return [f"{many(row.repeated, 'item')} came twice to {row.to}"] if row.repeated else []


def _flow_id(stream: _StreamRecord) -> str:
    """The id of the endpoint of a storm's stream: a name of its own, or one that was opened again."""
    frm, _, number = stream.name.rpartition("#")
    return (stream.made[0].id if stream.made else "") or f"{frm}_flow{number}"


def _own_rows(index: Index) -> list[StreamRow]:
    return [own.row for own in own_streams(index)]


def _spec(index: Index, stream: _StreamRecord) -> tuple[Machine, Stream | None, str, int | None]:
    """The machine of a stream, its plan if the topology has one, its name, and its session if the rig has several."""
    topology = index.evidence.topology
    if "/" not in stream.name:  # a storm's stream: ids and names of streams have no slash
        frm, _, number = stream.name.rpartition("#")
        return topology.machine(machine_of(frm)), None, f"storm {number}", None
    machine, name, session = stream.name.split("/")
    found = topology.machine(machine)
    rig = index.tree.upward(machine)[-2]
    graduates = any(graduation.pilot == rig for graduation in topology.session.graduate)
    return found, found.streams[name], name, int(session) if graduates else None


def _ends_at(index: Index, stream: _StreamRecord, machine: Machine, spec: Stream | None) -> str:
    if spec is None:
        return next((entry.to for entry in stream.made), "")
    to, key = stream_destination(index.evidence.topology, machine, spec)
    return "_" + (to if key == "STREAM_VIDEO" else index.evidence.topology.terminal.id)


def _print(index: Index, made: Entry, machine: Machine, spec: Stream | None) -> str:
    """The fingerprint that an item must have, computed from the plan."""
    if spec is None:
        return made.print
    _, name, session = made.stream.split("/")
    return fingerprint(item_of(index.evidence.seed, machine.id, name, spec, int(session), made.n))


def _where(missing: list[int], lost: Lost, *, made: int, astray: set[str]) -> str:
    if astray:
        return f"{ASTRAY} {', '.join(sorted(astray))}"
    if not missing:
        return ""
    if lost.reported and not lost.count:
        return "reported as gaps by the receiver"
    if not lost.unexplained:
        return "explained by faults"
    return "at the end" if missing[-1] == made - 1 and len(runs(missing)) == 1 else "not reported as missing"


def _planned(topology: Topology) -> set[str]:
    """The streams of emulated programs: `machine/name`."""
    return {f"{machine.id}/{name}" for machine in topology.machines if not machine.program for name in machine.streams}


def _is_planned(entry: Entry, planned: set[str]) -> bool:
    """Whether an item belongs to a storm or to a planned stream. Those of a lab's own program do not."""
    return entry.example >= 0 or entry.stream.rpartition("/")[0] in planned


def _idle(evidence: Evidence, rows: list[StreamRow]) -> list[Violation]:
    """The planned streams of which no item was made."""
    made = {f"{row.machine}/{row.stream}" for row in rows}
    idle = sorted(_planned(evidence.topology) - made) if evidence.session else []
    sentence = "whether items of {} arrive: it made none"
    return [about_machine(name.partition("/")[0], sentence.format(name.replace("/", " "))) for name in idle]


def _item_bytes(spec: Stream | None) -> float:
    if spec is None or spec.shape is None:
        return 0.0 if spec is None else float(spec.bytes or 24 * len(spec.fields or ()))
    return float(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize)
