"""PURE. Journal, plan and graph -> what held and what did not. Each check says what it looked at, and how many.

A check that finds what it cannot decide says `unknown`, which is no pass; one that looked at nothing does too.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from sim.checks.clocks import check_clocks
from sim.checks.delivery import fate_of
from sim.checks.limits import check_expect
from sim.checks.recovery import check_recovery, check_whole, has_healing
from sim.checks.session import check_session, check_trials, trial_rows
from sim.checks.streams import check_streams, has_streams
from sim.evidence.index import Evidence, Index, digest, many, result_of
from sim.evidence.journal import Entry
from sim.lab.names import machine_behind
from sim.scenario import Opaque, Send
from sim.scenario.payloads import opaque_bytes
from sim.verdict import Check

__all__ = ["check_all", "check_storm", "trial_rows"]

IN_VAIN = "no confirmation came"  # what a role says that waited for another


def check_all(evidence: Evidence) -> list[Check]:
    """Every check of a whole run."""
    index = Index(evidence)
    checks = [check_processes(index), check_handshake(index)]
    if evidence.session and any(m.trials is not None and m.program is None for m in evidence.topology.machines):
        checks += [check_trials(index)]
    if evidence.session:
        checks += [check_session(index), check_clocks(index)]
    ops = [example.ops for example in evidence.examples.values()]
    if any(not some or any(isinstance(op, Send | Opaque) for op in some) for some in ops):
        checks += [check_hops(index)]  # not where all storms were streams
    order = check_order(index)
    checks += [check_confirm(index), *([order] if order.count or evidence.session else [])]
    if has_streams(evidence):
        checks += [check_streams(index)]
    if has_healing(index):
        checks += [*([check_recovery(index)] if index.outages else []), check_whole(index)]
    expect = check_expect(index)
    return [*checks, expect] if expect.count else checks


def check_storm(evidence: Evidence) -> list[str]:
    """What one storm broke, in sentences that begin with the check's name."""
    index = Index(evidence)
    checks = [check_hops(index), check_confirm(index), check_order(index)]
    if any(True for _ in evidence.journal.of("item_made")):
        checks.append(check_streams(index))
    return [f"{check.name}: {sentence}" for check in checks if check.result == "fail" for sentence in check.violations]


def check_processes(index: Index) -> Check:
    """No process ended that should not have; no program raised."""
    evidence = index.evidence
    excused, broke = _exceptions(index)
    for machine in (machine for machine in evidence.topology.machines if machine.program):
        kill = index.outages.killed("_" + machine.id, 0)
        if kill is not None:
            own = f"{machine.program} on {machine.id} began anew"
            excused.append(f"{own}, what it sent is not counted, and nobody said START again: {kill.words}")
    broke += [f"the process {name} ended by itself" for name in evidence.died if not _was_killed(index, name)]
    count = 2 * len(evidence.topology.machines)
    figures = "" if broke else "none raised, none ended"
    return result_of("programs", f"{count} processes", count, broke, explained=excused, figures=figures)


def _exceptions(index: Index) -> tuple[list[str], list[str]]:
    """What was raised: of which a fault is the reason, since somebody was asked in vain; and what else."""
    told = [(raised["machine"], raised["exception"], raised["traceback"]) for raised in index.exceptions()]
    in_vain = [(machine, f"{machine}: {said}") for machine, said, trace in told if IN_VAIN in said and not trace]
    excused, broke = index.excused(in_vain)
    return excused, [*broke, *(f"{m}: {said}" for m, said, trace in told if IN_VAIN not in said or trace)]


def _was_killed(index: Index, name: str) -> bool:
    """Whether a process ended because a fault killed it, each time that it did."""
    ends = [entry.t for entry in index.evidence.journal.of("died") if entry.to == name]
    return bool(ends) and all(index.outages.is_dead(name, t) for t in ends)


def check_handshake(index: Index) -> Check:
    """Every machine's program shook hands, and the terminal knows the way to it, as the graph has it."""
    evidence = index.evidence
    shook: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.of("shook"):
        shook[str(entry.value["machine"])].append(entry)
    machines = evidence.topology.machines[1:]
    begun = min((entry.t for entry in evidence.journal.entries), default=0)
    broke, explained, took = [], list[str](), [0.0]
    for machine in machines:
        own = [entry for entry in shook[machine.id] if entry.first_sender == "_" + machine.id]
        if not own:
            broke.append(f"{machine.id} never shook hands with the terminal")
            continue
        took.append((own[0].t - begun) / 1e9)
        again = index.outages.last_start("_" + machine.id)
        if again is not None and own[-1].t < again:
            sentence = f"{machine.id} never shook hands again after its program was started again"
            why = _why_never_again(index, machine.id, again)
            broke, explained = broke + [sentence] * (not why), explained + [f"{sentence}: {one}" for one in why]
        ways = {tuple(entry.value.get("way") or ()) for entry in shook[machine.id]} - {tuple(index.way(machine.id))}
        broke += [
            f"{machine.id} is on the way {' → '.join(index.way(machine.id))}, and the terminal was told {list(way)}"
            for way in sorted(ways)
        ]
    broke += [f"{name} shook hands, and is not in the lab" for name in sorted(set(shook) - {m.id for m in machines})]
    figures = f"slowest after {max(took):.1f} s"
    looked_at = many(len(machines), "route")
    return result_of("handshake", looked_at, len(machines), broke, explained=explained, figures=figures)


def _why_never_again(index: Index, machine: str, since: int) -> list[str]:
    """Why the handshake of a program that was started again was given up, where a fault explains that."""
    own = (made for made in index.made if made.by == "_" + machine and made.key == "HANDSHAKE" and made.t >= since)
    return [why for made in own for why in fate_of(index, made).explained][:1]


def check_hops(index: Index) -> Check:
    """Each storm message went through the stations of its path, in order, and through nothing else."""
    broke: list[str] = []
    explained: list[str] = []
    made = [entry for entry in index.made if entry.key == "STORM"]
    for entry in made:
        wrong, why = _wrong_hops(index, entry)
        broke, explained = broke + wrong, explained + why
        who = index.tree.path(entry.by, entry.to)[-1]
        others = {other.by for other in index.handled[entry.id]} - {who}
        broke += [f"{entry.id} to {entry.to} was handled by {other}" for other in sorted(others)]
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


def _wrong_hops(index: Index, entry: Entry) -> tuple[list[str], list[str]]:
    """What is wrong with the way of one message, and what of it a fault explains."""
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
            return [f"{name} went astray: {', '.join(astray)}"], []
        detours.append(f"{name} was passed up, as a station did not know better: {why}")
        complete = complete or expected[-1] in edges
    fate = fate_of(index, entry)
    if complete or fate.is_explained or (fate.told is None and index.outages.killed(entry.by, entry.t)):
        return [], detours
    longest = max(index.sendings[entry.id].values(), key=len, default=[])
    stopped = longest[-1][1] if longest else entry.by
    return [f"{name} came no further than {stopped}"], detours


def _why_astray(
    index: Index, entry: Entry, edges: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> str | None:
    """A station that has lost what lies below it passes up what is for there: excused where a fault made it forget."""
    station, neighbour = next((edge for edge in edges if edge not in expected), ("", ""))
    right = dict(expected).get(station)
    if right is None or index.tree.link(station, neighbour) != (station, True):
        return None
    if index.tree.link(station, right) != (right, False) and machine_behind(right) != station:
        return None  # it belongs neither to a machine below, nor to a node of this one
    at = index.sent[entry.id, station, neighbour][-1]
    struck = (outage for outage in index.outages.on([station, right], both_ways=True) if outage.overlaps(at, at))
    return next((outage.words for outage in struck), None)


def _is_on_path(edges: list[tuple[str, str]], expected: list[tuple[str, str]], *, is_doubled: bool) -> bool:
    """Whether these bytes took the path, link by link, as far as they came.

    A repeat after a path has come back is the same bytes once more, and may be on its way beside the first: so no link
    may be crossed more often than the one before it, and none before it. But for what a link doubled.
    """
    first_times = list(dict.fromkeys(edges))
    counts = [edges.count(edge) for edge in expected]
    in_turn = is_doubled or counts == sorted(counts, reverse=True)
    return first_times == expected[: len(first_times)] and in_turn


def _wrong_opaque(index: Index, number: int, n: int, op: Opaque) -> tuple[list[str], list[str]]:
    """What is wrong with bytes of a bare peer, and what is explained by a fault."""
    told = [e for e in index.evidence.journal.of("opaque") if (e.example, e.n) == (number, n)]
    came = [e.value for e in told]
    name = f"bytes that are no message, from a bare peer at {op.at} to one at {op.to},"
    went = index.by_digest[digest(opaque_bytes(op.size, op.seed, number, n))]
    if came != [True]:
        left, reached = went[-1] if went else (op.at, op.at)
        sentence = f"{name} did not arrive as they were sent: they came as far as {reached}"
        way = index.tree.path(op.at, op.to)
        sent = [e.t for e in index.evidence.journal.of("made opaque") if (e.example, e.n) == (number, n)]
        is_on_way = bool(sent) and left in way
        outage = index.outages.explain(way[way.index(left) :], sent[0], ids=[]) if is_on_way else None
        return ([], [f"{sentence}: {outage.words}"]) if outage is not None else ([sentence], [])
    expected = index.edges(op.at, op.to)
    edges = [edge for edge in went if not edge[1].startswith("actor.")]
    return ([] if edges == expected else [f"{name} went {edges}, not {expected}"]), []


def check_confirm(index: Index) -> Check:
    """Handled once in one life and confirmed after that; nothing confirmed that was not handled."""
    broke: list[str] = []
    unknown: list[str] = []
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


def _wrong_twice(index: Index, entry: Entry) -> tuple[list[str], list[str]]:
    """What is wrong with what a bare peer, which repeats nothing later, sent twice; and what a fault explains."""
    name = f"{entry.id}, which a bare peer sent to {entry.to} twice,"
    handled = index.handled[entry.id]
    told = index.settled.get((entry.by, entry.id))
    counts = Counter((copy.by, copy.life) for copy in handled)
    broke = [f"{name} was handled {n} times by {by} in one life" for (by, _), n in sorted(counts.items()) if n > 1]
    lost = [] if handled else [f"{name} was never handled"]
    if told is None or told.value != "confirmed":
        lost.append(f"{name} was never confirmed")
    there = index.tree.path(machine_behind(entry.by), entry.to)
    ids = [entry.id, f"{entry.to}_"]  # it, or its confirmation
    outage = index.outages.explain([*there, *reversed(there)], entry.t, ids=ids) if lost else None
    return (broke, [f"{said}: {outage.words}" for said in lost]) if outage is not None else ([*broke, *lost], [])


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
            broke.append(f"{kind} from {frm} to {to}: {ids[places[late]]} was handled after {ids[places[late - 1]]}")
    count = sum(map(len, wanted.values()))
    pairs = len({key[:4] for key in wanted})
    return result_of("order", f"{many(count, 'message')} of {many(pairs, 'pair')}", count, broke)
