"""Messages of several frames, by the compiled part of pyzmq alone.

What `zmq.Socket` adds in Python, as conversions of flags, costs several times as much as to send a short message.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq
from zmq.backend import Socket

__all__ = ["receive", "receive_first", "rest_of", "send"]

_send, _receive = Socket.send, Socket.recv
_LAST, _MORE = int(zmq.DONTWAIT), int(zmq.DONTWAIT | zmq.SNDMORE)


def send(socket: Socket, frames: Sequence[bytes]) -> None:
    """Send one message without waiting. Raises `zmq.Again` where it would have to, and has sent nothing then."""
    for frame in frames[:-1]:
        _send(socket, frame, _MORE)
    _send(socket, frames[-1], _LAST)


def receive(socket: Socket) -> list[bytes]:
    """The frames of the next message. Raises `zmq.Again` where there is none."""
    first = receive_first(socket)
    return [first.bytes, *rest_of(socket, first)]


def receive_first(socket: Socket) -> zmq.Frame:
    """The first frame of the next message, uncopied: only such a frame tells the connection that it came by."""
    frame: zmq.Frame = _receive(socket, _LAST, False)
    return frame


def rest_of(socket: Socket, first: zmq.Frame) -> list[bytes]:
    """The frames of a message behind its first."""
    frame, rest = first, []
    while frame.more:
        frame = _receive(socket, _LAST, False)
        rest.append(frame.bytes)
    return rest
