"""The zmq sockets of one endpoint: they open, close, send and receive. Nothing is decided here.

Used by one thread at a time. `socket_options.py` says how they are set.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from autopilot_net import multipart
from autopilot_net.diagnosis import host_of
from autopilot_net.errors import AutopilotNetError
from autopilot_net.inbound import Inbound
from autopilot_net.protocol.identity import identity_of
from autopilot_net.socket_options import LINGER_MS, SMALL, bracketed, dealer, has_v6, is_v6, router

__all__ = ["SendResult", "Sockets"]

BATCH = 200  # messages read in one go before anything else has its turn
PIPE_BYTES = 64 << 10


class _Load:
    """The large messages in one pipe. zmq sends them without copying, and tells when it is done with each."""

    def __init__(self) -> None:
        self._bytes = 0
        self._under_way: deque[tuple[zmq.MessageTracker, int]] = deque()

    def takes(self, size: int) -> bool:
        """Whether `size` more bytes may go into the pipe. One message always may, whatever its size."""
        while self._under_way and self._under_way[0][0].done:
            self._bytes -= self._under_way.popleft()[1]
        return not self._under_way or self._bytes + size <= PIPE_BYTES

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """So much went into it."""
        self._bytes += size
        self._under_way.append((tracker, size))


class SendResult(Enum):
    """What became of one attempt to send."""

    YES = "yes"
    FULL = "full"
    LATE = "late"  # enough of large messages is under way, which takes a moment
    GONE = "gone"


class Sockets:
    """The sockets of one endpoint: a ROUTER bound for those below, a DEALER connected to its upstream, or both."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], identity: str) -> None:
        self._context = context
        self._identity = identity
        self._upstream = ""
        self._address = ""
        self._router: zmq.Socket[bytes] | None = None
        self._dealer: zmq.Socket[bytes] | None = None
        self._router_monitor: zmq.Socket[bytes] | None = None
        self._dealer_monitor: zmq.Socket[bytes] | None = None
        self._is_up = False  # whether the connection above is there, as far as the monitor has told
        self._news: deque[tuple[str, bool]] = deque()
        self._last_words: deque[list[bytes]] = deque()  # what a connection above had brought when it ended
        self._loads: dict[str, _Load] = {}
        self.host, self.port = "", 0  # of the upstream
        self.by_v6 = False  # whether the upstream is at an address of IPv6
        self.inbound = Inbound(identity)
        self.blocked = False  # whether the last send found the pipe above full, which a poll would say is over

    @property
    def skipped(self) -> Counter[str]:
        """What was not handed on, by reason."""
        return self.inbound.skipped

    @property
    def came_by(self) -> dict[str, tuple[str, bool]]:
        """For each neighbour below: its address, and whether its former connection was still there when it came."""
        return self.inbound.came_by

    def bind(self, ip: str, port: int | None) -> int:
        """Listen; `port` None or 0 lets the system choose. Returns it. Raises `AutopilotNetError` if it is taken."""
        self._router = router(self._context)
        self._router.setsockopt(zmq.IPV6, is_v6(ip) or (ip == "*" and has_v6()))
        # Before bind: a peer that waits for this port is accepted at once, and its messages need its ACCEPTED event.
        self._router_monitor = self._router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            self._router.bind(f"tcp://{bracketed(ip)}:{port or '*'}")
        except zmq.ZMQError as error:
            self._close(self._router, self._router_monitor, linger=0)
            self._router = self._router_monitor = None
            raise AutopilotNetError(f"{self._identity} cannot listen at {ip}:{port}: {error}") from error
        endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        return int(endpoint.rpartition(":")[2])

    def connect(self, upstream: str, ip: str, port: int) -> None:
        """Connect to the ROUTER of `upstream`. Whether it is there shows later, by `changes`."""
        self._upstream, self._address = upstream, f"tcp://{bracketed(ip)}:{port}"
        self.host, self.port = host_of(ip), port
        self.by_v6 = is_v6(ip)
        self.inbound.taken.add(upstream)
        self._open("")

    def go_by(self, address: str) -> None:
        """Take this address of the upstream's from the next connection on."""
        self.by_v6 = is_v6(address)
        self._address = f"tcp://{bracketed(address)}:{self.port}"

    def last_words(self) -> Iterator[list[bytes]]:
        """What the connection to the upstream has brought and nobody has read. Call it before `hang_up`."""
        self._read_out()
        while self._last_words:
            yield self._last_words.popleft()

    def hang_up(self) -> None:
        """Close the connection to the upstream. What is still on its way up is lost."""
        self._close(self._dealer, self._dealer_monitor, linger=0)
        self._dealer = self._dealer_monitor = None
        self._is_up = self.blocked = False
        self._news = deque(news for news in self._news if news != (self._upstream, True))  # zmq reconnected before us

    def reconnect(self, connection: str = "") -> None:
        """Make another connection to the upstream.

        A `connection` name gives it an identity of its own. So the former connection keeps its identity, and the
        upstream reads everything that it had received by it.
        """
        self.hang_up()
        self._open(connection)

    def readable(self) -> list[zmq.Socket[bytes]]:
        """What to poll for reading."""
        every = (self._router_monitor, self._dealer_monitor, self._router, self._dealer)
        return [socket for socket in every if socket is not None]

    def writable(self) -> zmq.Socket[bytes] | None:
        """What to poll for writing too: the connection up, if it was full. A ROUTER can only be tried again."""
        return self._dealer if self.blocked else None

    def close(self) -> None:
        """Close what is open. What was sent has a moment to leave."""
        self._close(self._router, self._router_monitor, linger=LINGER_MS)
        self._close(self._dealer, self._dealer_monitor, linger=LINGER_MS)
        self._router = self._dealer = self._router_monitor = self._dealer_monitor = None

    def send(self, peer: str, frames: tuple[bytes, ...]) -> SendResult:
        """Send without ever waiting: a ROUTER at high water would block every other neighbour too."""
        is_up = peer == self._upstream and self._dealer is not None
        socket = self._dealer if is_up else self._router
        if socket is None:
            return SendResult.GONE
        if is_up:
            self.blocked = False
        parts = frames if is_up else (self.inbound.identity(peer), *frames)
        try:
            if len(frames[-1]) > SMALL:
                return self._send_large(socket, peer, parts)
            multipart.send(socket, parts)
        except zmq.Again:
            self.blocked = self.blocked or is_up
            return SendResult.FULL
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return SendResult.GONE
            raise
        return SendResult.YES

    def _send_large(self, socket: zmq.Socket[bytes], peer: str, parts: tuple[bytes, ...]) -> SendResult:
        load = self._loads.get(peer) or _Load()
        size = len(parts[-1])
        if not load.takes(size):
            return SendResult.LATE
        tracker = socket.send_multipart(parts, zmq.DONTWAIT, copy=False, track=True)
        if tracker is not None:
            load.add(tracker, size)
            self._loads[peer] = load
        return SendResult.YES

    def changes(self) -> Iterator[tuple[str, bool]]:
        """The neighbours that came (True) or went (False), in order. Call it after each `receive`."""
        while self.inbound.gone:
            self._news.append((self.inbound.gone.popleft(), False))
        while self._news:
            peer, is_there = self._news.popleft()
            if not is_there:
                self._loads.pop(peer, None)
            yield peer, is_there

    def reads_out(self) -> bool:
        """Whether to call `receive` soon, whatever is ready: a connection that is over is being read out."""
        return bool(self._last_words) or self.inbound.reads_out()

    def receive(self, ready: Collection[Any]) -> Iterator[tuple[str, list[bytes], bool]]:
        """(neighbour, frames, whether it came by a new connection), up to a batch from each of the sockets `ready`."""
        if self._dealer_monitor in ready or self._router_monitor in ready:
            self._watch()
        if self._dealer is not None and self._dealer in ready:
            yield from self._receive_from_above(self._dealer)
        while self._last_words:
            yield self._upstream, self._last_words.popleft(), False
        if self._router is not None and (self._router in ready or self.inbound.reads_out()):
            yield from self._receive_below(self._router)

    def _receive_from_above(self, socket: zmq.Socket[bytes]) -> Iterator[tuple[str, list[bytes], bool]]:
        for number in range(BATCH):
            try:
                frames = multipart.receive(socket)
            except zmq.Again:
                return
            if not number and not self._is_up:
                self._watch()
                if not self._is_up:
                    self._news.append((self._upstream, False))
            yield self._upstream, frames, False

    def _receive_below(self, socket: zmq.Socket[bytes]) -> Iterator[tuple[str, list[bytes], bool]]:
        for _ in range(BATCH):
            try:
                first = multipart.receive_first(socket)
            except zmq.Again:
                self._watch()
                yield from self.inbound.emptied()
                return
            yield from self.inbound.read(first, multipart.rest_of(socket, first), self._watch)

    def _open(self, connection: str) -> None:
        self._is_up = self.blocked = False
        self._dealer = dealer(self._context, identity_of(self._identity, connection))
        self._dealer_monitor = self._dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._dealer.setsockopt(zmq.IPV6, self.by_v6)
        self._dealer.connect(self._address)

    def _read_out(self) -> None:
        """Take what the connection above has brought."""
        with contextlib.suppress(zmq.Again):
            while self._dealer is not None:
                self._last_words.append(multipart.receive(self._dealer))

    def _watch(self) -> None:
        """Read the monitors. Each reports a connection before its first message can be read."""
        for event in _drain(self._dealer_monitor):
            self._is_up = event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if not self._is_up:
                self._read_out()
            self._news.append((self._upstream, self._is_up))
        for event in _drain(self._router_monitor):
            if event["event"] == zmq.EVENT_ACCEPTED:
                self.inbound.accepted(event["value"])
            else:
                self.inbound.disconnected(event["value"])

    @staticmethod
    def _close(socket: zmq.Socket[bytes] | None, monitor: zmq.Socket[bytes] | None, *, linger: int) -> None:
        if socket is not None:
            with contextlib.suppress(zmq.ContextTerminated):  # whoever terminates the context waits for this
                socket.disable_monitor()
            socket.close(linger)
        if monitor is not None:
            monitor.close(0)


def _drain(monitor: zmq.Socket[bytes] | None) -> Iterator[dict[str, int]]:
    while monitor is not None:
        try:
            yield recv_monitor_message(monitor, zmq.DONTWAIT)  # type: ignore[misc]  # typed for the async sockets too
        except zmq.Again:
            return
