"""Bare zmq actors: they send what no station would, and are believed more than the library they stand beside.

Each is a DEALER of its own name on a station's port, written with pyzmq alone. It frames by hand, so that a mistake in
the library's framing is not made here too.
"""

from __future__ import annotations

import json
import time

import zmq

from sim.scenario import Twice, twice_id
from sim.scenario.payloads import bare_message

__all__ = ["Actor"]


class Actor:
    """One actor on the machine `at`, whose station listens at `port`."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], name: str, at: str, port: int) -> None:
        self.name = name
        self.at = at
        self._confirmed: set[str] = set()
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.setsockopt(zmq.PROBE_ROUTER, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(f"tcp://127.0.0.1:{port}")

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def hello(self, deadline: float) -> bool:
        """Wait until the station has echoed our empty message: then it knows us."""
        return self.receive(deadline, lambda frames: frames == [b""]) is not None

    def send(self, *frames: bytes) -> None:
        """Send frames as they are."""
        self._socket.send_multipart(frames)

    def receive(self, deadline: float, wanted: object) -> list[bytes] | None:
        """The next message that `wanted` (a function of its frames) takes; None if none came by then."""
        while (left := deadline - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1000) + 1):
                return None
            frames = self._socket.recv_multipart()
            if callable(wanted) and wanted(frames):
                return frames
        return None

    def twice(self, op: Twice, example: int, number: int) -> str:
        """Send one message several times, as a sender would that repeats; returns its id."""
        said = twice_id(self.name, example, number)
        raw = bare_message(self.name, self.at, op.to, id=said, example=example, op=number, numbered=op.numbered)
        for _ in range(op.times):
            self.send(self.at.encode(), op.to.encode(), raw)
        return said

    def confirmed(self, message_id: str, deadline: float) -> bool:
        """Whether a CONFIRM for `message_id` comes by then that says it was handled."""

        def is_it(frames: list[bytes]) -> bool:
            try:
                said = json.loads(frames[-1])
            except ValueError:
                return False
            if said.get("key") == "CONFIRM" and not said.get("received") and not said.get("failed"):
                self._confirmed.add(said.get("value"))  # it may be about another, which will be asked for next
            return message_id in self._confirmed

        return message_id in self._confirmed or self.receive(deadline, is_it) is not None

    def opaque(self, raw: bytes, way: list[str], recipient: str) -> None:
        """Send bytes that are no message along `way`, the stations of the path, to another actor."""
        frames = [name.encode() for name in (*way, recipient, recipient)]
        self.send(*frames, raw)

