"""The wall clock as this process knows it: what it shows when the monotonic clock shows 0."""

from __future__ import annotations

import time

__all__ = ["epoch"]


def epoch(known: float | None = None) -> float:
    """Seconds of the wall clock at monotonic 0: `known`, unless this reading proves that the clock was set since.

    A Pi has no clock that runs while it is off: its wall clock is set by the network, minutes after programs have
    begun. It is then that this number changes; while the clock is only slewed, both clocks go together. They cannot be
    read at once, and on a busy machine milliseconds pass between the two: so one reading is a span, and no more is
    believed of it than that the number lies within.
    """
    before = time.monotonic()
    wall = time.time()
    after = time.monotonic()
    if known is None:
        return wall - (before + after) / 2
    return min(max(known, wall - after), wall - before)
