"""Limits: the lab's own, compared with what was measured. They count every loss, even where a fault explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeGuard

from msgspec import Struct

from sim.checks.message_fates import HANDLED
from sim.checks.recovery import recoveries
from sim.checks.result import many, result_of
from sim.checks.session import trial_rows
from sim.checks.streams import stream_rows, stream_times
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.quantile import quantile
from sim.evidence.violation import Violation
from sim.lab.schema import Limits
from sim.verdict import Check

__all__ = ["check_expect"]


class Traffic(Struct, kw_only=True):
    """The figures of one class of traffic: the messages of a key, the trials, or a stream."""

    name: str  # "trials", "START", "rig_1 camera/0:"
    machine: str = ""  # of a stream
    unit: str = ""  # "items " of a stream
    made: int
    lost: int
    twice: int
    missing: int
    took_ms: list[float]  # from sending to handling, ascending
    came: list[int]  # when each first arrived (ns), ascending


class _LimitFindings(Struct):
    """The outcome of comparing limits with figures. A figure of None makes a limit `unknown`."""

    count: int = 0
    broke: list[Violation] = []
    unknown: list[Violation] = []

    def most(
        self, what: str, figure: float | None, limit: float | None, *, unit: str = "", note: str = "", machine: str = ""
    ) -> None:
        """Compare a figure with an upper limit. Does nothing without a limit."""
        if limit is not None and self._is_there(figure, limit, what, unit, machine) and figure > limit:
            self._break(f"{what}: {_digits(figure)}{unit} > {_digits(limit)}{unit}{note}", machine)

    def least(self, what: str, figure: float | None, limit: float | None, *, machine: str = "") -> None:
        """Compare a figure with a lower limit. Does nothing without a limit."""
        if limit is not None and self._is_there(figure, limit, what, "", machine) and figure < limit:
            self._break(f"{what}: {_digits(figure)} < {_digits(limit)}", machine)

    def _is_there(self, figure: float | None, limit: float, what: str, unit: str, machine: str) -> TypeGuard[float]:
        """Count a limit. Whether there is a figure to compare it with; if not, the limit is `unknown`."""
        self.count += 1
        if figure is None:
            text = f"{what}: there was nothing to hold against {_digits(limit)}{unit}"
            self.unknown.append(_about(machine, text))
        return figure is not None

    def _break(self, text: str, machine: str) -> None:
        self.broke.append(_about(machine, text))


def _about(machine: str, text: str) -> Violation:
    return Violation("", (machine,) if machine else (), (), text)


def check_expect(index: Index) -> Check:
    """What was measured is within the limits of the topology file."""
    expect = index.evidence.topology.expect
    found = _LimitFindings()
    _check_traffic(found, expect.trials, lambda: _trials(index))
    for key, limits in expect.keys.items():
        _check_traffic(found, limits, lambda key=key: _measured(index, key, [e for e in index.made if e.key == key]))  # type: ignore[misc]
    _check_streams(index, found)
    _check_times(index, found)
    return result_of("expect", many(found.count, "limit"), found.count, found.broke, unknown=found.unknown)


def _check_traffic(found: _LimitFindings, limits: Limits, measure: Callable[[], Traffic]) -> None:
    """Compare one class of traffic with its limits. Measures nothing if there are none."""
    if limits == Limits():
        return
    traffic = measure()
    name, made, took = traffic.name, traffic.made, traffic.took_ms
    is_there = made > 0
    unit, of = traffic.unit, traffic.machine
    found.most(f"{name} {unit}lost", traffic.lost if is_there else None, limits.lost, machine=of)
    found.most(f"{name} {unit}handled twice", traffic.twice if is_there else None, limits.twice, machine=of)
    found.most(f"{name} {unit}missing", traffic.missing if is_there else None, limits.missing, machine=of)
    missing_pct = 100 * traffic.missing / made if is_there else None
    found.most(f"{name} % missing", missing_pct, limits.missing_pct, machine=of)
    found.most(f"{name} p50 ms", quantile(took, 0.5) if took else None, limits.p50_ms, machine=of)
    found.most(f"{name} p99 ms", quantile(took, 0.99) if took else None, limits.p99_ms, machine=of)
    found.least(f"{name} Hz", _rate(traffic.came), limits.rate_hz, machine=of)


# -- messages ----------------------------------------------------------------------------------------------------------


def _trials(index: Index) -> Traffic:
    traffic = _measured(index, "trials", [entry for entry in index.made if entry.key == "DATA"])
    rows = trial_rows(index)
    traffic.lost = sum(len(row.missing) for row in rows)
    traffic.twice = sum(row.twice for row in rows)
    return traffic


def _measured(index: Index, name: str, made: list[Entry]) -> Traffic:
    """The figures of messages. Arrivals are from the journal, or from the traces if programs do not journal the key."""
    came = {entry.id: _times(index, entry) for entry in made}
    missing = [entry for entry in made if not came[entry.id]]
    took = sorted(max(0, came[entry.id][0] - entry.t) / 1e6 for entry in made if came[entry.id])
    return Traffic(
        name=name,
        made=len(made),
        lost=sum(1 for entry in missing if entry.sought),
        twice=sum(1 for entry in made if _is_twice(index, entry)),
        missing=len(missing),
        took_ms=took,
        came=sorted(times[0] for times in came.values() if times),
    )


def _times(index: Index, made: Entry) -> list[int]:
    if made.id in index.came:
        return [entry.t for entry in index.came[made.id]]
    if made.key in HANDLED:
        return []
    ends = (made.to, made.to.removeprefix("_"))
    return [trace.t for trace in index.delivered.get(made.id, []) if trace.at in ends]


def _is_twice(index: Index, made: Entry) -> bool:
    """Whether one life of a recipient handled a message more than once."""
    lives = Counter((entry.by, entry.life) for entry in index.came.get(made.id, []))
    return any(count > 1 for count in lives.values())


# -- streams -----------------------------------------------------------------------------------------------------------


def _check_streams(index: Index, found: _LimitFindings) -> None:
    expect = index.evidence.topology.expect
    times = stream_times(index) if expect.streams else {}
    held: set[str] = set()
    for row in stream_rows(index) if expect.streams else []:
        name = row.stream.partition("/")[0]
        limits = expect.stream(row.machine, name)
        if limits is None:
            continue
        held |= {f"{row.machine}.{name}", name} & expect.streams.keys()
        missing = max(0, row.sent - row.received)
        known = times.get((row.machine, row.stream))
        traffic = Traffic(
            name=f"{row.machine} {row.stream}:",
            machine=row.machine,
            unit="items ",
            made=row.sent,
            lost=missing if row.reliable else 0,
            twice=row.repeated,
            missing=missing,
            took_ms=known.took_ms if known is not None else [],
            came=known.came if known is not None else [],
        )
        _check_traffic(found, limits, lambda traffic=traffic: traffic)  # type: ignore[misc]
    for name in sorted(expect.streams.keys() - held):
        _check_traffic(found, expect.streams[name], lambda name=name: _nothing(name))  # type: ignore[misc]


def _nothing(name: str) -> Traffic:
    return Traffic(name=name, made=0, lost=0, twice=0, missing=0, took_ms=[], came=[])


# -- how soon ----------------------------------------------------------------------------------------------------------


def _check_times(index: Index, found: _LimitFindings) -> None:
    expect = index.evidence.topology.expect
    if expect.handshake_within_s is not None:
        _check_slowest(found, "handshake", _shook(index), expect.handshake_within_s)
    if expect.start_within_s is not None:
        _check_slowest(found, "start", _started(index), expect.start_within_s)
    if expect.recovered_within_s is not None:
        _check_recoveries(index, found, expect.recovered_within_s)


def _check_slowest(found: _LimitFindings, what: str, took: dict[str, float | None], limit: float) -> None:
    """Compare the slowest machine with a limit. A machine whose time is None breaks any limit."""
    never = sorted(machine for machine, seconds in took.items() if seconds is None)
    if never:
        found.count += 1
        text = f"{what}: never of {', '.join(never[:5])}, and {_digits(limit)} s is the limit"
        found.broke.append(Violation("", tuple(never), (), text))
        return
    last = max(took, key=lambda machine: took[machine] or 0.0, default=None)
    slowest = took[last] if last is not None else None
    found.most(what, slowest, limit, unit=" s", note=f", {last} the last", machine=last or "")


def _shook(index: Index) -> dict[str, float | None]:
    """Seconds from the start of the run to the first handshake of each machine's program; None if it had none."""
    begun = min((entry.t for entry in index.evidence.journal.entries), default=0)
    first: dict[str, int] = {}
    for entry in index.evidence.journal.of("shook"):
        first.setdefault(entry.first_sender, entry.t)
    machines = index.evidence.topology.machines[1:]
    return {m.id: (first["_" + m.id] - begun) / 1e9 if "_" + m.id in first else None for m in machines}


def _started(index: Index) -> dict[str, float | None]:
    """Seconds from the first START that was sent until each machine's program handled one; {} if none was sent."""
    sent = [entry.t for entry in index.made if entry.key == "START"]
    if not sent:
        return {}
    first = {name.removeprefix("_"): entries[0].t for name, entries in index.orders.items() if entries}
    rigs = [m.id for m in index.evidence.topology.machines[1:] if m in index.evidence.topology.pilots or m.id in first]
    return {rig: (first[rig] - min(sent)) / 1e9 if rig in first else None for rig in rigs}


def _check_recoveries(index: Index, found: _LimitFindings, limit: float) -> None:
    slowest: dict[str, float] = {}
    for recovery in recoveries(index):
        if recovery.took_s is None:
            text = f"whether {recovery.machine} is back within {_digits(limit)} s: it never was, here"
            found.unknown.append(_about(recovery.machine, text))
        else:
            slowest[recovery.machine] = max(recovery.took_s, slowest.get(recovery.machine, 0.0))
    found.count += 1
    if not slowest and not found.unknown:
        found.unknown.append(_about("", f"whether anything is back within {_digits(limit)} s of a fault: none struck"))
    found.broke += [
        _about(machine, f"{machine} back after {_digits(took)} s > {_digits(limit)} s")
        for machine, took in sorted(slowest.items())
        if took > limit
    ]


# -- figures -----------------------------------------------------------------------------------------------------------


def _rate(came: list[int]) -> float | None:
    """Arrivals a second, from the first to the last. None for fewer than two."""
    if len(came) < 2 or came[-1] == came[0]:
        return None
    return (len(came) - 1) / ((came[-1] - came[0]) / 1e9)


def _digits(figure: float) -> str:
    return f"{round(figure, 2 if abs(figure) >= 0.01 else 6):,.10g}"
