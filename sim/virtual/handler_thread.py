"""The handler thread of a peer in virtual time: calls run one at a time, in order, each as long as it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sim.virtual.event_loop import Loop, Process

__all__ = ["Done", "HandlerThread"]

HANDOVER_US = 20  # from the I/O thread to the handler thread
Done = tuple[int, Callable[[], None]]  # how long a handler takes yet, and what to do then


class HandlerThread:
    """Runs what is put, in `process`. A call that returns `Done` keeps the next waiting until it is over."""

    def __init__(self, loop: Loop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._calls: deque[Callable[[], Done | None]] = deque()
        self._busy = False

    def put(self, call: Callable[[], Done | None]) -> None:
        """Queue a call."""
        self._calls.append(call)
        if not self._busy:
            self._busy = True
            self._loop.after(HANDOVER_US, self._next, self._process)

    def _next(self) -> None:
        if not self._calls:
            self._busy = False
            return
        done = self._calls.popleft()()
        if done is None:
            self._loop.after(0, self._next, self._process)
            return
        takes_us, tell = done

        def end() -> None:
            tell()
            self._next()

        self._loop.after(takes_us, end, self._process)
