"""What every side of a work has in common: what is sent, how senders report, and how a recipient takes note."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.bench.usage import Usage, usage

__all__ = ["HELLO", "KEY", "Gauge", "flood", "frame", "small", "times"]

HELLO, KEY = "HELLO", "BENCH"  # keys
WARM_UP = 0.1  # of all that comes: it is not measured
SAMPLES = 2_000  # of which the times on the way are kept


def small(number: int) -> dict[str, Any]:
    """The value of a small message, as of a trial. It says when it was made."""
    return {"n": number, "t": time.monotonic(), "subject": "m17", "response": "L", "correct": 1, "rt_s": 0.4132}


def frame(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A frame of a camera."""
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def flood(wire: Any, send: Callable[[], object]) -> None:
    """Have `send` send all of it when the bench says so, and tell what was used before, and when all is over."""
    wire.send("ready")
    wire.recv()
    begin = usage()
    send()
    wire.send(begin)
    wire.recv()
    wire.send(usage())


def times(wire: Any, count: int, ask: Callable[[int], object]) -> None:
    """Ask `count` times when the bench says so, and tell how long each answer took, in seconds."""
    wire.send("ready")
    wire.recv()
    took = []
    for number in range(count):
        began = time.monotonic()
        ask(number)
        took.append(time.monotonic() - began)
    wire.send(took)
    wire.recv()


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

    def take(self, sent_at: float) -> bool:
        """One message was handled that was made at that time. Returns whether it was the last."""
        self._handled += 1
        if self._handled == self._warm:
            self._first = usage()
        if self._handled % self._every == 0:
            self._took.append(time.monotonic() - sent_at)
        is_last = self._handled == self._count
        if is_last:
            self._wire.send((self._count, self._count - self._warm, self._first, usage(), self._took))
        return is_last
