"""The wall clock as this process knows it: what it shows when the monotonic clock shows 0."""

from __future__ import annotations

import time

__all__ = ["epoch"]

TRIES = 5


def epoch(known: float | None = None) -> float:
    """Seconds of the wall clock at monotonic 0: `known`, unless this reading proves that the clock was set since.

    A Pi has no clock that runs while it is off: its wall clock is set by the network, minutes after programs have
    begun. It is then that this number changes; while the clock is only slewed, both clocks go together. They cannot be
    read at once, and on a busy machine milliseconds pass between the two: so one reading is a span, and no more is
    believed of it than that the number lies within. What is known at first is the middle of the shortest of several.
    """
    if known is None:
        low, high = min((_reading() for _ in range(TRIES)), key=lambda span: span[1] - span[0])
        return (low + high) / 2
    low, high = _reading()
    return min(max(known, low), high)


def _reading() -> tuple[float, float]:
    before = time.monotonic()
    wall = time.time()
    return wall - time.monotonic(), wall - before
