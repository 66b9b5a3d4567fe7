"""The zmq sockets of one endpoint, and each setting with what happens without it. Nothing is decided here.

Observed with libzmq 4.3.5; each reason has a test in `tests/test_sockets.py`. Used by one thread at a time.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from autopilot_net.errors import AutopilotNetError

__all__ = ["Pipes", "Sent", "dealer", "router"]

BATCH = 200  # messages read in one go before anything else has its turn
LINGER_MS = 500  # how long what was sent last, a CONFIRM say, may take to leave after closing
HEARTBEAT_MS = 2_000  # whoever was silent for three of them is gone
PIPE_BYTES = 16 << 20  # of large messages in one pipe: zmq counts messages alone, and lets a thousand of any size in


class _Load:
    """What large messages are in one pipe. zmq sends such as they lie, and tells when it needs them no more."""

    def __init__(self) -> None:
        self._bytes = 0
        self._under_way: deque[tuple[zmq.MessageTracker, int]] = deque()

    def takes(self, size: int) -> bool:
        """Whether so much more may go into the pipe. One message always may, whatever its size."""
        while self._under_way and self._under_way[0][0].done:
            self._bytes -= self._under_way.popleft()[1]
        return not self._under_way or self._bytes + size <= PIPE_BYTES

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """So much went into it."""
        self._bytes += size
        self._under_way.append((tracker, size))


class Sent(Enum):
    """What became of one send."""

    YES = "yes"
    FULL = "full"
    GONE = "gone"


def router(context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    """A ROUTER that says when a neighbour is gone, and lets a rebooted one back in."""
    socket = _common(context.socket(zmq.ROUTER))
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else what goes to a neighbour that is gone vanishes without a word
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # else a rebooted Pi is refused its own id while its old ghost lives
    # No heartbeats of its own: zmq aborts the process at the first beat after the end of a connection whose id was
    # handed over, if that had gone on sending. Two machines under one id would be the end of the terminal.
    return socket


def dealer(context: zmq.Context[zmq.Socket[bytes]], identity: str) -> zmq.Socket[bytes]:
    """A DEALER named `identity` that is seen at once when it connects, and keeps nothing for a dead peer."""
    socket = _common(context.socket(zmq.DEALER))
    socket.setsockopt(zmq.IDENTITY, identity.encode())
    socket.setsockopt(zmq.PROBE_ROUTER, 1)  # else the far ROUTER knows nobody until the first message comes up
    socket.setsockopt(zmq.IMMEDIATE, 1)  # else stale frames pile up for a dead peer, and reach its next life
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    # It tells the far ROUTER to give it up after a silence, and gives up nobody itself: the endpoint probes its
    # upstream, and zmq aborts the process where a beat fails while what came in waits to be read.
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 3 * HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 0)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
    return socket


def _common(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    # At a mark libzmq stops reading: then a peer that lives is taken for dead, since its heartbeats are not read. What
    # lies unread is bounded by our own thread, which never waits: it hands on, or drops and counts.
    socket.setsockopt(zmq.RCVHWM, 0)
    # A machine that lost its power looks connected for as long as TCP hopes, which is hours. One of ours has said how
    # long to wait for it; of any other, the system asks whether it is there, and gives up what is never acknowledged.
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, HEARTBEAT_MS // 1_000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, HEARTBEAT_MS // 1_000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 2)
    socket.setsockopt(zmq.TCP_MAXRT, 3 * HEARTBEAT_MS)
    return socket


class Pipes:
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
        self._fd_of: dict[str, int] = {}  # the monitor speaks of file descriptors, never of identities
        self._live: set[int] = set()  # the connections below, as far as the monitor has told
        self._is_up = False  # likewise the one above
        self._news: deque[tuple[str, bool]] = deque()
        self._loads: dict[str, _Load] = {}
        # Of each neighbour below: its address, and whether its former connection was still there when it came by this.
        self.came_by: dict[str, tuple[str, bool]] = {}

    def bind(self, ip: str, port: int | None) -> int:
        """Listen; `port` None or 0 lets the system choose. Returns it. Raises `AutopilotNetError` if it is taken."""
        self._router = router(self._context)
        # First: whoever waits for this port is accepted at once, and unheard of, is lost with each thing that it says.
        self._router_monitor = self._router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            self._router.bind(f"tcp://{ip}:{port or '*'}")
        except zmq.ZMQError as error:
            self._close(self._router, self._router_monitor, linger=0)
            self._router = self._router_monitor = None
            raise AutopilotNetError(f"{self._identity} cannot listen at {ip}:{port}: {error}") from error
        endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        return int(endpoint.rpartition(":")[2])

    def connect(self, upstream: str, ip: str, port: int) -> None:
        """Connect to the ROUTER of `upstream`. Whether it is there shows later, by `changes`."""
        self._upstream, self._address, self._is_up = upstream, f"tcp://{ip}:{port}", False
        self._dealer = dealer(self._context, self._identity)
        self._dealer_monitor = self._dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._dealer.connect(self._address)

    def reconnect(self) -> None:
        """Throw the connection to the upstream away, with what is still in it, and make another."""
        self._close(self._dealer, self._dealer_monitor, linger=0)
        ip, _, port = self._address.removeprefix("tcp://").rpartition(":")
        self.connect(self._upstream, ip, int(port))

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What to poll for reading."""
        every = (self._router_monitor, self._dealer_monitor, self._router, self._dealer)
        return [socket for socket in every if socket is not None]

    def close(self) -> None:
        """Close what is open. What was sent has a moment to leave."""
        self._close(self._router, self._router_monitor, linger=LINGER_MS)
        self._close(self._dealer, self._dealer_monitor, linger=LINGER_MS)
        self._router = self._dealer = self._router_monitor = self._dealer_monitor = None

    def send(self, peer: str, frames: tuple[bytes, ...]) -> Sent:
        """Send without ever waiting: a ROUTER at high water would block every other neighbour too."""
        is_up = peer == self._upstream and self._dealer is not None
        socket = self._dealer if is_up else self._router
        if socket is None:
            return Sent.GONE
        parts = frames if is_up else (peer.encode(), *frames)
        try:
            if len(frames[-1]) >= zmq.COPY_THRESHOLD:
                return self._send_large(socket, peer, parts)
            socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return Sent.GONE
            raise
        return Sent.YES

    def _send_large(self, socket: zmq.Socket[bytes], peer: str, parts: tuple[bytes, ...]) -> Sent:
        load = self._loads.get(peer) or _Load()
        size = len(parts[-1])
        if not load.takes(size):
            return Sent.FULL
        tracker = socket.send_multipart(parts, zmq.DONTWAIT, copy=False, track=True)
        if tracker is not None:
            load.add(tracker, size)
            self._loads[peer] = load
        return Sent.YES

    def changes(self) -> Iterator[tuple[str, bool]]:
        """The neighbours that came (True) or went (False), in order. To be asked after each `receive`.

        What a neighbour sent last can be read when its connection has gone already, and makes it look alive: then it
        is told once more that it went.
        """
        while self._news:
            peer, is_there = self._news.popleft()
            if not is_there:
                self._fd_of.pop(peer, None)
                self._loads.pop(peer, None)
                self.came_by.pop(peer, None)
            yield peer, is_there

    def receive(self, ready: Collection[Any]) -> Iterator[tuple[str, list[bytes], bool]]:
        """(neighbour, frames, whether it came by a new connection), up to a batch from each of the sockets `ready`."""
        if self._dealer_monitor in ready or self._router_monitor in ready:
            self._watch()
        if self._dealer is not None and self._dealer in ready:
            yield from self._receive_from_above(self._dealer)
        if self._router is not None and self._router in ready:
            yield from self._receive_below(self._router)

    def _receive_from_above(self, socket: zmq.Socket[bytes]) -> Iterator[tuple[str, list[bytes], bool]]:
        for number in range(BATCH):
            try:
                frames = socket.recv_multipart(zmq.DONTWAIT)
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
                # The identity is read uncopied, since only such a frame tells the connection it came by.
                first = socket.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            frames = socket.recv_multipart(zmq.DONTWAIT) if first.more else []
            try:
                peer = first.bytes.decode()
            except UnicodeDecodeError:
                continue  # zmq names whoever did not name itself by five bytes; nobody could answer it by an id
            yield peer, frames, self._is_new(peer, first, frames)

    def _is_new(self, peer: str, first: zmq.Frame, frames: list[bytes]) -> bool:
        fd = int(first.get(zmq.SRCFD))
        if self._fd_of.get(peer) == fd and frames != [b""]:
            return False
        # The system gives the number of a closed connection to the next: first hear whose it was. What comes first by
        # a connection of ours is empty, and so is a liveness probe now and then.
        self._watch()
        if self._fd_of.get(peer) == fd:
            return False
        self._news = deque(news for news in self._news if news != (peer, False))
        self.came_by[peer] = (str(first.get("Peer-Address")), self._fd_of.get(peer) in self._live)
        self._fd_of[peer] = fd
        if fd not in self._live:
            self._news.append((peer, False))
        return True

    def _watch(self) -> None:
        """Hear what the monitors say. Each says it before the first message of a connection can be read."""
        for event in _drain(self._dealer_monitor):
            self._is_up = event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._news.append((self._upstream, self._is_up))
        for event in _drain(self._router_monitor):
            fd = event["value"]
            change = self._live.add if event["event"] == zmq.EVENT_ACCEPTED else self._live.discard
            change(fd)
            for peer in [peer for peer, known in self._fd_of.items() if known == fd]:
                del self._fd_of[peer]
                self._news.append((peer, False))

    @staticmethod
    def _close(
        socket: zmq.Socket[bytes] | None, monitor: zmq.Socket[bytes] | None, *, linger: int
    ) -> None:
        if socket is not None:
            with contextlib.suppress(zmq.ContextTerminated):  # whoever ended the context waits for the closing
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
