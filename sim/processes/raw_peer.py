"""Raw peers: DEALER sockets on a station's port, written with pyzmq alone.

They send what no station would send. They frame by hand, so a mistake in the library's framing is not made here too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import zmq

from sim.scenario import Twice, twice_id
from sim.scenario.payloads import bare_message

__all__ = ["RawPeer"]


class RawPeer:
    """One raw peer on the machine `at`, whose station listens at `port` on loopback. Deadlines are of the monotonic
    clock.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], name: str, at: str, port: int, *, returns: bool = True
    ) -> None:
        """`returns`: whether it connects again when its connection breaks."""
        self.name = name
        self.at = at
        self.confirmed: set[str] = set()  # the ids of its messages whose confirmation was read
        self.came: list[tuple[bytes, ...]] = []  # what `read` has read
        self._socket = context.socket(zmq.DEALER)
        if not returns:
            self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.setsockopt(zmq.PROBE_ROUTER, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def hello(self, deadline: float) -> bool:
        """Wait until the station has echoed the empty probe message. From then on it knows this peer."""
        return self.receive(deadline, lambda frames: frames == [b""]) is not None

    def send(self, *frames: bytes) -> None:
        """Send frames as they are."""
        self._socket.send_multipart(frames)

    def receive(self, deadline: float, wanted: Callable[[list[bytes]], bool]) -> list[bytes] | None:
        """The frames of the next message that is `wanted`; None if none came by the deadline. Others are dropped."""
        while (left := deadline - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1000) + 1):
                return None
            frames = self._socket.recv_multipart()
            if wanted(frames):
                return frames
        return None

    say = send

    def read(self) -> None:
        """Read what has come, and note what it confirms."""
        while self._socket.poll(0):
            self.came.append(tuple(self._socket.recv_multipart()))
            self._note_confirmed(self.came[-1])

    def twice(self, op: Twice, example: int, number: int) -> str:
        """Send one message several times, as a sender that repeats would; returns its id."""
        id = twice_id(self.name, example, number)
        raw = bare_message(self.name, self.at, op.to, id=id, example=example, op=number, numbered=op.numbered)
        for _ in range(op.times):
            self.send(self.at.encode(), op.to.encode(), raw)
        return id

    def is_confirmed(self, message_id: str, deadline: float) -> bool:
        """Whether a CONFIRM that says `handled` came for this message by the deadline."""

        def is_it(frames: list[bytes]) -> bool:
            self._note_confirmed(frames)  # it may be for another message, which is asked for later
            return message_id in self.confirmed

        return message_id in self.confirmed or self.receive(deadline, is_it) is not None

    def _note_confirmed(self, frames: Sequence[bytes]) -> None:
        try:
            message = json.loads(frames[-1])
        except ValueError:
            return
        if message.get("key") == "CONFIRM" and not message.get("received") and not message.get("failed"):
            self.confirmed.add(str(message.get("value")))

    def opaque(self, raw: bytes, path: list[str], recipient: str) -> None:
        """Send bytes that are no message along `path`, the stations to cross, to another raw peer."""
        frames = [name.encode() for name in (*path, recipient, recipient)]
        self.send(*frames, raw)
