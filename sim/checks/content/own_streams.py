"""The streams of a lab's own programs: what arrived of them, and how many items the programs say that they sent.

An item of theirs has a form of its own, and nobody knows when it was made. So items are counted, and their rate is
known, but not how long they took.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from msgspec import Struct

from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.verdict import StreamRow

__all__ = ["OwnStream", "own_streams", "reported_counts"]


class OwnStream(Struct):
    """One stream of an own program: its row, and when its items arrived (ns, in order)."""

    row: StreamRow
    arrivals: list[int]


def own_streams(index: Index) -> list[OwnStream]:
    """The streams that own programs report, and those of which items arrived."""
    came = _arrived(index)
    counts = {(machine, name): n for machine, name, n in reported_counts(index.evidence) if isinstance(n, int)}
    unknown = {(m, name) for m, name, n in reported_counts(index.evidence) if not isinstance(n, int)}
    return [
        _own_stream(index, machine, name, counts.get((machine, name)), came.get((machine, name), []))
        for machine, name in sorted({*counts, *came} - unknown)
    ]


def reported_counts(evidence: Evidence) -> list[tuple[str, str, Any]]:
    """What the lab's own programs report as sent: machine, stream and count, which may be of any type."""
    reports = [(m, facts.get("streams")) for m, facts in evidence.expected.items() if isinstance(facts, dict)]
    counts = [(m, str(name), n) for m, streams in reports if isinstance(streams, dict) for name, n in streams.items()]
    return sorted(counts, key=lambda count: count[:2])


def _arrived(index: Index) -> dict[tuple[str, str], list[Entry]]:
    """The items that reached the program of the terminal, by machine and stream."""
    terminal = "_" + index.evidence.topology.terminal.id
    own = {machine.id for machine in index.evidence.topology.machines if machine.program}
    reported = {f"_{machine}_{name}": (machine, name) for machine, name, _ in reported_counts(index.evidence)}
    came: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in index.evidence.journal.of("item_got"):
        if entry.by == terminal and entry.example < 0:
            machine = index.tree.machine_of(entry.first_sender) or ""
            place = reported.get(entry.first_sender, (machine, entry.first_sender.removeprefix(f"_{machine}_")))
            if place[0] in own:
                came[place].append(entry)
    return came


def _own_stream(index: Index, machine: str, name: str, count: int | None, came: list[Entry]) -> OwnStream:
    got = len(came)
    # Without a report nobody knows how many there were; and a program that was killed counts from 0 again.
    is_counted = count is not None and index.outages.killed("_" + machine, 0) is None
    sent = count if count is not None and is_counted else got
    lost = [f"{sent - got} of them"] if got < sent else []
    seconds = (came[-1].t - came[0].t) / 1e9 if got > 1 else 0.0
    row = StreamRow(
        machine=machine,
        stream=name,
        to="_" + index.evidence.topology.terminal.id,
        reliable=True,
        sent=sent,
        is_counted=is_counted,
        received=min(got, sent),
        missing=lost,
        where="not reported as missing" if lost else "",
        repeated=max(0, got - sent),
        items_per_s=round((got - 1) / seconds, 1) if seconds else 0.0,
    )
    return OwnStream(row, [entry.t for entry in came])
