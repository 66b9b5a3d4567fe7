"""What is sent in a measurement, the same by every side, and how a recipient takes note of it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.bench.usage import Usage, usage

__all__ = ["HELLO", "KEY", "LAST", "Gauge", "frame", "small"]

HELLO, KEY, LAST = "HELLO", "BENCH", "LAST"  # keys
WARM_UP = 0.1  # of all that comes: it is not measured
SAMPLES = 2_000  # of which the times on the way are kept


def small(number: int) -> dict[str, Any]:
    """The value of a small message, as of a trial. It says when it was made."""
    return {"n": number, "t": time.monotonic(), "subject": "m17", "response": "L", "correct": 1, "rt_s": 0.4132}


def frame(shape: tuple[int, ...], *, random: bool = True) -> NDArray[np.uint8]:
    """A frame of a camera."""
    if random:
        return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    return np.broadcast_to(np.arange(shape[-1], dtype=np.uint8), shape).copy()


class Gauge:
    """Counts what a recipient has handled, and tells `wire` when that is `count`.

    The first tenth is not measured. What is told: the count, how many of those were measured, the usage before and
    after them, and the times on the way, in seconds, of some messages.
    """

    def __init__(self, wire: Any, count: int) -> None:
        self._wire = wire
        self._count = count
        self._warm = max(1, int(count * WARM_UP))
        self._every = max(1, count // SAMPLES)
        self._handled = 0
        self._first: Usage
        self._took: list[float] = []

    def take(self, sent_at: float | None = None) -> None:
        """One message was handled."""
        self._handled += 1
        if self._handled == self._warm:
            self._first = usage()
        if sent_at is not None and self._handled % self._every == 0:
            self._took.append(time.monotonic() - sent_at)
        if self._handled == self._count:
            self._wire.send((self._count, self._count - self._warm, self._first, usage(), self._took))
