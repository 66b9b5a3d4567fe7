"""What the wall clocks of the machines really showed, by the readings that their processes journalled.

A reading is an entry with `t`, on the monotonic clock that all processes share, and `wall`. Nothing here asks the
library.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise

from msgspec import Struct

from sim.evidence.journal import Entry
from sim.lab.names import machine_of

__all__ = ["READ_S", "Span", "TrueClocks"]

READ_S = 2e-6  # what a time of day in a double loses, and a sum of them
SET_S = 0.05  # a clock that changes by more between two readings was set in between
GAIN = 100e-6  # no clock gains or loses more in a second


class Span(Struct, frozen=True):
    """A difference of clocks, in seconds, which was somewhere between `low` and `high`."""

    low: float
    high: float

    def distance(self, value: float) -> float:
        """How far `value` is outside; 0 if it is inside."""
        return max(self.low - value, value - self.high, 0.0)


class TrueClocks:
    """The wall clock of each machine, relative to the monotonic clock."""

    def __init__(self, entries: Iterable[Entry], machines: Collection[str]) -> None:
        """`machines`: the terminal's id first."""
        self._terminal = next(iter(machines))
        self._times: dict[str, list[int]] = defaultdict(list)
        self._epochs: dict[str, list[float]] = defaultdict(list)
        self._apart: dict[str, list[float]] = defaultdict(list)  # so much less each may be
        for entry in entries:
            machine = machine_of(entry.by)
            if entry.wall and machine in machines:
                self._times[machine].append(entry.t)
                self._epochs[machine].append(entry.wall - entry.t / 1e9)
                self._apart[machine].append(entry.apart / 1e9)

    def offsets(self, machine: str, since: int, until: int, *, terminal_since: int | None = None) -> list[Span]:
        """How far the terminal's clock was ahead of the machine's in a span of time (ns), by each way both were set.

        With `terminal_since`, the terminal's clock may be as it was at any time since then. Empty: none was read.
        """
        above = self._epochs_in(self._terminal, since if terminal_since is None else terminal_since, until)
        here = self._epochs_in(machine, since, until)
        return [Span(one.low - other.high, one.high - other.low) for one in above for other in here]

    def settings(self, machine: str) -> dict[int, int]:
        """When the clock of a machine was set: between two readings (ns)."""
        times, epochs = self._times[machine], self._epochs[machine]
        pairs = enumerate(pairwise(epochs))
        return {times[n]: times[n + 1] for n, (one, other) in pairs if abs(other - one) > SET_S}

    def _epochs_in(self, machine: str, since: int, until: int) -> list[Span]:
        """What the clock showed at monotonic 0, as it was set from `since` to `until`."""
        times, epochs = self._times[machine], self._epochs[machine]
        first, last = bisect_left(times, since), bisect_right(times, until)
        first -= first > 0 and times[first : first + 1] != [since]  # none was read at that very time: the one before
        last += last < len(times) and times[last - 1 : last] != [until]
        spans: list[Span] = []
        for n in range(first, last):
            away = max(0, times[n] - until, since - times[n]) / 1e9 * GAIN
            near = Span(epochs[n] - self._apart[machine][n] - READ_S - away, epochs[n] + READ_S + away)
            if spans and abs(epochs[n] - epochs[n - 1]) <= SET_S:
                near = Span(min(near.low, spans[-1].low), max(near.high, spans.pop().high))
            spans.append(near)
        return spans
