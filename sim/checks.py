"""PURE. Journal, plan and graph -> what held and what did not. Each check says what it looked at, and how many.

A check that finds what it cannot decide says `unknown`, which is no pass; one that looked at nothing does too.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from sim.clockchecks import check_clocks
from sim.evidence import Evidence, Index, digest, many, result_of
from sim.journal import Entry
from sim.payloads import opaque_bytes
from sim.scenario import Opaque
from sim.session import subject_of
from sim.streamchecks import check_streams, has_streams, stream_rows
from sim.verdict import Check, TrialRow

__all__ = ["check_all", "check_storm", "trial_rows"]


def check_all(evidence: Evidence) -> list[Check]:
    """Every check of a whole run."""
    index = Index(evidence)
    checks = [check_processes(index), check_handshake(index)]
    if evidence.session and any(m.trials is not None and m.program is None for m in evidence.topology.machines):
        checks += [check_trials(index)]
    if evidence.session:
        checks += [check_session(index), check_clocks(index)]
    if evidence.examples:
        checks += [check_hops(index)]
    checks += [check_confirm(index), check_order(index)]
    if has_streams(evidence):
        checks += [check_streams(index)]
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
    broke = [f"{raised['machine']}: {raised['exception']}" for raised in index.exceptions()]
    broke += [f"the process {name} ended by itself" for name in evidence.died]
    count = 2 * len(evidence.topology.machines)
    return result_of("programs", f"{count} processes", count, broke, figures="" if broke else "none raised, none ended")


def check_handshake(index: Index) -> Check:
    """Every machine's program shook hands, and the terminal knows the way to it, as the graph has it."""
    evidence = index.evidence
    shook: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.of("shook"):
        shook[str(entry.value["machine"])].append(entry)
    machines = evidence.topology.machines[1:]
    begun = min((entry.t for entry in evidence.journal.entries), default=0)
    broke, took = [], [0.0]
    for machine in machines:
        own = [entry for entry in shook[machine.id] if entry.first_sender == "_" + machine.id]
        if not own:
            broke.append(f"{machine.id} never shook hands with the terminal")
            continue
        took.append((own[0].t - begun) / 1e9)
        ways = {tuple(entry.value.get("way") or ()) for entry in shook[machine.id]} - {tuple(index.way(machine.id))}
        broke += [
            f"{machine.id} is on the way {' → '.join(index.way(machine.id))}, and the terminal was told {list(way)}"
            for way in sorted(ways)
        ]
    broke += [f"{name} shook hands, and is not in the lab" for name in sorted(set(shook) - {m.id for m in machines})]
    return result_of(
        "handshake", many(len(machines), "route"), len(machines), broke, figures=f"slowest after {max(took):.1f} s"
    )


def check_hops(index: Index) -> Check:
    """Each storm message went through the stations of its path, in order, and through nothing else."""
    broke: list[str] = []
    made = [entry for entry in index.made if entry.key == "STORM"]
    for entry in made:
        broke += _wrong_hops(index, entry)
        who = index.path(entry.by, entry.to)[-1]
        others = {other.by for other in index.handled[entry.id]} - {who}
        broke += [f"{entry.id} to {entry.to} was handled by {other}" for other in sorted(others)]
    count = len(made)
    for number, example in sorted(index.evidence.examples.items()):
        for n, op in enumerate(example.ops):
            if isinstance(op, Opaque):
                count += 1
                broke += _wrong_opaque(index, number, n, op)
    return result_of("hops", many(count, "message"), count, broke)


def _wrong_hops(index: Index, entry: Entry) -> list[str]:
    expected = index.edges(entry.by, entry.to)
    complete = False
    for edges in index.sendings[entry.id].values():
        if _is_on_path(edges, expected):
            complete = complete or expected[-1] in edges
            continue
        astray = [f"{a} → {b}" for a, b in edges if (a, b) not in expected] or [f"{a} → {b}" for a, b in edges]
        return [f"{entry.id} from {entry.by} to {entry.to} went astray: {', '.join(astray)}"]
    if complete:
        return []
    longest = max(index.sendings[entry.id].values(), key=len, default=[])
    stopped = longest[-1][1] if longest else entry.by
    return [f"{entry.id} from {entry.by} to {entry.to} came no further than {stopped}"]


def _is_on_path(edges: list[tuple[str, str]], expected: list[tuple[str, str]]) -> bool:
    """Whether these bytes took the path, link by link, as far as they came.

    A repeat after a path has come back is the same bytes once more, and may be on its way beside the first: so no link
    may be crossed more often than the one before it, and none before it.
    """
    first_times = list(dict.fromkeys(edges))
    counts = [edges.count(edge) for edge in expected]
    return first_times == expected[: len(first_times)] and counts == sorted(counts, reverse=True)


def _wrong_opaque(index: Index, number: int, n: int, op: Opaque) -> list[str]:
    came = [e.value for e in index.evidence.journal.of("opaque") if (e.example, e.n) == (number, n)]
    name = f"bytes that are no message, from a bare peer at {op.at} to one at {op.to},"
    went = index.by_digest[digest(opaque_bytes(op.size, op.seed, number, n))]
    if came != [True]:
        reached = went[-1][1] if went else op.at
        return [f"{name} did not arrive as they were sent: they came as far as {reached}"]
    expected = index.edges(op.at, op.to)
    edges = [edge for edge in went if not edge[1].startswith("actor.")]
    return [] if edges == expected else [f"{name} went {edges}, not {expected}"]


def check_confirm(index: Index) -> Check:
    """Handled once in one life and confirmed after that; nothing confirmed that was not handled."""
    broke: list[str] = []
    unknown: list[str] = []
    for entry in index.made:
        told = index.settled.get((entry.by, entry.id))
        if entry.sought and told is None:
            unknown.append(f"whether {_message(entry)} was handled: it has not settled")
        elif entry.sought and told is not None and told.value != "confirmed":
            broke.append(f"{_message(entry)} was never confirmed: {told.value}")
        if entry.key in ("STORM", "CRASH", "DATA", "START", "STOP"):
            broke += _wrong_handling(index, entry, told)
    for entry in index.evidence.journal.of("made twice"):
        broke += _wrong_twice(index, entry)
    count = len(index.made) + sum(1 for _ in index.evidence.journal.of("made twice"))
    again = sum(max(0, len(index.sendings[entry.id]) - 1) for entry in index.made)
    return result_of("confirm", many(count, "message"), count, broke, unknown=unknown, figures=f"{again} repeated")


def _wrong_handling(index: Index, entry: Entry, told: Entry | None) -> list[str]:
    handled = index.handled[entry.id]
    broke = _twice(_message(entry), handled)
    if not handled:
        is_confirmed = told is not None and told.value == "confirmed"
        how = "was confirmed, and never handled" if is_confirmed else "was never handled"
        return broke if entry.sought and not is_confirmed else [*broke, f"{_message(entry)} {how}"]
    if told is not None and told.value == "confirmed" and told.t < handled[0].t:
        broke.append(f"{_message(entry)} was confirmed before it was handled")
    if entry.key in ("STORM", "DATA") and any(h.print != entry.print for h in handled):
        broke.append(f"{_message(entry)} arrived with another content than it was sent with")
    lives = {begun.life for begun in index.began[entry.id]}
    if len(lives) > 1 and not any(h.redelivered for h in handled):
        broke.append(f"{_message(entry)} was handled again in a next life, and not marked redelivered")
    return broke


def _wrong_twice(index: Index, entry: Entry) -> list[str]:
    name = f"{entry.id}, which a bare peer sent to {entry.to} twice,"
    handled = index.handled[entry.id]
    told = index.settled.get((entry.by, entry.id))
    broke = _twice(name, handled) if handled else [f"{name} was never handled"]
    if told is None or told.value != "confirmed":
        broke.append(f"{name} was never confirmed")
    return broke


def _twice(name: str, handled: list[Entry]) -> list[str]:
    counts = Counter((entry.by, entry.life) for entry in handled)
    return [f"{name} was handled {n} times by {by} in one life" for (by, _), n in sorted(counts.items()) if n > 1]


def check_order(index: Index) -> Check:
    """What one sender sent to one recipient, confirmed, was handled in that order."""
    wanted: dict[tuple[str, str, str, int], list[str]] = defaultdict(list)
    for entry in index.made:
        if entry.sought and entry.key in ("STORM", "DATA", "START", "STOP"):
            kind = entry.key if entry.key in ("STORM", "DATA") else "START and STOP"
            wanted[entry.by, entry.to, kind, entry.example].append(entry.id)
    broke = []
    for (frm, to, kind, _), ids in sorted(wanted.items()):
        came = sorted((index.handled[i][0].t, n) for n, i in enumerate(ids) if index.handled[i])
        places = [n for _, n in came]
        late = next((k for k in range(1, len(places)) if places[k] < places[k - 1]), None)
        if late is not None:
            broke.append(f"{kind} from {frm} to {to}: {ids[places[late]]} was handled after {ids[places[late - 1]]}")
    count = sum(map(len, wanted.values()))
    return result_of("order", f"{many(count, 'message')} of {many(len(wanted), 'pair')}", count, broke)


def check_trials(index: Index) -> Check:
    """Every trial message of every rig is at the terminal's program, once."""
    rows = trial_rows(index)
    made = sum(row.made for row in rows)
    figures = f"{sum(len(row.missing) for row in rows)} lost, {sum(row.twice for row in rows)} twice"
    broke = [f"{row.rig}: {len(row.missing)} of {row.made} lost, first {row.missing[0]}" for row in rows if row.missing]
    broke += [f"{row.rig}: {row.twice} of {row.made} handled twice" for row in rows if row.twice]
    idle = [f"whether trials of {row.rig} arrive: it made none" for row in rows if not row.made]
    looked_at = f"{many(made, 'message')} of {many(len(rows), 'rig')}"
    return result_of("trials", looked_at, made, broke, unknown=idle, figures=figures)


def trial_rows(index: Index) -> list[TrialRow]:
    """A row a rig."""
    rows = []
    for machine in index.evidence.topology.machines:
        if machine.trials is None or machine.program is not None:
            continue
        made = [entry for entry in index.made if entry.by == "_" + machine.id and entry.key == "DATA"]
        counts = [Counter(h.life for h in index.handled[entry.id]) for entry in made]
        told = [index.settled.get((entry.by, entry.id)) for entry in made]
        rows.append(
            TrialRow(
                rig=machine.id,
                made=len(made),
                sent=sum(1 for entry in made if index.sendings[entry.id]),
                handled=sum(1 for count in counts if count),
                confirmed=sum(1 for entry in told if entry is not None and entry.value == "confirmed"),
                twice=sum(1 for count in counts if count and max(count.values()) > 1),
                missing=[entry.id for entry, count in zip(made, counts, strict=True) if not count],
            )
        )
    return rows


def check_session(index: Index) -> Check:
    """Every START began one task, the states are the machine's own and in order, and every copy is proven whole."""
    evidence = index.evidence
    broke: list[str] = []
    states = 0
    for machine in evidence.topology.machines[1:]:
        if machine.program is None:
            count, wrong = _wrong_states(index, machine.id)
            states, broke = states + count, broke + wrong
    asked, wrong = _wrong_coherence(index)
    broke += wrong
    orders = sum(1 for entry in index.made if entry.key in ("START", "STOP"))
    count = orders + states + asked
    looked_at = f"{many(orders, 'order')}, {many(states, 'state')}, {many(asked, 'session')}"
    return result_of("session", looked_at, count, broke, unknown=evidence.unsettled)


def _wrong_states(index: Index, machine: str) -> tuple[int, list[str]]:
    """What the terminal heard, against what the program said; in between, what the station said by itself."""
    said = [e.value for e in index.evidence.journal.of("state") if e.by == "_" + machine and not e.sender]
    heard = [e for e in index.evidence.journal.of("state") if e.sender and e.value["pilot"] == machine]
    own = [e.value["state"] for e in heard if e.first_sender == "_" + machine]
    broke = []
    if own != said:
        broke.append(f"{machine} said {said}, and the terminal heard {own}")
    last = None
    for entry in heard:
        state = entry.value["state"]
        if entry.first_sender == "_" + machine:
            last = state
        elif state != last:
            broke.append(f"the station {machine} called its own state {state} while its program's was {last}")
            break
    return len(heard), broke


def _wrong_coherence(index: Index) -> tuple[int, list[str]]:
    """Each session of each rig that makes trials: did its machine prove what it sent, and did the terminal have it?"""
    topology = index.evidence.topology
    answers = {
        (e.value["pilot"], e.value["session"], e.value["subject"]): e.value for e in index.evidence.journal.of("cohere")
    }
    graduations = Counter(graduation.pilot for graduation in topology.session.graduate)
    broke = []
    asked = 0
    for rig in (pilot for pilot in topology.pilots if pilot.trials is not None and pilot.program is None):
        proven = 0
        for session in range(1 + graduations[rig.id]):
            asked += 1
            answer = answers.get((rig.id, str(session), subject_of(rig, session)))
            if answer is None:
                broke.append(f"{rig.id} never proved what it sent of session {session}")
            elif not answer["agrees"]:
                broke.append(f"{rig.id} sent {answer['count']} of session {session}, the terminal has {answer['here']}")
            proven += answer["count"] if answer else 0
        made = sum(1 for entry in index.made if entry.by == "_" + rig.id and entry.key == "DATA")
        if proven != made:
            broke.append(f"{rig.id} made {made} messages and vouches for {proven}")
    return asked, broke


def check_expect(index: Index) -> Check:
    """The lab's own limits."""
    expect = index.evidence.topology.expect
    rows = trial_rows(index)
    limits: list[tuple[str, float, float]] = []
    if expect.trials.lost is not None:
        limits.append(("trials lost", sum(len(row.missing) for row in rows), expect.trials.lost))
    if expect.trials.twice is not None:
        limits.append(("trials handled twice", sum(row.twice for row in rows), expect.trials.twice))
    if expect.trials.p99_ms is not None:
        limits.append(("trials p99 ms", trial_p99(index), expect.trials.p99_ms))
    for row in stream_rows(index):
        limit = expect.stream(row.machine, row.stream.partition("/")[0])
        missing = max(0, row.sent - row.received)
        if limit is not None and limit.missing is not None:
            limits.append((f"{row.machine} {row.stream}: items missing", missing, limit.missing))
        if limit is not None and limit.missing_pct is not None:
            pct = 100 * missing / row.sent if row.sent else 0.0
            limits.append((f"{row.machine} {row.stream}: % missing", pct, limit.missing_pct))
    broke = [f"{what}: {round(figure, 2):,.10g} > {limit:,.10g}" for what, figure, limit in limits if figure > limit]
    return result_of("expect", many(len(limits), "limit"), len(limits), broke)


def trial_p99(index: Index) -> float:
    """Milliseconds from made to handled, of trials; 0 where there were none."""
    took = sorted(
        (index.handled[e.id][0].t - e.t) / 1e6 for e in index.made if e.key == "DATA" and index.handled[e.id]
    )
    return took[math.ceil(0.99 * len(took)) - 1] if took else 0.0


def _message(entry: Entry) -> str:
    return f"{entry.key} {entry.id} from {entry.by} to {entry.to}"

