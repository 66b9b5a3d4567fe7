"""The handler thread of a peer in virtual time. It runs calls one at a time, in order, each for its own duration."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from autopilot_net.message import Message
from sim.virtual.event_loop import Loop, Process

__all__ = ["Closing", "Done", "HandlerThread", "HandlerTimes"]

HANDLER_US = 50
LONGEST_US = 2_000_000  # that all handlers of one storm on a calm lab may take, one after the other
STORM_KEYS = ("STORM", "STORM_ITEM")
HANDOVER_US = 20  # from the I/O thread to the handler thread
Done = tuple[int, Callable[[], None]]  # how long the handler takes in microseconds, and what to call then


class HandlerTimes:
    """How long handlers take. A storm's may be slow, so that its process can be killed while it runs: `storm_us`."""

    def __init__(self, storm_us: int) -> None:
        self._storm_us = storm_us
        self._most_us = LONGEST_US

    def begin(self, messages: int) -> None:
        """A storm of so many messages begins on a calm lab. If they are many, the handler of each is quick."""
        self._most_us = LONGEST_US // max(1, messages)

    def of(self, message: Message) -> int:
        """How long the handler of a message takes, in microseconds."""
        if message.key not in STORM_KEYS:
            return HANDLER_US
        takes_ms = message.value.get("takes_ms", 0) if isinstance(message.value, dict) else 0
        return int(takes_ms * 1_000) or min(self._storm_us, self._most_us)


class HandlerThread:
    """Runs queued calls in `process`. After a call that returns `Done`, the next waits until its time has passed."""

    def __init__(self, loop: Loop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._calls: deque[Callable[[], Done | None]] = deque()
        self._busy = False

    def put(self, call: Callable[[], Done | None]) -> None:
        """Queue a call. May be called from within a call."""
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
        duration_us, finish = done

        def end() -> None:
            finish()
            self._next()

        self._loop.after(duration_us, end, self._process)


class Closing:
    """A flag: whether a peer is closing. Has the methods of `threading.Event` that a sender uses."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Whether the peer is closing."""
        return self._is_set

    def set(self) -> None:
        """Set the flag."""
        self._is_set = True
