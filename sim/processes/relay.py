"""The relay of one link: it stands in for the cable, carries out faults, and passes connections on.

A relay differs from a cable in one way. The system of this machine acknowledges bytes even during a cut. So no TCP
connection times out: an end notices a cut by silence alone. And a cut one way does not hold back the acknowledgements
for the other way.
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
from sim.processes.proxy import LOOPBACK, LinkDirection, ProxyConnection, SelectorLoop, bound_buffers

__all__ = ["Relay"]


class Relay:
    """The relay of one link. `tell` is called with a word and facts for the journal.

    It listens at the port `listen`, which others may have bound, or at any free port if that is 0; see `listens_at`.
    `port` is the upper station's. `link` is the shape of the link without a fault. `rng` draws the jitter.
    """

    def __init__(
        self, loop: SelectorLoop, *, port: int, listen: int, link: Link, rng: Random, tell: Callable[..., None]
    ) -> None:
        self.loop = loop
        self.port = port
        self.up = LinkDirection(link, rng)
        self.down = LinkDirection(link, rng)
        self._link = link
        self._tell = tell
        self._connections: dict[ProxyConnection, int] = {}  # with their numbers, in the order in which they were made
        self._made = 0
        self._refused = 0  # connections in a row that the station above did not take
        self._holder = _bound(listen)  # keeps the port during a cut
        self.listens_at = int(self._holder.getsockname()[1])
        if sys.platform != "linux":  # elsewhere nobody can listen at a port that another socket has bound
            self._holder.close()
        self._listener: socket.socket | None = None
        self._verbs: dict[str, Callable[[Action, list[LinkDirection]], None]] = {
            "cut": self._cut,
            "heal": self._heal,
            "hold": self._hold,
            "release": self._hold,
            "reset": self._reset,
            "mute": self._mute,
            "shape": self._shape,
        }
        self._listen()

    def do(self, action: Action) -> None:
        """Carry out a verb, and return when it holds. Raises ValueError for a verb that is not for connections."""
        carry_out = self._verbs.get(action.verb)
        if carry_out is None:
            raise ValueError(f"{action.verb} cannot be done to connections")
        facts: dict[str, Any] = {"fault": action.fault, "way": action.way, "connections": len(self._connections)}
        if action.verb == "shape":
            facts |= {name: getattr(action, name) for name in Link.__struct_fields__}
        self._tell(action.verb, **facts, **self.carried())
        both = {"up": self.up, "down": self.down}
        directions = [direction for way, direction in both.items() if action.way in (way, "both")]
        carry_out(action, directions)
        self._reschedule(directions)

    def carried(self) -> dict[str, int]:
        """Bytes that were passed on, in each direction."""
        return {"up": self.up.bytes, "down": self.down.bytes}

    def close(self) -> None:
        """End everything at once."""
        for connection in list(self._connections):
            connection.reset("stopped")
        self._unlisten()
        self._holder.close()

    def _cut(self, _: Action, directions: list[LinkDirection]) -> None:
        for direction in directions:
            direction.is_cut = True
        for connection in self._connections:
            connection.is_broken = True
        if self.up.is_cut and self.down.is_cut:
            self._unlisten()

    def _heal(self, _: Action, directions: list[LinkDirection]) -> None:
        for direction in directions:
            direction.is_cut, direction.link = False, self._link
        self._listen()
        for connection in list(self._connections):
            if connection.is_broken and not (self.up.is_cut or self.down.is_cut):
                connection.reset("reset")

    def _hold(self, action: Action, directions: list[LinkDirection]) -> None:
        for direction in directions:
            direction.is_held = action.verb == "hold"

    def _shape(self, action: Action, directions: list[LinkDirection]) -> None:
        for direction in directions:
            direction.link = Link(action.latency_ms, action.jitter_ms, action.rate_mbit)

    def _reset(self, _: Action, __: list[LinkDirection]) -> None:
        for connection in list(self._connections):
            connection.reset("reset")

    def _mute(self, _: Action, __: list[LinkDirection]) -> None:
        for connection in self._connections:
            connection.is_mute = True

    def _reschedule(self, directions: list[LinkDirection]) -> None:
        """The link has changed: reschedule the bytes that wait in these directions."""
        for direction in directions:
            direction.free_at = time.monotonic()
        for connection in list(self._connections):
            for channel in (connection.up, connection.down):
                if channel.direction in directions:
                    channel.reschedule()
            connection.pass_on()

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
            return  # the other end has closed it already
        self._made += 1
        connection = ProxyConnection(self.loop, self.up, self.down, lower, self.port, tell=self._hear)
        connection.is_broken = self.up.is_cut or self.down.is_cut
        self._connections[connection] = self._made

    def _hear(self, connection: ProxyConnection, what: str) -> None:
        number, carried = self._connections[connection], {"up": connection.up.bytes, "down": connection.down.bytes}
        if what == "connected":
            self._tell(what, connection=number, refused=self._refused)
            self._refused = 0
            return
        del self._connections[connection]
        if connection.is_joined or what != "broken":
            self._tell(what, connection=number, **carried)
            return
        self._refused += 1
        if self._refused == 1:  # one entry for many: zmq tries often; the next `connected` says how many were refused
            self._tell("refused", connection=number)


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound_buffers(made)
    made.bind((LOOPBACK, port))
    return made
