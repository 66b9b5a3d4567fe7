"""Bare pyzmq: what the least that could work would do. One frame a message, or bundles, on DEALER and ROUTER."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np
import zmq

from sim.bench.load import HELLO, KEY, Gauge, flood, frame, small, times
from sim.bench.stage import BenchError

__all__ = ["ask", "bundled_sink", "bundles", "echo", "forwarder", "frame_sink", "frames", "messages", "sink"]

ADDRESS = "tcp://127.0.0.1"
ROUND = 500  # messages in a bundle: about 60 kB
encode, decode = msgspec.json.encode, msgspec.json.decode

Socket = zmq.Socket[bytes]


def _bound(wire: Connection) -> Socket:
    socket: Socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.setsockopt(zmq.RCVHWM, 0)
    wire.send(socket.bind_to_random_port(ADDRESS))
    return socket


def _connected(port: int, name: bytes) -> Socket:
    """A socket that has been heard at the other end."""
    socket: Socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, name)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.connect(f"{ADDRESS}:{port}")
    socket.send_multipart([b"T", HELLO.encode()])
    if socket.recv_multipart()[-1] != HELLO.encode():
        raise BenchError("a bare socket was not greeted")
    return socket


def _is_hello(socket: Socket, frames: list[bytes]) -> bool:
    if frames[-1] != HELLO.encode():
        return False
    socket.send_multipart([frames[0], frames[-1]])
    return True


def _flood(wire: Connection, port: int, send: Callable[[Socket], None]) -> None:
    socket = _connected(port, b"source")
    flood(wire, lambda: send(socket))
    socket.close(linger=0)


def _end_when_told(wire: Connection) -> None:
    """End this process, which reads for ever, once the bench says that all is over."""

    def wait() -> None:
        wire.recv()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


# -- one frame a message -----------------------------------------------------------------------------------------------


def sink(wire: Connection, count: int) -> None:
    """Take messages, and count them."""
    socket, gauge, is_over = _bound(wire), Gauge(wire, count), False
    while not is_over:
        frames = socket.recv_multipart()
        if not _is_hello(socket, frames):
            is_over = gauge.take(decode(frames[-1])["value"]["t"])
    wire.recv()


def messages(wire: Connection, port: int, count: int) -> None:
    """Send messages as fast as can be."""

    def send(socket: Socket) -> None:
        for number in range(count):
            socket.send_multipart([b"T", encode({"to": "T", "key": KEY, "value": small(number)})])

    _flood(wire, port, send)


def forwarder(wire: Connection, port: int) -> None:
    """A station in the middle: it passes on what comes from below."""
    below, above = _bound(wire), _connected(port, b"forwarder")
    _end_when_told(wire)
    while True:
        frames = below.recv_multipart()
        if not _is_hello(below, frames):
            above.send_multipart(frames[1:])


def echo(wire: Connection) -> None:
    """Send back what comes."""
    socket = _bound(wire)
    _end_when_told(wire)
    while True:
        frames = socket.recv_multipart()
        if not _is_hello(socket, frames):
            message = decode(frames[-1])
            socket.send_multipart([frames[0], encode({"to": "source", "key": KEY, "value": message["value"]})])


def ask(wire: Connection, port: int, count: int) -> None:
    """Ask, and wait for the answer, `count` times. Tells how long each took."""
    socket = _connected(port, b"source")

    def once(number: int) -> None:
        socket.send_multipart([b"T", encode({"to": "T", "key": KEY, "value": small(number)})])
        decode(socket.recv_multipart()[-1])

    times(wire, count, once)


# -- bundles -----------------------------------------------------------------------------------------------------------


def bundled_sink(wire: Connection, count: int) -> None:
    """Take bundles, and count the messages in them."""
    socket, gauge, is_over = _bound(wire), Gauge(wire, count), False
    while not is_over:
        frames = socket.recv_multipart()
        if not _is_hello(socket, frames):
            for message in decode(frames[-1]):
                is_over = gauge.take(message["value"]["t"])
    wire.recv()


def bundles(wire: Connection, port: int, count: int) -> None:
    """Send bundles of messages as fast as can be."""

    def send(socket: Socket) -> None:
        for first in range(0, count, ROUND):
            bundle = [{"to": "T", "key": KEY, "value": small(n)} for n in range(first, min(first + ROUND, count))]
            socket.send_multipart([b"T", encode(bundle)])

    _flood(wire, port, send)


# -- frames of a camera ------------------------------------------------------------------------------------------------


def frame_sink(wire: Connection, count: int) -> None:
    """Take frames of a camera, and count them."""
    socket, gauge, is_over = _bound(wire), Gauge(wire, count), False
    while not is_over:
        frames = socket.recv_multipart(copy=False)
        if len(frames) == 3:  # a frame of a camera comes with its facts before it
            _is_hello(socket, [part.bytes for part in frames])
            continue
        facts = decode(frames[-2].buffer)
        np.frombuffer(frames[-1].buffer, facts["dtype"]).reshape(facts["shape"])
        is_over = gauge.take(facts["t"])
    wire.recv()


def frames(wire: Connection, port: int, count: int, shape: tuple[int, ...]) -> None:
    """Send frames of a camera as fast as can be, without copies."""
    image = frame(shape)

    def send(socket: Socket) -> None:
        for number in range(count):
            facts: dict[str, Any] = {"n": number, "t": time.monotonic(), "dtype": "uint8", "shape": shape}
            socket.send_multipart([b"T", encode(facts), image.data], copy=False)

    _flood(wire, port, send)
