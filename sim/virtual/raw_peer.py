"""Raw peers in virtual time. A raw peer connects to a station without an endpoint, and makes its frames by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from sim.scenario import Twice, twice_id
from sim.scenario.payloads import bare_message
from sim.virtual.event_loop import Process
from sim.virtual.wires.connections import Wire

__all__ = ["VirtualRawPeer"]


class VirtualRawPeer:
    """A raw peer on the machine `at`. It is the `LowerPeer` of its wire."""

    def __init__(self, name: str, at: str) -> None:
        self.name = name
        self.at = at
        self.process = Process(name)
        self.line: Any = SimpleNamespace(
            peer=self, endpoint=SimpleNamespace(id=name, routes=SimpleNamespace(upstream=at))
        )
        self.wire: Wire
        self.confirmed: set[str] = set()
        self.came: list[tuple[bytes, ...]] = []

    def say(self, *frames: bytes) -> None:
        """Send frames as they are."""
        self.wire.send_up(frames)

    def twice(self, op: Twice, example: int, number: int) -> str:
        """Send one message several times. Returns its id."""
        message_id = twice_id(self.name, example, number)
        raw = bare_message(self.name, self.at, op.to, id=message_id, example=example, op=number, numbered=op.numbered)
        for _ in range(op.times):
            self.wire.send_up((self.at.encode(), op.to.encode(), raw))
        return message_id

    def opaque(self, raw: bytes, path: list[str], recipient: str) -> None:
        """Send bytes that are no message along `path`, the machines to cross, to another raw peer."""
        self.wire.send_up((*(name.encode() for name in (*path, recipient, recipient)), raw))

    # -- for the wire: see `LowerPeer` ---------------------------------------------------------------------------------

    def meet(self, line: object, peer: str) -> None:
        """Do nothing."""

    def lose(self, line: object, peer: str) -> None:
        """Do nothing."""

    def receive(self, line: object, peer: str, frames: tuple[bytes, ...]) -> None:
        """Record the frames, and the id of the message that they confirm, if they do."""
        del line, peer
        self.came.append(frames)
        try:
            message = json.loads(frames[-1])
        except ValueError:
            return
        if message.get("key") == "CONFIRM" and not message.get("received") and not message.get("failed"):
            self.confirmed.add(str(message.get("value")))
