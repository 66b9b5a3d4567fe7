"""Compares a bench with a former one: the calls a message, and the ratios to bare pyzmq. Absolute times are not.

Two machines, or one at two times of a day, differ several times over in absolute times. Calls and ratios hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sim.bench.results import BenchReport, BenchRow
from sim.bench.works import OURS, WORKS

__all__ = ["Change", "changes", "worse"]

MORE_CALLS = 1.15  # some threads look around by the clock, so that no two counts are the same
FEW = 3.0  # calls a message that do not matter
HALF = 0.5


class Change(Struct, frozen=True):
    """One figure of our side, then and now. `times`: how many times as good it is now."""

    work: str
    what: str
    then: float
    now: float
    times: float
    is_worse: bool

    def __str__(self) -> str:
        return f"{self.work}: {self.what} {self.then:,.2f} then, {self.now:,.2f} now"


def changes(report: BenchReport, former: BenchReport) -> Iterator[Change]:
    """What can be compared of our side."""
    then = {row.work: row for row in former.rows if row.side == OURS}
    for row in report.rows:
        if row.side == OURS and row.work in then:
            yield from _calls(row, then[row.work])
            yield from _ratios(row, then[row.work])


def worse(report: BenchReport, former: BenchReport) -> list[Change]:
    """The figures that are so much worse that it is no chance."""
    return [change for change in changes(report, former) if change.is_worse]


def _calls(row: BenchRow, then: BenchRow) -> Iterator[Change]:
    for name in ("sender_calls", "recipient_calls"):
        if name in row.figures and name in then.figures:
            before, now = then.figures[name], row.figures[name]
            is_worse = now > before * MORE_CALLS + FEW
            yield Change(row.work, f"{name.replace('_', ' ')} a message", before, now, before / now, is_worse)


def _ratios(row: BenchRow, then: BenchRow) -> Iterator[Change]:
    if row.ratio is not None and then.ratio is not None:
        before, now = then.ratio.median, row.ratio.median
        is_rate = WORKS[row.work].is_rate
        best = row.ratio.high / before if is_rate else before / row.ratio.low  # of all rounds: chance makes slow alone
        times = now / before if is_rate else before / now
        yield Change(row.work, "ratio to bare", before, now, times, best < HALF)
