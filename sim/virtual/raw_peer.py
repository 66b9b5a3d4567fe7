"""Raw peers in virtual time: they frame by hand, and stand on a station's link with no endpoint behind them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from sim.scenario import Twice, twice_id
from sim.scenario.payloads import bare_message
from sim.virtual.connections import Wire
from sim.virtual.event_loop import Process

__all__ = ["VirtualRawPeer"]


class VirtualRawPeer:
    """One raw peer on the machine `at`. It looks to its wire like the peer below."""

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

    def twice(self, op: Twice, example: int, number: int) -> str:
        """Send one message several times; its id."""
        said = twice_id(self.name, example, number)
        raw = bare_message(self.name, self.at, op.to, id=said, example=example, op=number, numbered=op.numbered)
        for _ in range(op.times):
            self.wire.send_up((self.at.encode(), op.to.encode(), raw))
        return said

    def opaque(self, raw: bytes, path: list[str], recipient: str) -> None:
        """Send bytes that are no message along `path` to another raw peer."""
        self.wire.send_up((*(name.encode() for name in (*path, recipient, recipient)), raw))

    # -- what a wire asks of who is below ----------------------------------------------------------------------------

    def meet(self, line: object, peer: str) -> None:
        """It cares only for what comes."""

    def lose(self, line: object, peer: str) -> None:
        """Likewise."""

    def receive(self, line: object, peer: str, frames: tuple[bytes, ...]) -> None:
        """Remember what came, and what was confirmed."""
        del line, peer
        self.came.append(frames)
        try:
            said = json.loads(frames[-1])
        except ValueError:
            return
        if said.get("key") == "CONFIRM" and not said.get("received") and not said.get("failed"):
            self.confirmed.add(str(said.get("value")))
