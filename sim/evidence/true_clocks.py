"""What the wall clocks of the machines really showed, by the readings that their processes journalled.

A reading is an entry with `t`, on the monotonic clock that all processes share, and `wall`. Nothing here asks the
library.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from itertools import pairwise

import numpy as np
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


class _Readings:
    """The readings of one clock, in order: what it showed at monotonic 0, by each of them, in seconds."""

    def __init__(self, entries: Collection[Entry]) -> None:
        self.times = [entry.t for entry in entries]
        epochs = np.array([entry.wall - entry.t / 1e9 for entry in entries])
        self._low = epochs - np.array([entry.apart / 1e9 for entry in entries]) - READ_S  # it may be so much less
        self._high = epochs + READ_S
        # The first reading after each time that it was set.
        self.sets: list[int] = (np.flatnonzero(np.abs(np.diff(epochs)) > SET_S) + 1).tolist()

    def spans(self, since: int, until: int) -> list[Span]:
        """What it showed at monotonic 0, as it was set from `since` to `until` (ns): one span for each way."""
        times = self.times
        first, last = bisect_left(times, since), bisect_right(times, until)
        first -= first > 0 and times[first : first + 1] != [since]  # none was read at that very time: the one before
        last += last < len(times) and times[last - 1 : last] != [until]
        if first >= last:
            return []
        cuts = self.sets[bisect_right(self.sets, first) : bisect_left(self.sets, last)]
        return [self._span(begin, end, since, until) for begin, end in pairwise([first, *cuts, last])]

    def _span(self, begin: int, end: int, since: int, until: int) -> Span:
        """All readings from `begin` to `end`. Only the outermost may be from before `since`, or after `until`."""
        low, high = float(self._low[begin:end].min()), float(self._high[begin:end].max())
        for n in {begin, end - 1}:
            away = max(0, self.times[n] - until, since - self.times[n]) / 1e9 * GAIN
            low, high = min(low, float(self._low[n]) - away), max(high, float(self._high[n]) + away)
        return Span(low, high)


class TrueClocks:
    """The wall clock of each machine, relative to the monotonic clock."""

    def __init__(self, entries: Iterable[Entry], machines: Collection[str]) -> None:
        """`machines`: the terminal's id first."""
        self._terminal = next(iter(machines))
        read: dict[str, list[Entry]] = {machine: [] for machine in machines}
        for entry in entries:
            machine = machine_of(entry.by)
            if entry.wall and machine in read:
                read[machine].append(entry)
        self._readings = {machine: _Readings(entries) for machine, entries in read.items()}

    def offsets(self, machine: str, since: int, until: int, *, terminal_since: int | None = None) -> list[Span]:
        """How far the terminal's clock was ahead of the machine's in a span of time (ns), by each way both were set.

        With `terminal_since`, the terminal's clock may be as it was at any time since then. Empty: none was read.
        """
        above = self._readings[self._terminal].spans(since if terminal_since is None else terminal_since, until)
        here = self._readings[machine].spans(since, until)
        return [Span(one.low - other.high, one.high - other.low) for one in above for other in here]

    def settings(self, machine: str) -> dict[int, int]:
        """When the clock of a machine was set: between two readings (ns)."""
        readings = self._readings[machine]
        return {readings.times[n - 1]: readings.times[n] for n in readings.sets}
