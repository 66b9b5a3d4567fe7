"""PURE. Streams: every item once, in order, equal bit for bit, tail included; or missing, and reported as missing."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from sim.evidence import Evidence, Index, machine_behind, many, result_of
from sim.journal import Entry
from sim.payloads import fingerprint
from sim.session import item_of, route_of
from sim.topology import Machine, Stream, Topology
from sim.verdict import Check, StreamRow

__all__ = ["check_streams", "has_streams", "stream_rows"]

ASTRAY = "they came to"


class _Stream:
    """One stream as it was made and as it came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.made: list[Entry] = []
        self.got: list[Entry] = []


def check_streams(index: Index) -> Check:
    """All streams, the session's, the storms' and those of the lab's own programs."""
    rows = stream_rows(index)
    broke = [sentence for row in rows for sentence in _faults(row)]
    broke += [
        f"{machine} says that {name} had {count!r} items, which is no number"
        for machine, name, count in _said(index.evidence)
        if not isinstance(count, int)
    ]
    items = sum(row.sent for row in rows)
    looked_at = f"{many(items, 'item')} of {many(len(rows), 'stream')}"
    return result_of("streams", looked_at, items, broke, unknown=_idle(index.evidence, rows))


def has_streams(evidence: Evidence) -> bool:
    """Whether there is a stream to look at, or should be one."""
    planned = evidence.session and _planned(evidence.topology)
    return bool(planned or _said(evidence)) or any(True for _ in evidence.journal.of("item_made"))


def stream_rows(index: Index) -> list[StreamRow]:
    """A row a stream: `machine`, its name with the session's number or the storm's, and what became of its items."""
    streams: dict[str, _Stream] = {}
    planned = _planned(index.evidence.topology)
    for entry in index.evidence.journal.of("item_made", "item_got"):
        if _is_ours(entry, planned):
            stream = streams.setdefault(entry.stream, _Stream(entry.stream))
            (stream.made if entry.what == "item_made" else stream.got).append(entry)
    gaps = _gaps(index)
    rows = [_row(index, stream, gaps) for _, stream in sorted(streams.items())]
    return rows + _lab_rows(index)


def _row(index: Index, stream: _Stream, gaps: Counter[str]) -> StreamRow:
    machine, spec, short = _spec(index, stream)
    to = _ends_at(index, stream, machine, spec)
    came = [entry for entry in stream.got if entry.by == to]
    astray = {entry.by for entry in stream.got} - {to}
    times = Counter(entry.n for entry in came)
    made = {entry.n: entry for entry in stream.made}
    missing = sorted(set(made) - set(times))
    reliable = spec.reliable if spec is not None else True
    sender = f"_{machine.id}_{short.replace('/', '.')}"
    told = gaps[sender] >= len(missing) if not reliable else False
    size = _item_bytes(spec)
    seconds = (came[-1].t - came[0].t) / 1e9 if len(came) > 1 else 0.0
    rate = (len(came) - 1) / seconds if seconds else 0.0
    return StreamRow(
        machine=machine.id,
        stream=short,
        to=to,
        reliable=reliable,
        sent=len(made),
        received=len(times.keys() & made.keys()),
        missing=_runs(missing),
        where=_where(missing, told=told, made=len(made), astray=astray),
        repeated=sum(n - 1 for n in times.values()),
        out_of_order=sum(1 for a, b in itertools.pairwise(came) if b.n < a.n),
        wrong=sum(1 for e in came if e.n not in made or e.print != _print(index, made[e.n], machine, spec)),
        items_per_s=round(rate, 1),
        mb_per_s=round(rate * size / 1e6, 3),
    )


def _faults(row: StreamRow) -> list[str]:
    name = f"{row.machine} {row.stream}"
    broke = []
    lost = row.sent - row.received
    if row.missing and (row.reliable or not row.where.startswith("reported")):
        runs = ", ".join(row.missing[:5])
        broke.append(f"{name}: {lost} of {row.sent} items missing at {row.to}: {runs} ({row.where})")
    elif row.where.startswith(ASTRAY):
        broke.append(f"{name}: items for {row.to} went elsewhere too ({row.where})")
    if row.repeated:
        broke.append(f"{name}: {many(row.repeated, 'item')} came twice to {row.to}")
    if row.out_of_order:
        broke.append(f"{name}: {many(row.out_of_order, 'item')} came after a later one to {row.to}")
    if row.wrong:
        broke.append(f"{name}: {many(row.wrong, 'item')} came to {row.to} with other content than was made")
    return broke


def _spec(index: Index, stream: _Stream) -> tuple[Machine, Stream | None, str]:
    """The machine, the stream's plan if the topology has one, and a short name."""
    topology = index.evidence.topology
    if "/" not in stream.name:  # which no id and no stream's name has in it
        frm, _, number = stream.name.rpartition("#")
        return topology.machine(machine_behind(frm)), None, f"storm {number}"
    machine, name, session = stream.name.split("/")
    found = topology.machine(machine)
    return found, found.streams[name], f"{name}/{session}"


def _ends_at(index: Index, stream: _Stream, machine: Machine, spec: Stream | None) -> str:
    if spec is None:
        return next((entry.to for entry in stream.made), "")
    to, key = route_of(index.evidence.topology, machine, spec)
    return "_" + (to if key == "STREAM_VIDEO" else index.evidence.topology.terminal.id)


def _print(index: Index, made: Entry, machine: Machine, spec: Stream | None) -> str:
    """The fingerprint the item must have, computed anew from the plan."""
    if spec is None:
        return made.print
    _, name, session = made.stream.split("/")
    return fingerprint(item_of(index.evidence.seed, machine.id, name, spec, int(session), made.n))


def _where(missing: list[int], *, told: bool, made: int, astray: set[str]) -> str:
    if astray:
        return f"{ASTRAY} {', '.join(sorted(astray))}"
    if not missing:
        return ""
    if told:
        return "reported as gaps by the receiver"
    return "at the end" if missing[-1] == made - 1 and len(_runs(missing)) == 1 else "nobody was told"


def _gaps(index: Index) -> Counter[str]:
    """What the library reported as missing, by the stream's own id."""
    gaps: Counter[str] = Counter()
    for trace in index.evidence.journal.traces:
        if trace.do == "Gap":
            gaps[trace.sender] += trace.missing
    return gaps


def _planned(topology: Topology) -> set[str]:
    """The streams of our own programs: `machine/name`."""
    return {f"{machine.id}/{name}" for machine in topology.machines if not machine.program for name in machine.streams}


def _is_ours(entry: Entry, planned: set[str]) -> bool:
    """Whether an item is a storm's or a planned stream's. What a lab's own program sends may have a `stream` too."""
    return entry.example >= 0 or entry.stream.rpartition("/")[0] in planned


def _idle(evidence: Evidence, rows: list[StreamRow]) -> list[str]:
    """What cannot be said of streams that a session should have had items of, and had none."""
    made = {f"{row.machine}/{row.stream.rpartition('/')[0]}" for row in rows}
    idle = sorted(_planned(evidence.topology) - made) if evidence.session else []
    return [f"whether items of {name.replace('/', ' ')} arrive: it made none" for name in idle]


def _said(evidence: Evidence) -> list[tuple[str, str, Any]]:
    """What the lab's own programs say that they sent: machine, stream and count."""
    said = [(machine, facts.get("streams")) for machine, facts in evidence.expected.items() if isinstance(facts, dict)]
    counts = [(m, str(name), n) for m, streams in said if isinstance(streams, dict) for name, n in streams.items()]
    return sorted(counts, key=lambda count: count[:2])


def _lab_rows(index: Index) -> list[StreamRow]:
    """The streams of the lab's own programs: they say how many there were, the journal how many came."""
    terminal = "_" + index.evidence.topology.terminal.id
    came: dict[str, int] = defaultdict(int)
    planned = _planned(index.evidence.topology)
    for entry in index.evidence.journal.of("item_got"):
        if not _is_ours(entry, planned) and entry.by == terminal:
            came[entry.first_sender] += 1
    rows = []
    for machine, name, count in _said(index.evidence):
        if not isinstance(count, int):
            continue
        got = came[f"_{machine}_{name}"]
        lost = [f"{count - got} of them"] if got < count else []
        rows.append(
            StreamRow(
                machine=machine,
                stream=name,
                to=terminal,
                reliable=True,
                sent=count,
                received=min(got, count),
                missing=lost,
                where="nobody was told" if lost else "",
                repeated=max(0, got - count),
            )
        )
    return rows


def _item_bytes(spec: Stream | None) -> float:
    if spec is None or spec.shape is None:
        return 0.0 if spec is None else float(spec.bytes or 24 * len(spec.fields or ()))
    return float(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize)


def _runs(numbers: list[int]) -> list[str]:
    """[1, 2, 3, 7] -> ['1-3', '7']."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [f"{a}-{b}" if b > a else str(a) for a, b in runs]
