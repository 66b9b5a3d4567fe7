"""Clocks: what the library says of them is right. Each machine has a clock of its own, which is set in mid-session.

The true offsets are those that the journal shows: see `sim.evidence.true_clocks`. The library says how far the clock
of a machine is from the terminal's: the node of a program whenever it sends, and the station with the states that it
tells. And with these offsets, the time that a message took must come out right, though two clocks were read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from sim.checks.result import about_machine, excused, many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.quantile import quantile
from sim.evidence.true_clocks import READ_S, Span, TrueClocks
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.scenario.clocks import DRIFT
from sim.verdict import Check, ClockRow

__all__ = ["check_clocks", "clock_rows"]

LEARNS_S = 3.0  # how soon all know that the terminal's clock was set, once its station has noticed
AGAIN_S = 10.0  # how long after an outage a connection is there again, at the latest
SENT_S = 1.0  # how long after a station has looked at its clock it sends what it saw
SHOWN = 3  # violations of each machine: those that follow are the same


class Told(Struct, frozen=True):
    """What the library said: the terminal's clock is so far ahead of the machine's. Seconds; `since`, `until` in ns."""

    machine: str
    by: str  # the participant that said it
    since: int  # it was so at some time from here
    until: int  # to here
    offset: float
    uncertainty: float


class Took(Struct, frozen=True):
    """How long a message was under way by two clocks, and the least and the most it can have been. Seconds."""

    made: Entry
    by_clocks: float
    uncertainty: float
    truth: Span

    @property
    def is_wrong(self) -> bool:
        return self.truth.distance(self.by_clocks) > self.uncertainty


def check_clocks(index: Index) -> Check:
    """Every machine said how far its clock is from the terminal's, and each time that was true, ± what it said."""
    clocks = _clocks_of(index)
    machines = [machine.id for machine in index.evidence.topology.machines[1:]]
    told = [*_told_by_nodes(index), *_told_by_stations(index)]
    judged = {one.machine for one in told if clocks.offsets(one.machine, one.since, one.until)}
    broke = [*_wrong_offsets(index, clocks, told), *_wrong_latencies(index, clocks)]
    explained, silent = excused(index, [_unjudged(id, told) for id in machines if id not in judged])
    widest = max((row.uncertainty_ms for row in clock_rows(index) if row.uncertainty_ms is not None), default=0.0)
    count = len(machines) - len(silent)
    sets = sum(len(clocks.settings(id)) for id in (index.evidence.topology.terminal.id, *machines))
    figures = f"± {widest:.2f} ms at most" + (f"; {many(sets, 'clock')} set" if sets else "")
    figures += "; moments of full CPUs left out" if index.evidence.busy else ""
    return result_of(
        "clocks", many(count, "machine"), count, broke, unknown=silent, explained=explained, figures=figures
    )


def clock_rows(index: Index) -> list[ClockRow]:
    """A row for each machine but the terminal: what it told the terminal last, and what is true."""
    clocks, told = _clocks_of(index), defaultdict(list)
    for one in _told_by_stations(index):
        told[one.machine].append(one)
    took = defaultdict(list)
    for one_way in _latencies(index, clocks):
        took[machine_of(one_way.made.by)].append(one_way.by_clocks)
    rows = []
    for machine in index.evidence.topology.machines[1:]:
        row = ClockRow(machine=machine.id, told=len(told[machine.id]))
        if told[machine.id]:
            last = told[machine.id][-1]
            row.offset_ms, row.uncertainty_ms = round(1e3 * last.offset, 4), round(1e3 * last.uncertainty, 4)
            truth = clocks.offsets(machine.id, last.until, last.until)
            row.true_ms = round(1e3 * (truth[0].low + truth[0].high) / 2, 4) if truth else None
        if took[machine.id]:
            row.latency_ms = round(1e3 * quantile(sorted(took[machine.id]), 0.5), 3)
        row.sets = len(clocks.settings(machine.id))
        rows.append(row)
    return rows


def _unjudged(machine: str, told: list[Told]) -> Violation:
    why = "the clocks were never read" if any(one.machine == machine for one in told) else "it never said"
    return about_machine(machine, f"how far the clock of {machine} is from the terminal's: {why}")


# -- offsets ---------------------------------------------------------------------------------------------------------


def _wrong_offsets(index: Index, clocks: TrueClocks, told: list[Told]) -> Iterator[Violation]:
    shown: dict[str, int] = defaultdict(int)
    noticed = _noticed(index, clocks)
    for one in told:
        # On full CPUs a process may stand still from when it looked at its clock until it sent what it saw, and between
        # the readings of two clocks that the truth is made from.
        if index.was_busy(one.since, one.until):
            continue
        truth = clocks.offsets(one.machine, one.since, one.until, terminal_since=_may_stem_from(index, noticed, one))
        if not truth or min(span.distance(one.offset) for span in truth) <= one.uncertainty:
            continue
        shown[one.machine] += 1
        if shown[one.machine] <= SHOWN:
            now = clocks.offsets(one.machine, one.until, one.until)[-1]
            yield about_machine(
                one.machine,
                f"{one.by} took the terminal's clock to be {_ms(one.offset)} ahead of its own, "
                f"± {_ms(one.uncertainty)}; it was {_ms((now.low + now.high) / 2)}",
            )


def _may_stem_from(index: Index, noticed: dict[int, int], told: Told) -> int:
    """From when on what was told may stem: who has not heard yet that the terminal's clock was set does not know it."""
    topology = index.evidence.topology
    since = told.since - seconds(LEARNS_S)
    since = min([since, *(at for at, known in noticed.items() if known >= since)])
    path = index.tree.path(topology.terminal.id, told.machine)
    path = [name for station in path for name in (station, "_" + station, station)]
    for outage in reversed(index.outages.on(path, both_ways=True)):
        if outage.begins <= told.until and (outage.ends is None or outage.ends + seconds(AGAIN_S) >= since):
            since = min(since, outage.begins - seconds(LEARNS_S + topology.ping_interval_s))
    return since


def _noticed(index: Index, clocks: TrueClocks) -> dict[int, int]:
    """When the terminal's clock was last as before it was set, and when its station next did something."""
    terminal = index.evidence.topology.terminal.id
    sets = clocks.settings(terminal)
    awake = [trace.t for trace in index.evidence.journal.traces if trace.at == terminal] if sets else []
    return {before: next((t for t in awake if t > after), after) for before, after in sets.items()}


def _told_by_nodes(index: Index) -> Iterator[Told]:
    """What the node of a program knew whenever it sent something."""
    terminal = index.evidence.topology.terminal.id
    for entry in index.made:
        machine = machine_of(entry.by)
        if entry.known is not None and machine != terminal:
            yield Told(machine, entry.by, entry.begun or entry.t, entry.t, *entry.known)


def _told_by_stations(index: Index) -> Iterator[Told]:
    """What stations told the terminal, with the states of their machines."""
    sent = _first_sent(index)
    for entry in index.evidence.journal.of("clock"):
        machine = str(entry.value["machine"])
        until = max((t for t in sent[machine, entry.first or entry.id].values() if t <= entry.t), default=entry.t)
        since = until - seconds(SENT_S)
        for outage in index.outages.on([machine, index.tree.parent(machine) or ""], both_ways=True):
            if outage.begins <= until and (outage.ends is None or outage.ends + seconds(AGAIN_S) >= since):
                since = min(since, outage.begins)  # it may have waited for as long as that
        yield Told(machine, machine, since, until, entry.value["offset"], entry.value["uncertainty"])


def _first_sent(index: Index) -> dict[tuple[str, str], dict[str, int]]:
    """When each life of a station first sent a state on, by the station and the id under which the message began."""
    sent: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for trace in index.evidence.journal.traces:
        if trace.do == "Transmit" and trace.key in ("STATE", "HANDSHAKE"):
            sent[trace.at, trace.origin or trace.id].setdefault(trace.life, trace.t)
    return sent


# -- latencies -------------------------------------------------------------------------------------------------------


def _wrong_latencies(index: Index, clocks: TrueClocks) -> Iterator[Violation]:
    shown: dict[str, int] = defaultdict(int)
    for one in _latencies(index, clocks):
        if not one.is_wrong:
            continue
        machine = machine_of(one.made.by)
        shown[machine] += 1
        if shown[machine] <= SHOWN:
            yield about_machine(
                machine,
                f"{one.made.key} {one.made.id} from {one.made.by} took {_ms(one.by_clocks)} by the clocks of both "
                f"ends, ± {_ms(one.uncertainty)}; it took {_ms(one.truth.high)}",
                messages=(one.made.id,),
            )


def _latencies(index: Index, clocks: TrueClocks) -> Iterator[Took]:
    """The messages to the terminal, while no clock was set: how long each took by the clocks, as a lab computes it."""
    terminal = index.evidence.topology.terminal.id
    for made in index.made:
        machine = machine_of(made.by)
        handled = index.handled[made.id]
        if made.known is None or machine == terminal or not handled or machine_of(handled[0].by) != terminal:
            continue
        sent = _sent_at(made, handled[0])
        if sent is None or index.was_busy(made.begun or made.t, handled[0].t):
            continue
        if not _is_right(clocks, machine, made, handled[0]):
            continue
        offset, uncertainty = made.known
        under_way_s = (handled[0].t - (made.begun or made.t)) / 1e9
        yield Took(
            made=made,
            by_clocks=_took(sent, handled[0].wall, offset),
            uncertainty=uncertainty + 2 * READ_S + DRIFT * under_way_s,  # the terminal's own quartz gains meanwhile
            truth=Span((handled[0].t - made.t) / 1e9, under_way_s),
        )


def _took(sent: float, handled: float, offset: float) -> float:
    """How long a message took, from its time of day by its machine's clock to that by the terminal's."""
    return handled - (sent + offset)


def _sent_at(made: Entry, handled: Entry) -> float | None:
    """The time of day at which a message was made, by its machine's clock: its timestamp, if no relay renewed it."""
    if not handled.wall:
        return None
    if handled.first:
        return made.wall or None
    try:
        return datetime.fromisoformat(handled.stamp).timestamp()
    except ValueError:
        return None


def _is_right(clocks: TrueClocks, machine: str, made: Entry, handled: Entry) -> bool:
    """Whether the offset was that of both times: none of the two clocks was set lately, or while it was under way."""
    truth = clocks.offsets(machine, made.begun or made.t, handled.t)
    return len(truth) == 1 and made.known is not None and truth[0].distance(made.known[0]) <= made.known[1]


def _clocks_of(index: Index) -> TrueClocks:
    machines = dict.fromkeys(machine.id for machine in index.evidence.topology.machines)
    return TrueClocks(index.evidence.journal.entries, machines)


def _ms(s: float) -> str:
    return f"{1e3 * s:,.2f} ms"
