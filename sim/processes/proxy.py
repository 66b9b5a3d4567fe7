"""Connections through a relay: their bytes are passed on in order, late, slowly or not at all, in both directions.

This file knows sockets and time. It knows neither processes nor verbs. One thread uses all of it, and calls
`SelectorLoop.step`.
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

from sim.faults.actions import SILENCE_S
from sim.lab.fault import Link

__all__ = ["LOOPBACK", "LinkDirection", "SelectorLoop", "ProxyConnection", "bound_buffers"]

LOOPBACK = "127.0.0.1"
LIMIT = 1 << 20  # bytes that may wait in one channel; above that, it stops reading
BUFFER = 256 << 10  # bytes of each socket buffer; the system's default grows to megabytes and would hide a slow link
CHUNK = 256 << 10  # bytes to read at once
CHUNK_S = 0.002  # over a link with a rate, a chunk has the bytes of so many seconds, to avoid bursts
PACKET = 1_460  # the smallest chunk, in bytes
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes closing a reset


class SelectorLoop:
    """Waits for sockets and for bytes that are due, and calls what handles them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._late: dict[Channel, float] = {}

    def step(self) -> None:
        """Wait until a socket is ready or bytes are due, and handle that."""
        wait = max(0.0, min(self._late.values()) - time.monotonic()) if self._late else None
        for key, _ in self._selector.select(wait):
            key.data()
        now = time.monotonic()
        for channel in [channel for channel, due in self._late.items() if due <= now]:
            channel.connection.pass_on()

    def watch(self, thing: Any, call: Callable[[], None], events: int = selectors.EVENT_READ) -> None:
        """Call `call` whenever `events` are possible at `thing`, a socket or a pipe. With 0, stop watching it."""
        known = self._selector.get_map().get(thing)
        if known is None:
            if events:
                self._selector.register(thing, events, call)
        elif not events:
            self._selector.unregister(thing)
        elif known.events != events:
            self._selector.modify(thing, events, call)

    def wake(self, channel: Channel, due: float | None) -> None:
        """Pass on the bytes of `channel` at the time `due`; None: not at any time."""
        if due is None:
            self._late.pop(channel, None)
        else:
            self._late[channel] = due


class LinkDirection:
    """One direction of a link: its shape and faults now, and the bytes it has carried."""

    def __init__(self, link: Link, rng: Random) -> None:
        self.link = link
        self.is_cut = False
        self.is_held = False
        self.bytes = 0
        self.free_at = 0.0  # when the last bytes have left, at the link's rate
        self._rng = rng

    def due(self, came: float, size: int) -> float:
        """When `size` bytes that came in at `came` are to go out. Called in the order in which they came."""
        if self.link.rate_mbit:
            self.free_at = came = max(self.free_at, came) + size * 8e-6 / self.link.rate_mbit
        jitter = self._rng.uniform(-self.link.jitter_ms, self.link.jitter_ms)
        return came + max(0.0, self.link.latency_ms + jitter) / 1e3

    @property
    def chunk(self) -> int:
        """How many bytes to read at once."""
        if not self.link.rate_mbit:
            return CHUNK
        return min(CHUNK, max(PACKET, int(self.link.rate_mbit * 1e6 / 8 * CHUNK_S)))


class End(Enum):
    """How a connection ended at one side. It is passed on behind the bytes of that side."""

    CLOSED = "closed"
    RESET = "reset"


class Channel:
    """One direction of one connection: bytes that were read from `source` and wait to be written to `sink`, in order.
    """

    def __init__(
        self, connection: ProxyConnection, direction: LinkDirection, source: socket.socket, sink: socket.socket
    ) -> None:
        self.connection = connection
        self.direction = direction
        self.source = source
        self.sink = sink
        self.is_read = True  # False: the source has ended
        self.is_blocked = False  # the sink takes no more for now
        self.is_closed = False  # the end of the source has been passed on
        self.bytes = 0
        self._waiting: deque[tuple[float, float, memoryview | End]] = deque()  # due, came, what
        self._size = 0

    @property
    def is_open(self) -> bool:
        """Whether bytes may pass now."""
        return not (self.connection.is_connecting or self.direction.is_cut or self.direction.is_held)

    @property
    def takes(self) -> bool:
        """Whether to read more from the source."""
        return self.is_read and not self.direction.is_cut and self._size <= LIMIT

    def take(self) -> None:
        """Read a chunk, or how the source ended."""
        try:
            data = self.source.recv(self.direction.chunk)
        except BlockingIOError:
            return
        except OSError:
            self.connection.lose(self.source)
            return
        if data and not self.connection.is_mute:
            self._size += len(data)
            self._add(time.monotonic(), memoryview(data))
        elif not data:
            self.end(End.CLOSED)

    def end(self, how: End) -> None:
        """The source has ended."""
        self.is_read = False
        self._add(time.monotonic(), how)
        self.connection.loop.wake(self, self._waiting[0][0])

    def drop(self) -> None:
        """Forget what waits: the sink is gone."""
        self._waiting.clear()
        self._size = 0
        self.is_read = self.is_blocked = False
        self.connection.loop.wake(self, None)

    def reschedule(self) -> None:
        """Compute anew when the waiting bytes are due, by the link's shape now. Those of a mute connection are lost."""
        waiting, self._waiting = self._waiting, deque()
        for _, came, what in waiting:
            if isinstance(what, End) or not self.connection.is_mute:
                self._add(came, what)
            else:
                self._size -= len(what)

    def pass_on(self, now: float) -> None:
        """Write what is due, as far as the sink takes it. May end the connection."""
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
        self.connection.loop.wake(self, self._waiting[0][0] if is_late else None)

    def _add(self, came: float, what: memoryview | End) -> None:
        due = self.direction.due(came, 0 if isinstance(what, End) else len(what))
        if isinstance(what, End) and self.connection.is_mute:
            due += SILENCE_S
        # Jitter must not reorder bytes: TCP keeps the order.
        self._waiting.append((max(due, self._waiting[-1][0]) if self._waiting else due, came, what))

    def _write(self, data: memoryview) -> memoryview | None:
        """The bytes that the sink did not take; None if it took all, or is gone."""
        try:
            sent = self.sink.send(data)
        except BlockingIOError:
            return data
        except OSError:
            self.connection.lose(self.sink)
            return None
        self._size -= sent
        self.bytes += sent
        self.direction.bytes += sent
        return data[sent:] if sent < len(data) else None

    def _finish(self, how: End) -> None:
        if how is End.RESET:
            self.connection.reset("broken")
            return
        self.is_closed = True
        with contextlib.suppress(OSError):  # if the sink is gone, the other channel notices
            self.sink.shutdown(socket.SHUT_WR)


class ProxyConnection:
    """A connection of the lower machine, and the relay's own connection to the upper station at `port`.

    `tell` is called with `connected`, and at the end once with how it ended: `broken` (one end was reset), `closed`, or
    the word given to `reset`.
    """

    def __init__(
        self,
        loop: SelectorLoop,
        up: LinkDirection,
        down: LinkDirection,
        lower: socket.socket,
        port: int,
        *,
        tell: Callable[[ProxyConnection, str], None],
    ) -> None:
        self.loop = loop
        self.is_connecting = True
        self.is_joined = False  # whether the upper station accepted it
        self.is_broken = False  # it existed during a cut, and has lost bytes for good
        self.is_mute = False  # what either end sends is lost, and that it ends is noticed late
        self._is_over = False
        self._tell = tell
        self._lower = lower
        self._upper = socket.socket()
        for end in (self._lower, self._upper):
            end.setblocking(False)
            bound_buffers(end)
            with contextlib.suppress(OSError):  # macOS refuses if the connection has ended already
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = Channel(self, up, self._lower, self._upper)
        self.down = Channel(self, down, self._upper, self._lower)
        self._upper.connect_ex((LOOPBACK, port))  # when it becomes writable, it has connected or failed
        self._watch()

    def pass_on(self) -> None:
        """Pass on what is due, and watch the sockets accordingly."""
        now = time.monotonic()
        for channel in (self.up, self.down):
            if not self._is_over:
                channel.pass_on(now)
        if self.up.is_closed and self.down.is_closed:
            self._end("closed")
        if not self._is_over:
            self._watch()

    def lose(self, end: socket.socket) -> None:
        """One end is gone without closing. The other end gets a reset."""
        outgoing, incoming = (self.up, self.down) if end is self._lower else (self.down, self.up)
        self._forget(end)
        incoming.drop()
        outgoing.end(End.RESET)

    def reset(self, why: str) -> None:
        """Reset both ends at once. `why` is for the journal."""
        for end in (self._lower, self._upper):
            with contextlib.suppress(OSError):  # it is gone already
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
        for end, outgoing, incoming, see in (
            (self._lower, self.up, self.down, self._see_lower),
            (self._upper, self.down, self.up, self._see_upper),
        ):
            if end.fileno() >= 0:
                reads = outgoing.takes and (is_joined or end is self._lower)
                writes = incoming.is_blocked or (self.is_connecting and end is self._upper)
                self.loop.watch(end, see, selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes)

    def _see_lower(self) -> None:
        if self._lower.fileno() >= 0:  # otherwise it ended while the loop waited
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
    """Set small buffers for this socket. A listening socket passes them on to those it accepts."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        end.setsockopt(socket.SOL_SOCKET, option, BUFFER)


def _is_connected(end: socket.socket) -> bool:
    """Whether it has connected, and not to itself, which a system may do at a port that nobody has."""
    try:
        return bool(end.getpeername() != end.getsockname())
    except OSError:
        return False
