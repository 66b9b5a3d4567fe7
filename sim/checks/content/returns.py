"""A path that is there again is told to all who were told that there was none, so that nobody waits for nothing.

Who is told sends again at once what waited. Who is not finds out by a repeat, much later.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from sim.checks.result import about_message, many
from sim.evidence.index import Index
from sim.evidence.journal import Entry, Trace
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import machine_of

__all__ = ["late_returns"]

LATE_S = 1.0  # after the path is there again, on links without a quality of their own


class _Path(Struct):
    """The way up from a sender to a recipient, and what became of it."""

    sender: str
    recipient: str
    steps: list[tuple[str, str]]  # participant and upstream, the sender's own first
    down: set[str]  # the participants whose upstream is away
    met: dict[str, int]  # participant -> when it met its upstream last
    told: bool = False  # whether the sender was told that there is no way, and not yet that there is one again


def late_returns(index: Index) -> Iterator[Violation]:
    """The senders that had been told that there is no way up, and did not send when there was one again."""
    for path, back in _returns(index):
        waiting = _waiting(index, path, back)
        if waiting is not None and not _sends(index, path, back) and not _has_cause(index, path, back):
            count = sum(entry.to == path.recipient and entry.t < back for entry in index.made_by[path.sender])
            text = (
                f"{path.sender} had been told that there is no way to {path.recipient}, and sent none of "
                f"{many(count, 'message')} within {LATE_S:g} s of when there was one again"
            )
            yield about_message(waiting, text)


def _returns(index: Index) -> Iterator[tuple[_Path, int]]:
    """Each path of which its sender had been told that it is down, with the time at which all of it was up again."""
    paths = _paths(index)
    by_step: dict[tuple[str, str], list[_Path]] = defaultdict(list)
    for path in paths.values():
        for step in path.steps:
            by_step[step].append(path)
    for trace in index.evidence.journal.traces:
        if trace.do in ("PeerUp", "PeerDown"):
            for path in by_step.get((trace.at, trace.peer), ()):
                yield from _changed(path, trace)
        elif trace.do == "Transmit" and trace.key in ("GONE", "BACK") and (trace.peer, trace.value) in paths:
            paths[trace.peer, trace.value].told = trace.key == "GONE"


def _changed(path: _Path, trace: Trace) -> Iterator[tuple[_Path, int]]:
    if trace.do == "PeerDown":
        path.down.add(trace.at)
        return
    path.down.discard(trace.at)
    path.met[trace.at] = trace.t
    if path.told and not path.down:
        yield path, trace.t
    if trace.at == path.sender:
        path.told = False  # a new connection begins as if all were up


def _paths(index: Index) -> dict[tuple[str, str], _Path]:
    """By sender and recipient, those that lead up."""
    found: dict[tuple[str, str], _Path] = {}
    for entry in index.made:
        if (entry.by, entry.to) in found or not entry.sought or not _is_above(index, entry):
            continue
        steps = list(pairwise(index.tree.path(entry.by, entry.to)))
        found[entry.by, entry.to] = _Path(entry.by, entry.to, steps, set(), {})
    return found


def _is_above(index: Index, entry: Entry) -> bool:
    frm, to = machine_of(entry.by), machine_of(entry.to)
    return frm != to and frm in index.tree and to in index.tree.path(frm, index.evidence.topology.terminal.id)


def _waiting(index: Index, path: _Path, back: int) -> Entry | None:
    """The first message of this life of the sender that was made before the path was there again, and settled later."""
    for entry in index.made_by[path.sender]:
        if entry.to != path.recipient or not entry.sought or entry.t >= back:
            continue
        settled = index.settled.get((entry.by, entry.id))
        killed = index.outages.killed(entry.by, entry.t)
        if (settled is None or settled.t > back) and (killed is None or killed.begins > back):
            return entry
    return None


def _sends(index: Index, path: _Path, back: int) -> bool:
    """Whether anything of it left its sender, or was settled, soon after."""
    until = back + seconds(LATE_S)
    for entry in index.made_by[path.sender]:
        if entry.to != path.recipient:
            continue
        times = index.sent.get((entry.id, *path.steps[0]), [])
        first = bisect_left(times, back)
        if first < len(times) and times[first] <= until:
            return True
        settled = index.settled.get((entry.by, entry.id))
        if settled is not None and back <= settled.t <= until:
            return True
    return False


def _has_cause(index: Index, path: _Path, back: int) -> bool:
    """Whether something else may hold it up: another outage, a link that is slow, a small pipe, or full CPUs."""
    until = back + seconds(LATE_S)
    names = index.tree.path(path.sender, path.recipient)
    struck = index.outages.on(names, both_ways=True)
    if any(outage.lasts(back, until) for outage in struck):
        return True
    if any(outage.verb == "mute" and outage.begins > path.met.get(outage.machine, 0) for outage in struck):
        return True  # a connection that is mute is not up, and nobody has given it up so far
    links = any(index.evidence.topology.machine(machine_of(name)).link is not None for name in names)
    return links or index.evidence.bounds.pipe_bytes is not None or index.was_busy(back, until)
