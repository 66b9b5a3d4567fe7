"""The pipes of one endpoint, plain sockets and peers of nothing but TCP, for the tests of sockets."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable

import pytest
import zmq

from autopilot_net.sockets import SendResult, Sockets
from tests.conftest import Context, Socket, eventually, plain

LOCAL = "127.0.0.1"
DEAF = {"RCVHWM": 1, "RCVBUF": 4096}  # of a peer that does not read: almost nothing goes on its way to it
BIG = b"x" * 50_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="how the system numbers files")


class Ends:
    """The pipes of one endpoint, and all that they ever said."""

    def __init__(self, context: Context, identity: str) -> None:
        self.sockets = Sockets(context, identity)
        self.port = 0
        self.came: list[tuple[str, list[bytes], bool]] = []
        self.news: list[tuple[str, bool]] = []

    def bind(self, port: int = 0) -> Ends:
        self.port = self.sockets.bind(LOCAL, port)
        return self

    def connect(self, upstream: str, port: int) -> Ends:
        self.sockets.connect(upstream, LOCAL, port)
        return self

    @property
    def monitor(self) -> Socket:
        return self.sockets.readable()[0]

    @property
    def router(self) -> Socket:
        return self.sockets.readable()[1]

    dealer = router

    def turn(self) -> None:
        """What a driver does: wait a little, read, and ask what changed."""
        poller = zmq.Poller()
        for one in self.sockets.readable():
            poller.register(one, zmq.POLLIN)
        ready = dict(poller.poll(5))
        self.came += self.sockets.receive(ready)
        self.news += self.sockets.changes()

    def changes(self) -> list[tuple[str, bool]]:
        """What the monitor alone tells."""
        assert list(self.sockets.receive([self.monitor])) == []
        return list(self.sockets.changes())

    def until(self, condition: Callable[[], object], *others: Ends) -> None:
        """Take turns, and let `others` take theirs, until `condition`."""

        def look() -> object:
            for one in (self, *others):
                one.turn()
            return condition()

        eventually(look)

    def heard(self, payload: bytes) -> bool:
        return any(frames[-1] == payload for _, frames, _ in self.came)

    def send(self, peer: str, *frames: bytes) -> SendResult:
        return self.sockets.send(peer, frames)


def to(one: Socket, port: int) -> Socket:
    one.connect(f"tcp://{LOCAL}:{port}")
    return one


def bound(one: Socket, port: int | None = None) -> tuple[Socket, int]:
    one.bind(f"tcp://{LOCAL}:{port or '*'}")
    return one, int(one.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def named(context: Context, identity: bytes, port: int, **options: int) -> Socket:
    """A plain DEALER that is connected."""
    return to(plain(context, zmq.DEALER, IDENTITY=identity, **options), port)


def read(one: Socket, timeout_ms: int = 10_000) -> list[bytes]:
    assert one.poll(timeout_ms), "nothing came"
    return one.recv_multipart()


class Bare:
    """A peer of nothing but TCP, which greets as a zmq socket and from then on does only what it is told."""

    def __init__(self, tcp: socket.socket, kind: bytes, identity: bytes = b"") -> None:
        self.tcp = tcp
        self.tcp.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        ready = b"\x05READY" + self._fact(b"Socket-Type", kind) + self._fact(b"Identity", identity)
        self.tcp.sendall(b"\x04" + bytes([len(ready)]) + ready)
        said = b""
        while b"READY" not in said:
            said += self.tcp.recv(1_000)

    @staticmethod
    def _fact(name: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    def send(self, payload: bytes) -> None:
        self.tcp.sendall(b"\x00" + bytes([len(payload)]) + payload)

    def beat(self, *, ttl_s: float) -> None:
        """Say that whoever hears nothing for so long may give it up."""
        ping = b"\x04PING" + struct.pack(">H", round(ttl_s * 10))
        self.tcp.sendall(b"\x04" + bytes([len(ping)]) + ping)

    def break_off(self) -> None:
        """End it with a reset."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()

    def die(self) -> None:
        """As by a SIGKILL: the system closes the connection, and no goodbye is said."""
        self.tcp.close()


def bare_dealer(identity: bytes, port: int) -> Bare:
    return Bare(socket.create_connection((LOCAL, port)), b"DEALER", identity)


Bares = Callable[[bytes, int], Bare]


# -- IMMEDIATE ---------------------------------------------------------------------------------------------------------


def eventually_bound(context: Context, port: int) -> tuple[Socket, int]:
    """A socket's port is free a moment after it was closed: another thread closes it."""
    server = plain(context, zmq.ROUTER)

    def bind() -> bool:
        try:
            server.bind(f"tcp://{LOCAL}:{port}")
        except zmq.ZMQError:
            return False
        return True

    eventually(bind)
    return server, port


def fill(send: Callable[[], object]) -> int:
    """How many messages a neighbour that reads nothing takes until it takes no more, and `send` says so."""
    for sent in range(100_000):
        if send():
            return sent
    raise AssertionError("it takes everything")


def blocks(send: Callable[[], object]) -> bool:
    try:
        send()
    except zmq.Again:
        return True
    return False
