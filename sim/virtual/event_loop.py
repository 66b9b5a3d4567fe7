"""Virtual time: a queue of calls in integer microseconds, and processes that can be killed and stand still."""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable
from typing import Any

__all__ = ["Loop", "Process", "rest_collector"]

Call = Callable[[], Any]


def rest_collector() -> None:
    """Have Python look for garbage more rarely: in a virtual lab nearly all that is made lives to its end.

    For a process that plays virtual labs and does little else; it takes a fifth less time.
    """
    gc.set_threshold(100_000, 50, 50)


class Process:
    """One life of one process: whatever it was to do is not done once it is dead, and waits while it stands still."""

    __slots__ = ("dead", "deferred", "name", "paused", "since_us")

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.paused = False
        self.since_us = 0  # since when it stands still
        self.deferred: list[Call] = []

    @property
    def runs(self) -> bool:
        """Whether it lives and does not stand still."""
        return not (self.dead or self.paused)

    def call(self, call: Call) -> None:
        """Do `call`, at once, later, or never."""
        if self.paused:
            self.deferred.append(call)
        elif not self.dead:
            call()

    def resume(self) -> None:
        """Go on with what came meanwhile, in its order."""
        self.paused = False
        calls, self.deferred = self.deferred, []
        for n, call in enumerate(calls):
            if self.paused:  # again, by what it did
                self.deferred[:0] = calls[n:]
                return
            self.call(call)


class Loop:
    """Calls in the order of their times, and of one time in the order in which they were asked for."""

    def __init__(self, raised: Callable[[Process, Exception], Any] | None = None) -> None:
        """`raised` is told what a process raises, and all others go on."""
        self._raised = raised
        self.now_us = 0
        self._queue: list[tuple[int, int, Process | None, Call]] = []
        self._number = 0

    @property
    def now(self) -> float:
        """Seconds."""
        return self.now_us / 1_000_000

    def at(self, at_us: int, call: Call, process: Process | None = None) -> None:
        """Do `call` at a time, in `process`."""
        self._number += 1
        heapq.heappush(self._queue, (max(at_us, self.now_us), self._number, process, call))

    def after(self, us: int, call: Call, process: Process | None = None) -> None:
        """Do `call` so many microseconds from now."""
        self.at(self.now_us + us, call, process)

    def run(self, end_us: int) -> bool:
        """Do the next thing that is due by `end_us`; False, and it is `end_us`, if nothing is."""
        if not self._queue or self._queue[0][0] > end_us:
            self.now_us = max(self.now_us, end_us)
            return False
        self.now_us, _, process, call = heapq.heappop(self._queue)
        if process is None:
            call()
            return True
        try:
            process.call(call)
        except Exception as error:
            if self._raised is None:
                raise
            self._raised(process, error)
        return True
