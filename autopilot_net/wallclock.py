"""The wall clock relative to the monotonic clock."""

from __future__ import annotations

import time

__all__ = ["epoch"]

TRIES = 5


def epoch(known: float | None = None) -> float:
    """The wall-clock time, in seconds, at monotonic 0: `known`, unless this reading proves that the clock was set.

    A Pi has no clock that runs while it is off. Its wall clock is set by the network, minutes after programs have
    begun, and only then does this number change: while the wall clock is only slewed, both clocks advance together. The
    two cannot be read at once, and on a busy machine milliseconds pass in between. So one reading gives an interval,
    and proves only that the number lies in it. The first value is the middle of the shortest of several.
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
