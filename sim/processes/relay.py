"""What stands in for the cable of a link: what is done to it, and the connections that go through it.

What a relay cannot be: the system of this machine goes on acknowledging what was sent to it. So during a cut nobody's
TCP runs into a timeout; whoever notices, notices by silence. Nor does a cut one way keep the other's acknowledgements.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

from sim.faults.actions import Action
from sim.lab.fault import Link
from sim.processes.proxy import LOOPBACK, Lane, Loop, Pair, bound_buffers

__all__ = ["Relay"]


class Relay:
    """The relay of one link. `tell` is called with a word and facts for the journal.

    Listens at `listen`, which may be held by somebody who does not listen at it; 0: at any port. See `listens_at`.
    `port` is that of the upper station. `link` is what the link is like when nothing is wrong.
    """

    def __init__(
        self, loop: Loop, *, port: int, listen: int, link: Link, chance: Random, tell: Callable[..., None]
    ) -> None:
        self.loop = loop
        self.port = port
        self.up = Lane(link, chance)
        self.down = Lane(link, chance)
        self._link = link
        self._tell = tell
        self._pairs: dict[Pair, int] = {}  # in the order in which they came
        self._made = 0
        self._refused = 0  # connections in a row that the station above did not take
        self._holder = _bound(listen)  # so that the port stays ours during a cut
        self.listens_at = int(self._holder.getsockname()[1])
        if sys.platform != "linux":  # elsewhere a port that is held so cannot be listened at
            self._holder.close()
        self._listener: socket.socket | None = None
        self._verbs: dict[str, Callable[[Action, list[Lane]], None]] = {
            "cut": self._cut,
            "heal": self._heal,
            "hold": self._hold,
            "release": self._hold,
            "reset": self._reset,
            "shape": self._shape,
        }
        self._listen()

    def do(self, action: Action) -> None:
        """Carry out a verb. Does not return before it holds. What is not for connections is a ValueError."""
        carry_out = self._verbs.get(action.verb)
        if carry_out is None:
            raise ValueError(f"{action.verb} is nothing that is done to connections")
        facts: dict[str, Any] = {"fault": action.fault, "way": action.way, "connections": len(self._pairs)}
        if action.verb == "shape":
            facts |= {name: getattr(action, name) for name in Link.__struct_fields__}
        self._tell(action.verb, **facts, **self.carried())
        lanes = [lane for way, lane in (("up", self.up), ("down", self.down)) if action.way in (way, "both")]
        carry_out(action, lanes)
        self._go_on(lanes)

    def carried(self) -> dict[str, int]:
        """Bytes that were passed on, each way."""
        return {"up": self.up.bytes, "down": self.down.bytes}

    def close(self) -> None:
        """End everything at once."""
        for pair in list(self._pairs):
            pair.reset("stopped")
        self._unlisten()
        self._holder.close()

    def _cut(self, _: Action, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.is_cut = True
        for pair in self._pairs:
            pair.is_broken = True
        if self.up.is_cut and self.down.is_cut:
            self._unlisten()

    def _heal(self, _: Action, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.is_cut, lane.link = False, self._link
        self._listen()
        for pair in list(self._pairs):
            if pair.is_broken and not (self.up.is_cut or self.down.is_cut):
                pair.reset("reset")

    def _hold(self, action: Action, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.is_held = action.verb == "hold"

    def _shape(self, action: Action, lanes: list[Lane]) -> None:
        for lane in lanes:
            lane.link = Link(action.latency_ms, action.jitter_ms, action.rate_mbit)

    def _reset(self, _: Action, __: list[Lane]) -> None:
        for pair in list(self._pairs):
            pair.reset("reset")

    def _go_on(self, lanes: list[Lane]) -> None:
        """Things are different: what waits on `lanes` is due by what they are like now."""
        for lane in lanes:
            lane.free_at = time.monotonic()
        for pair in list(self._pairs):
            for half in (pair.up, pair.down):
                if half.lane in lanes:
                    half.reschedule()
            pair.pass_on()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.listens_at)
            self._listener.listen(128)
            self._listener.setblocking(False)
            self.loop.watch(self._listener, self._accept)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self.loop.watch(self._listener, self._accept, 0)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            lower, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it has thought better of it
        self._made += 1
        pair = Pair(self.loop, self.up, self.down, lower, self.port, tell=self._hear)
        pair.is_broken = self.up.is_cut or self.down.is_cut
        self._pairs[pair] = self._made

    def _hear(self, pair: Pair, what: str) -> None:
        number, carried = self._pairs[pair], {"up": pair.up.bytes, "down": pair.down.bytes}
        if what == "connected":
            self._tell(what, connection=number, refused=self._refused)
            self._refused = 0
            return
        del self._pairs[pair]
        if pair.is_joined or what != "broken":
            self._tell(what, connection=number, **carried)
            return
        self._refused += 1
        if self._refused == 1:  # they try many times a second: the next that is taken says how many there were
            self._tell("refused", connection=number)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound_buffers(made)
    made.bind((LOOPBACK, port))
    return made
