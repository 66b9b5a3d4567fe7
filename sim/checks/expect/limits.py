"""Limits: the lab's own, compared with what was measured. They count every loss, even where a fault explains it."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from sim.checks.expect.findings import LimitFindings, digits
from sim.checks.expect.journeys import Journeys
from sim.checks.expect.traffic import Traffic, messages, stream_traffic, trials
from sim.checks.expect.windows import FaultWindows
from sim.checks.recovery import recoveries
from sim.checks.result import about_machine, many, result_of
from sim.checks.streams import stream_rows, stream_times
from sim.evidence.index import Index
from sim.evidence.outage import seconds
from sim.evidence.spans import Span, merged
from sim.lab.names import machine_of
from sim.lab.schema import Limits, each
from sim.verdict import Check

__all__ = ["check_expect"]


def check_expect(index: Index) -> Check:
    """What was measured is within the limits of the topology file."""
    checked = _Checked(index)
    checked.check_messages()
    checked.check_streams()
    checked.check_times()
    found = checked.found
    return result_of("expect", many(found.count, "limit"), found.count, found.broke, unknown=found.unknown)


class _Checked:
    """One comparison of all limits."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._expect = index.evidence.topology.expect
        self._busy = merged(index.evidence.busy)
        self._windows = FaultWindows(index)
        self._journeys = Journeys(index)
        self.found = LimitFindings(busy=self._busy)

    # -- messages ----------------------------------------------------------------------------------------------------

    def check_messages(self) -> None:
        """Compare trials, all and of single rigs, and messages of any key."""
        self._check(self._expect.trials, lambda: trials(self._index, self._busy))
        for machine in self._index.evidence.topology.machines:
            makes_trials = machine.trials is not None and machine.program is None
            if makes_trials and (key := self._expect.for_rig(machine.id)) is not None:
                self._check(self._expect.rigs[key], lambda id=machine.id: trials(self._index, self._busy, rig=id))  # type: ignore[misc]
        for name, limits in self._expect.keys.items():
            self._check(limits, lambda name=name: self._messages(name))  # type: ignore[misc]

    def _messages(self, name: str) -> Traffic:
        made = [entry for entry in self._index.made if entry.key == name]
        rig, dot, key = name.rpartition(".")
        if dot and not made:
            ends = [(entry, machine_of(entry.by), machine_of(entry.to)) for entry in self._index.made]
            made = [e for e, frm, to in ends if e.key == key and (fnmatchcase(frm, rig) or fnmatchcase(to, rig))]
        return messages(self._index, name, made, self._busy)

    def _check(self, limits: Limits | tuple[Limits, ...], measure: Callable[[], Traffic]) -> None:
        """Compare one class of traffic with its limits. Measures nothing if there are none."""
        some = [one for one in each(limits) if one != Limits(during=one.during)]
        traffic = measure() if some else None
        for one in some if traffic is not None else []:
            self._compare(traffic.during(one.during, self._windows), one)  # type: ignore[union-attr]

    def _compare(self, traffic: Traffic, limits: Limits) -> None:
        found, name, of = self.found, traffic.name, traffic.machine
        made, there = traffic.made, traffic.made > 0
        found.most(f"{name} {traffic.unit}lost", traffic.lost if there else None, limits.lost, machine=of)
        found.most(f"{name} {traffic.unit}handled twice", traffic.twice if there else None, limits.twice, machine=of)
        missing, calm = (traffic.missing, traffic.missing - traffic.excused) if there else (None, None)
        found.most(f"{name} {traffic.unit}missing", missing, limits.missing, calm=calm, machine=of)
        missing_pct, calm_pct = (None if some is None else 100 * some / made for some in (missing, calm))
        found.most(f"{name} % missing", missing_pct, limits.missing_pct, calm=calm_pct, machine=of)
        came = traffic.came
        slowest = self._journeys.slowest_words
        found.share(f"{name} p50 ms", came, 0.5, limits.p50_ms, machine=of, slowest=slowest)
        found.share(f"{name} p99 ms", came, 0.99, limits.p99_ms, machine=of, slowest=slowest)
        found.rate(f"{name} Hz", traffic.arrivals, limits.rate_hz, idle=traffic.idle, machine=of)

    # -- streams -----------------------------------------------------------------------------------------------------

    def check_streams(self) -> None:
        """Compare each stream with its limits. A limit on a stream that there was none of is unknown."""
        expect, index = self._expect, self._index
        times = stream_times(index) if expect.streams else {}
        held: set[str] = set()
        for row in stream_rows(index) if expect.streams else []:
            key = expect.for_stream(row.machine, row.stream)
            if key is not None:
                held |= {key, *(name for name in (row.stream,) if name in expect.streams)}
                known = times.get((row.machine, row.label))
                traffic = stream_traffic(row, known, self._busy)
                self._check(expect.streams[key], lambda traffic=traffic: traffic)  # type: ignore[misc]
        for name in [name for name in expect.streams if name not in held]:
            self._check(expect.streams[name], lambda name=name: _nothing(name))  # type: ignore[misc]

    # -- how soon ----------------------------------------------------------------------------------------------------

    def check_times(self) -> None:
        """Compare how soon machines shook hands, ran, and worked again after a fault."""
        expect = self._expect
        if expect.handshake_within_s is not None:
            self._check_slowest("handshake", _shook(self._index), expect.handshake_within_s)
        if expect.start_within_s is not None:
            self._check_slowest("start", _started(self._index), expect.start_within_s)
        if expect.recovered_within_s is not None:
            self._check_recoveries(expect.recovered_within_s)

    def _check_slowest(self, what: str, took: dict[str, Span | None], limit: float) -> None:
        """Compare the slowest machine with a limit. A machine whose time is None breaks any limit."""
        never = sorted(machine for machine, span in took.items() if span is None)
        if never:
            self.found.count += 1
            text = f"{what}: never of {', '.join(never[:5])}, and {digits(limit)} s is the limit"
            self.found.broke.append(about_machine(never[0], text))
            return
        spans = {machine: span for machine, span in took.items() if span is not None}
        last = max(spans, key=lambda machine: spans[machine][1] - spans[machine][0], default="")
        note = f", {last} the last"
        self.found.seconds(f"{what}:", spans.get(last), limit, note=note, machine=last)

    def _check_recoveries(self, limit: float) -> None:
        found = self.found
        slowest: dict[str, Span] = {}
        for recovery in recoveries(self._index):
            ends = recovery.outage.ends
            if recovery.took_s is None or ends is None:
                text = f"whether {recovery.machine} is back within {digits(limit)} s: it never was, here"
                found.unknown.append(about_machine(recovery.machine, text))
                continue
            span = (ends, ends + seconds(recovery.took_s))
            slowest[recovery.machine] = max(span, slowest.get(recovery.machine, span), key=_length)
        if not slowest and not found.unknown:
            text = f"whether anything is back within {digits(limit)} s of a fault: none struck"
            found.unknown.append(about_machine("", text))
        count = found.count
        for machine, span in sorted(slowest.items()):
            found.seconds(f"{machine} back after", span, limit, machine=machine)
        found.count = count + 1


def _length(span: Span) -> int:
    return span[1] - span[0]


def _nothing(name: str) -> Traffic:
    return Traffic(name=name, made=0, lost=0, twice=0, missing=0)


def _shook(index: Index) -> dict[str, Span | None]:
    """From the start of the run to the first handshake of each machine's program; None if it had none."""
    begun = min((entry.t for entry in index.evidence.journal.entries), default=0)
    first: dict[str, int] = {}
    for entry in index.evidence.journal.of("shook"):
        first.setdefault(entry.first_sender, entry.t)
    machines = index.evidence.topology.machines[1:]
    return {m.id: (begun, first["_" + m.id]) if "_" + m.id in first else None for m in machines}


def _started(index: Index) -> dict[str, Span | None]:
    """From the first START that was sent until each machine's program handled one; {} if none was sent."""
    sent = [entry.t for entry in index.made if entry.key == "START"]
    if not sent:
        return {}
    first = {name.removeprefix("_"): entries[0].t for name, entries in index.orders.items() if entries}
    rigs = [m.id for m in index.evidence.topology.machines[1:] if m in index.evidence.topology.pilots or m.id in first]
    return {rig: (min(sent), first[rig]) if rig in first else None for rig in rigs}
