"""Connections through a relay, passed on both ways: late, slowly, or not at all, and always in order.

Sockets and time, and neither processes nor verbs. All of it is used by one thread, which calls `Loop.step`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Any

from sim.lab.fault import Link

__all__ = ["LOOPBACK", "Lane", "Loop", "Pair", "bound_buffers"]

LOOPBACK = "127.0.0.1"
LIMIT = 1 << 20  # bytes that wait in a relay, one way of one connection; beyond, it reads no more
BUFFER = 256 << 10  # of the system's, each side; left alone it grows to many megabytes, and hides that a link is slow
CHUNK = 256 << 10  # read at once
SPELL_S = 0.002  # over a slow link, so much at a time, or what comes would come in lumps
PACKET = 1_460  # and no less than this
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes closing a reset


class Loop:
    """Waits for what happens next, and has it seen to."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._late: dict[Half, float] = {}

    def step(self) -> None:
        """Wait for a socket, or for bytes that are due; see to it."""
        wait = max(0.0, min(self._late.values()) - time.monotonic()) if self._late else None
        for key, _ in self._selector.select(wait):
            key.data()
        now = time.monotonic()
        for half in [half for half, due in self._late.items() if due <= now]:
            half.pair.pass_on()

    def watch(self, thing: Any, call: Callable[[], None], events: int = selectors.EVENT_READ) -> None:
        """Call once `events` are possible at `thing`; with 0, no more."""
        known = self._selector.get_map().get(thing)
        if known is None:
            if events:
                self._selector.register(thing, events, call)
        elif not events:
            self._selector.unregister(thing)
        elif known.events != events:
            self._selector.modify(thing, events, call)

    def wake(self, half: Half, due: float | None) -> None:
        """Pass on what waits in `half` when it is due; None: nothing will be."""
        if due is None:
            self._late.pop(half, None)
        else:
            self._late[half] = due


class Lane:
    """One way of a link: what it is like now, and what it has carried."""

    def __init__(self, link: Link, chance: Random) -> None:
        self.link = link
        self.is_cut = False
        self.is_held = False
        self.bytes = 0
        self.free_at = 0.0  # when the last that was sent has left, at the link's rate
        self._chance = chance

    def due(self, came: float, size: int) -> float:
        """When bytes that came in at `came` are to go out, behind all that came before."""
        if self.link.rate_mbit:
            self.free_at = came = max(self.free_at, came) + size * 8e-6 / self.link.rate_mbit
        jitter = self._chance.uniform(-self.link.jitter_ms, self.link.jitter_ms)
        return came + max(0.0, self.link.latency_ms + jitter) / 1e3

    @property
    def chunk(self) -> int:
        """How many bytes to take at once."""
        if not self.link.rate_mbit:
            return CHUNK
        return min(CHUNK, max(PACKET, int(self.link.rate_mbit * 1e6 / 8 * SPELL_S)))


class End(Enum):
    """How a connection ended at one side, to be passed on behind the bytes of that side."""

    CLOSED = "closed"
    RESET = "reset"


class Half:
    """One way of one connection: what was read from `source` and waits to be written to `sink`, in order."""

    def __init__(self, pair: Pair, lane: Lane, source: socket.socket, sink: socket.socket) -> None:
        self.pair = pair
        self.lane = lane
        self.source = source
        self.sink = sink
        self.is_read = True  # False: its source has ended
        self.is_blocked = False  # its sink takes no more for now
        self.is_closed = False  # that its source was closed has been passed on
        self.bytes = 0
        self._waiting: deque[tuple[float, float, memoryview | End]] = deque()  # due, came, what
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether anything may pass."""
        return not (self.pair.is_connecting or self.lane.is_cut or self.lane.is_held)

    @property
    def takes(self) -> bool:
        """Whether more is to be read."""
        return self.is_read and not self.lane.is_cut and self._size <= LIMIT

    def take(self) -> None:
        """Read a chunk, or how the source ended."""
        try:
            data = self.source.recv(self.lane.chunk)
        except BlockingIOError:
            return
        except OSError:
            self.pair.lose(self.source)
            return
        if data:
            self._size += len(data)
            self._add(time.monotonic(), memoryview(data))
        else:
            self.end(End.CLOSED)

    def end(self, how: End) -> None:
        """The source has ended."""
        self.is_read = False
        self._add(time.monotonic(), how)
        self.pair.loop.wake(self, self._waiting[0][0])

    def drop(self) -> None:
        """There is nobody any more to pass anything on to."""
        self._waiting.clear()
        self._size = 0
        self.is_read = self.is_blocked = False
        self.pair.loop.wake(self, None)

    def reschedule(self) -> None:
        """What waits is due by what the link is like now."""
        waiting, self._waiting = self._waiting, deque()
        for _, came, what in waiting:
            self._add(came, what)

    def pass_on(self, now: float) -> None:
        """Write what is due, as far as the sink takes it. May end the pair."""
        self.is_blocked = False
        while self._waiting and self.is_open and self._waiting[0][0] <= now:
            due, came, what = self._waiting.popleft()
            if isinstance(what, End):
                self._finish(what)
            elif (rest := self._write(what)) is not None:
                self._waiting.appendleft((due, came, rest))
                self.is_blocked = True
                break
        is_late = bool(self._waiting) and self.is_open and not self.is_blocked
        self.pair.loop.wake(self, self._waiting[0][0] if is_late else None)

    def _add(self, came: float, what: memoryview | End) -> None:
        size = 0 if isinstance(what, End) else len(what)
        due = self.lane.due(came, size)
        # Jitter puts nothing before what came earlier: TCP keeps the order.
        self._waiting.append((max(due, self._waiting[-1][0]) if self._waiting else due, came, what))

    def _write(self, data: memoryview) -> memoryview | None:
        """What the sink did not take; None if it took all, or is no more."""
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            return data
        except OSError:
            self.pair.lose(self.sink)
            return None
        self._size -= sent
        self.bytes += sent
        self.lane.bytes += sent
        return data[sent:] if sent < len(data) else None

    def _finish(self, how: End) -> None:
        if how is End.RESET:
            self.pair.reset("broken")
            return
        self.is_closed = True
        with contextlib.suppress(OSError):  # its other way will tell, if it is no more
            self.sink.shutdown(socket.SHUT_WR)


class Pair:
    """One connection of the lower machine's, and ours that carries it on to the station above, at `port`.

    `tell` hears that it is connected, and at last how it ended: broken (one end was reset), closed, or as `reset` says.
    """

    def __init__(
        self, loop: Loop, up: Lane, down: Lane, lower: socket.socket, port: int, *, tell: Callable[[Pair, str], None]
    ) -> None:
        self.loop = loop
        self.is_connecting = True
        self.is_joined = False  # whether the station above took it
        self.is_broken = False  # it was there during a cut: what it lost cannot be made up for
        self._is_over = False
        self._tell = tell
        self._lower = lower
        self._upper = socket.socket()
        for end in (self._lower, self._upper):
            end.setblocking(False)
            bound_buffers(end)
            with contextlib.suppress(OSError):  # macOS refuses, where it has ended already
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = Half(self, up, self._lower, self._upper)
        self.down = Half(self, down, self._upper, self._lower)
        self._upper.connect_ex((LOOPBACK, port))  # what came of it shows once it can be written to
        self._watch()

    def pass_on(self) -> None:
        """Pass on what is due, and see which ends to wait for."""
        now = time.monotonic()
        for half in (self.up, self.down):
            if not self._is_over:
                half.pass_on(now)
        if self.up.is_closed and self.down.is_closed:
            self._end("closed")
        if not self._is_over:
            self._watch()

    def lose(self, end: socket.socket) -> None:
        """One end is no more, and did not say goodbye. The other is to hear so."""
        out, into = (self.up, self.down) if end is self._lower else (self.down, self.up)
        self._forget(end)
        into.drop()
        out.end(End.RESET)

    def reset(self, why: str) -> None:
        """End it at once for both, with a reset. `why` is for the journal."""
        for end in (self._lower, self._upper):
            with contextlib.suppress(OSError):  # it is no more
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._end(why)

    def _end(self, why: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self.up.drop()
        self.down.drop()
        self._forget(self._lower)
        self._forget(self._upper)
        self._tell(self, why)

    def _forget(self, end: socket.socket) -> None:
        if end.fileno() >= 0:
            self.loop.watch(end, self._see_lower, 0)
            end.close()

    def _watch(self) -> None:
        is_joined = not self.is_connecting
        for end, out, into, see in (
            (self._lower, self.up, self.down, self._see_lower),
            (self._upper, self.down, self.up, self._see_upper),
        ):
            if end.fileno() >= 0:
                reads = out.takes and (is_joined or end is self._lower)
                writes = into.is_blocked or (self.is_connecting and end is self._upper)
                self.loop.watch(end, see, selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes)

    def _see_lower(self) -> None:
        if self._lower.fileno() >= 0:  # else it ended while it was waited for
            if self.up.takes:
                self.up.take()
            self.pass_on()

    def _see_upper(self) -> None:
        if self._upper.fileno() < 0:
            return
        if self.is_connecting:
            self.is_connecting = False
            if _is_connected(self._upper):
                self.is_joined = True
                self._tell(self, "connected")
            else:
                self.lose(self._upper)
        elif self.down.takes:
            self.down.take()
        self.pass_on()


def bound_buffers(end: socket.socket) -> None:
    """Let the system keep no more than a little for this socket. What listens hands it on to what it accepts."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        end.setsockopt(socket.SOL_SOCKET, option, BUFFER)


def _is_connected(end: socket.socket) -> bool:
    """Whether its connecting came to something, and not to itself: at a port that nobody has, a system may do that."""
    try:
        return bool(end.getpeername() != end.getsockname())
    except OSError:
        return False
