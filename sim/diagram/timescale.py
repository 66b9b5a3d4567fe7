"""Maps times to places from left to right. An event is about a step, and long idle times are cut out.

A diagram has microseconds between two hops and seconds between two repeats. A linear scale would show only one of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from statistics import median

from sim.diagram.model import Cut

__all__ = ["Scale"]

SAME_NS = 20_000  # events that are closer than this belong to one batch of effects
MS = 10**6
CUT_NS = 50 * MS
GAP = 2.4  # the width of a cut, in steps


class Scale:
    """The axis for `times` (ns; None is ignored). `flying` are flight times of frames (ns): a cut gap is longer."""

    def __init__(self, times: Iterable[int | None], *, flying: Sequence[int] = ()) -> None:
        self._times = sorted({t for t in times if t is not None})
        self._cut_ns = max(CUT_NS, 5 * median(flying)) if flying else CUT_NS
        self._places = [1.0]
        self._cuts: list[int] = []
        for n in range(1, len(self._times)):
            self._places.append(self._places[-1] + self._step(n))
        self.width = round(self._places[-1] + 1.5, 3)

    @property
    def begins(self) -> int:
        """The first time."""
        return self._times[0]

    def has(self, t: int) -> bool:
        """Whether `t` is between the first and the last time."""
        return self._times[0] <= t <= self._times[-1]

    def place(self, t: int) -> float:
        """The place of `t`. Times before the first are at 0, those after the last at `width`."""
        if t < self._times[0]:
            return 0.0
        return self.width if t > self._times[-1] else round(self._places[bisect_right(self._times, t) - 1], 3)

    def cuts(self, zero: int) -> list[Cut]:
        """The idle times that were cut out. `at_s` counts from `zero` (ns)."""
        return [
            Cut(
                x0=round(self._places[n - 1], 3),
                x1=round(self._places[n], 3),
                seconds=round((self._times[n] - self._times[n - 1]) / 1e9, 3),
                at_s=round((self._times[n] - zero) / 1e9, 6),
            )
            for n in self._cuts
        ]

    def _step(self, n: int) -> float:
        gap = self._times[n] - self._times[n - 1]
        if gap > self._cut_ns:
            self._cuts.append(n)
            return GAP
        return 0.3 if gap < SAME_NS else 1 + max(0.0, math.log10(gap / MS)) / 2
