"""The figures of a report, from the evidence and the checks: latencies, rates, the timeline, how each machine fared."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry, raised
from sim.evidence.quantile import quantile
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.tree import Tree
from sim.report.link_words import fact_words, verb_words
from sim.verdict import Check, Event, Latency, LinkRow, MachineRow, Rate

__all__ = ["advice_for", "latencies", "link_rows", "machine_rows", "rates", "sentence_for", "timeline"]

ONE_FAULT_S = 0.2  # two entries of one kill or restart are at most so far apart
SLOWEST = re.compile(r"; slowest: .*?(?=; but |$)")
SHOWN = {"start", "kill", "restart", "died"}  # journal entries that the timeline shows under their own name


def latencies(index: Index, overloaded: Sequence[tuple[int, int]]) -> list[Latency]:
    """Milliseconds from made to handled, by the number of links crossed, the lowest number first.

    `overloaded` are spans of time, as pairs of nanoseconds. A row is flagged if a tenth of its messages fell into them.
    """
    took: dict[int, list[float]] = defaultdict(list)
    flagged: Counter[int] = Counter()
    terminal = "_" + index.evidence.topology.terminal.id
    for entry in index.made:
        handled = index.handled[entry.id]
        if not handled or entry.key not in ("STORM", "DATA"):
            continue
        hops = len(index.edges(entry.by, entry.to)) + (entry.key == "DATA" and handled[0].by == terminal)
        took[hops].append((handled[0].t - entry.t) / 1e6)
        flagged[hops] += any(start <= handled[0].t <= end for start, end in overloaded)
    rows = []
    for hops, values in sorted(took.items()):
        values.sort()
        rows.append(
            Latency(
                hops=hops,
                count=len(values),
                p50_ms=round(quantile(values, 0.5), 3),
                p90_ms=round(quantile(values, 0.9), 3),
                p99_ms=round(quantile(values, 0.99), 3),
                max_ms=round(values[-1], 3),
                flagged=flagged[hops] > len(values) // 10,
            )
        )
    return rows


def rates(evidence: Evidence) -> list[Rate]:
    """Messages handled in each second of the run, by key. Seconds without a message are left out."""
    begun = _begin(evidence)
    seconds: dict[int, Counter[str]] = defaultdict(Counter)
    for trace in evidence.journal.traces:
        if trace.do == "Deliver":
            seconds[(trace.t - begun) // 10**9][trace.key] += 1
    return [Rate(second=second, by_key=dict(sorted(keys.items()))) for second, keys in sorted(seconds.items())]


def timeline(evidence: Evidence) -> list[Event]:
    """What happened to each machine, in the order of time."""
    begun = _begin(evidence)
    events: list[Event] = []
    storms: set[int] = set()
    for entry in evidence.journal.entries:
        for what, machine, note in _events_of(entry, storms):
            event = Event(at_s=round((entry.t - begun) / 1e9, 3), machine=machine, what=what, note=note)
            if not _is_shown(event, events):
                events.append(event)
    return events


def _is_shown(event: Event, events: Sequence[Event]) -> bool:
    """Whether this kill or restart is in `events` already. The fault and the process that carries it out both say it.
    """
    last = next((e for e in reversed(events) if (e.machine, e.what) == (event.machine, event.what)), None)
    return event.what in ("kill", "restart") and last is not None and event.at_s - last.at_s < ONE_FAULT_S


def _events_of(entry: Entry, storms: set[int]) -> Iterable[tuple[str, str, str]]:
    """What happened, to which machine, and a note. Adds to `storms`, the numbers of storms that have begun."""
    if entry.what in SHOWN:
        yield entry.what, machine_of(entry.to or entry.by), ""
    elif entry.what == "fault":
        facts = entry.value if isinstance(entry.value, dict) else {}
        yield entry.key, entry.to, fact_words({name: fact for name, fact in facts.items() if name != "fault"})
    elif entry.what == "shook":
        yield "handshake", str(entry.value["machine"]), f"by way of {' → '.join(entry.value.get('way') or [])}"
    elif entry.what == "handled" and entry.key in ("START", "STOP"):
        is_graduation = isinstance(entry.value, dict) and bool(entry.value.get("graduation"))
        yield "graduation" if is_graduation else entry.key, machine_of(entry.by), ""
    elif entry.what == "exception":
        exception = raised(entry)
        yield "exception", exception["machine"], exception["exception"][:200]
    elif entry.example >= 0 and entry.example not in storms:
        storms.add(entry.example)
        yield "storm", "", f"storm {entry.example}"


def link_rows(evidence: Evidence) -> list[LinkRow]:
    """What the relays of links journalled, in the order of time."""
    begun = _begin(evidence)
    return [
        LinkRow(
            at_s=round((entry.t - begun) / 1e9, 3),
            link=entry.to,
            what=verb_words(entry.key),
            facts=fact_words(entry.value),
        )
        for entry in evidence.journal.of("link")
    ]


def machine_rows(index: Index, checks: Sequence[Check]) -> list[MachineRow]:
    """How each machine fared. A machine that a violation names fared badly."""
    sent: Counter[str] = Counter(machine_of(entry.by) for entry in index.made)
    handled: Counter[str] = Counter()
    for trace in index.evidence.journal.traces:
        if trace.do == "Deliver":
            handled[machine_of(trace.at)] += 1
    machines = index.evidence.topology.machines
    broke = _first_about((violation for check in checks for violation in check.broke), index.tree)
    doubts = _first_about((doubt for check in checks for doubt in check.doubts), index.tree)
    rows = []
    for machine in machines:
        why, doubt = broke.get(machine.id, ""), doubts.get(machine.id, "")
        rows.append(
            MachineRow(
                id=machine.id,
                parent=machine.parent,
                kind=machine.kind,
                depth=index.tree.depth(machine.id),
                fared="badly" if why else "unknown" if doubt else "well",
                why=why or doubt,
                sent=sent[machine.id],
                handled=handled[machine.id],
            )
        )
    return rows


def sentence_for(verdict: str, checks: Sequence[Check], *, machines: int) -> str:
    """The verdict in one sentence, with the first violation if there is one."""
    failed = [check for check in checks if check.result == "fail"]
    if verdict == "broke":
        names = ", ".join(check.name for check in failed)
        first = failed[0].violations[0] if failed else ""
        return f"BROKE: {names}. {_short(first)}"
    if verdict == "held":
        trials = next((f"{c.looked_at}, {c.figures}" for c in checks if c.name == "trials"), "no trial was asked for")
        return f"HELD: {machines} machines, {trials}"
    if verdict == "interrupted":
        return "INTERRUPTED: partial results, no verdict"
    doubts = sorted((check for check in checks if check.result == "unknown"), key=lambda check: check.name != "confirm")
    text = doubts[0].violations[0].removeprefix("not known: ") if doubts else "it is not known whether all held"
    is_open = not doubts or any(check.name == "settled" for check in doubts)
    return f"{'NOT SETTLED' if is_open else 'NOT DECIDED'}: {_short(text)}"


def _short(sentence: str) -> str:
    """A sentence without the slowest messages that it names: the table of checks has them."""
    return SLOWEST.sub("", sentence)


def advice_for(verdict: str, checks: Sequence[Check], *, has_exception: bool) -> str:
    """What the reader should do next."""
    if has_exception:
        return "Begin with the exception. It may have caused everything else that broke."
    failed = {check.name for check in checks if check.result == "fail"}
    if verdict == "broke" and failed == {"expect"}:
        return "Everything held except the lab's own limits under `expect`. Raise them, or reduce the load."
    if verdict == "broke":
        return "Run it again with the command below. If it breaks again, keep the file that it names and report it."
    if verdict == "unsettled":
        return _advice_if_open([check for check in checks if check.result == "unknown"])
    if verdict == "interrupted":
        return "Run it again, and let it end."
    return "Rehearse again when the lab's file changes. See below what a rehearsal on one machine cannot prove."


def _advice_if_open(doubtful: Sequence[Check]) -> str:
    if any("CPUs of this computer" in text for check in doubtful for text in check.violations):
        return "This computer was too busy to tell. Run it again where nothing else runs, or reduce the load."
    if any(check.name == "settled" for check in doubtful):
        return "Something was still under way when time was up. Give it longer, or reduce the load."
    return "Nothing broke, and something could not be decided. The checks below say what, and why."


def _first_about(violations: Iterable[Violation], tree: Tree) -> dict[str, str]:
    """The first sentence that is about each machine, or about a message or stream of its participants."""
    first: dict[str, str] = {}
    for violation in violations:
        senders = (tree.machine_of(id) for id in violation.messages)
        for machine in (*violation.machines, *(sender for sender in senders if sender is not None)):
            first.setdefault(machine, violation.text)
    return first



def _begin(evidence: Evidence) -> int:
    return min((entry.t for entry in evidence.journal.entries), default=0)
