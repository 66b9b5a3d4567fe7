"""Hops: each message of a storm crossed the stations of its path, in order, and no others."""

from __future__ import annotations

from sim.checks.message_fates import fate_of
from sim.checks.result import about_message, many, result_of
from sim.evidence.index import Index, digest
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.scenario import Opaque
from sim.scenario.payloads import opaque_bytes
from sim.verdict import Check

__all__ = ["check_hops"]


def check_hops(index: Index) -> Check:
    """Each message of a storm crossed the stations of its path, in order, and no others."""
    broke: list[Violation] = []
    explained: list[str] = []
    made = [entry for entry in index.made if entry.key == "STORM"]
    for entry in made:
        wrong, why = _wrong_hops(index, entry)
        broke, explained = broke + wrong, explained + why
        recipient = index.tree.path(entry.by, entry.to)[-1]
        others = {other.by for other in index.handled[entry.id]} - {recipient}
        broke += [about_message(entry, f"{entry.id} to {entry.to} was handled by {other}") for other in sorted(others)]
    count = len(made)
    skips = list(index.evidence.journal.of("skipped"))
    skipped = {(entry.example, entry.n) for entry in skips if entry.sender.startswith("actor.")}
    for number, example in sorted(index.evidence.examples.items()):
        for n, op in enumerate(example.ops):
            if isinstance(op, Opaque) and (number, n) not in skipped:
                count += 1
                wrong, why = _wrong_opaque(index, number, n, op)
                broke, explained = broke + wrong, explained + why
    explained += [f"what {entry.sender or entry.to} was to send was skipped: it was down" for entry in skips]
    return result_of("hops", many(count, "message"), count + len(skips), broke, explained=explained)


def _wrong_hops(index: Index, entry: Entry) -> tuple[list[Violation], list[str]]:
    """What is wrong with the path of one message, and what a fault explains."""
    expected = index.edges(entry.by, entry.to)
    name = f"{entry.id} from {entry.by} to {entry.to}"
    complete = False
    detours = []
    for edges in index.sendings[entry.id].values():
        if _is_on_path(edges, expected, is_doubled=entry.id in index.outages.doubled):
            complete = complete or expected[-1] in edges
            continue
        why = _why_astray(index, entry, edges, expected)
        if why is None:
            astray = [f"{a} → {b}" for a, b in edges if (a, b) not in expected] or [f"{a} → {b}" for a, b in edges]
            return [about_message(entry, f"{name} went astray: {', '.join(astray)}")], []
        detours.append(f"{name} was passed up, since a station had lost the route: {why}")
        complete = complete or expected[-1] in edges
    fate = fate_of(index, entry)
    if complete or fate.is_explained or (fate.settled is None and index.outages.killed(entry.by, entry.t)):
        return [], detours
    longest = max(index.sendings[entry.id].values(), key=len, default=[])
    stopped = longest[-1][1] if longest else entry.by
    return [about_message(entry, f"{name} came no further than {stopped}")], detours


def _why_astray(
    index: Index, entry: Entry, edges: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> str | None:
    """The fault that excuses a detour; None if nothing does.

    A station that has lost a lower neighbour forgets the routes behind it, and passes messages for there up.
    """
    station, neighbour = next((edge for edge in edges if edge not in expected), ("", ""))
    right = dict(expected).get(station)
    if right is None or index.tree.link(station, neighbour) != (station, True):
        return None
    if index.tree.link(station, right) != (right, False) and machine_of(right) != station:
        return None  # the right next participant is neither a machine below nor a node of this one
    at = index.sent[entry.id, station, neighbour][-1]
    struck = (outage for outage in index.outages.on([station, right], both_ways=True) if outage.overlaps(at, at))
    return next((outage.words for outage in struck), None)


def _is_on_path(edges: list[tuple[str, str]], expected: list[tuple[str, str]], *, is_doubled: bool) -> bool:
    """Whether a payload crossed the links of the path in order, as far as it came.

    A repeat has the same bytes, and may be under way together with the first. So a link may be crossed several times,
    but not more often than the link before it, unless a link has duplicated the message.
    """
    first_times = list(dict.fromkeys(edges))
    counts = [edges.count(edge) for edge in expected]
    in_turn = is_doubled or counts == sorted(counts, reverse=True)
    return first_times == expected[: len(first_times)] and in_turn


def _wrong_opaque(index: Index, number: int, n: int, op: Opaque) -> tuple[list[Violation], list[str]]:
    """Judge the bytes that a raw peer sent: what is wrong, and what a fault explains."""
    came = [e.value for e in index.evidence.journal.of("opaque") if (e.example, e.n) == (number, n)]
    name = f"bytes that are no message, from a bare peer at {op.at} to one at {op.to},"
    went = index.by_digest[digest(opaque_bytes(op.size, op.seed, number, n))]
    if came != [True]:
        left, reached = went[-1] if went else (op.at, op.at)
        sentence = f"{name} did not arrive as they were sent: they came as far as {reached}"
        path = index.tree.path(op.at, op.to)
        sent = [e.t for e in index.evidence.journal.of("made opaque") if (e.example, e.n) == (number, n)]
        is_on_path = bool(sent) and left in path
        outage = index.outages.explain(path[path.index(left) :], sent[0], ids=[]) if is_on_path else None
        if outage is not None:
            return [], [f"{sentence}: {outage.words}"]
        return [Violation("", (op.at, op.to), (), sentence)], []
    expected = index.edges(op.at, op.to)
    edges = [edge for edge in went if not edge[1].startswith("actor.")]
    if edges == expected:
        return [], []
    return [Violation("", (op.at, op.to), (), f"{name} went {edges}, not {expected}")], []
