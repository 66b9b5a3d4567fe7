"""The lines of a peer: one endpoint each, with its wire. And what a peer does where the pipe of a wire is full.

What the library does about a full pipe is its own code, `autopilot_net.backpressure`. Here are the pipes that it finds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Protocol

from autopilot_net import Delivery
from autopilot_net.attachment import Stuck
from autopilot_net.backpressure import Backpressure
from autopilot_net.interpreter import Outcome
from autopilot_net.protocol.effects import Effect, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import SendResult
from sim.virtual.event_loop import Loop
from sim.virtual.wires.connections import Wire

__all__ = ["FullPipes", "Line"]


class Line:
    """One endpoint, its wire to its upstream, and its open deliveries. `source` is its stream, if it has one."""

    def __init__(self, peer: Any, endpoint: Endpoint) -> None:
        self.peer = peer
        self.endpoint = endpoint
        self.source: Any = None
        self.wire: Wire | None = None
        self.deliveries: dict[str, Delivery] = {}
        self.armed_us: int | None = None
        self.sockets = _Pipes(self)
        self.stuck: dict[str, Stuck] = {}  # see `Attachment`

    def due_us(self) -> int | None:
        """When its next timer is due, in microseconds; None if it has no timer."""
        due = self.endpoint.next_timer()
        if self.source is not None:
            stream_due = self.source.next_timer()
            due = min((at for at in (due, stream_due) if at is not None), default=None)
        return None if due is None else math.ceil(due * 1_000_000)


class _Pipes:
    """The pipes of one line, as `Backpressure` knows them."""

    blocked = False  # a full pipe is tried again after a while

    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, peer: str, frames: tuple[bytes, ...]) -> SendResult:
        """Put frames on the wire, unless its pipe is full."""
        line: Line = self._line
        load, most = self._load(peer), line.peer.net.pipe_bytes
        if load and load + sum(map(len, frames)) > most:  # an empty one takes a message of any size
            return SendResult.FULL
        outcome = line.peer.put_on_wire(line, peer, frames)
        return SendResult.YES if outcome is Outcome.SENT else SendResult.GONE

    def _load(self, peer: str) -> int:
        """How many bytes the pipe to `peer` holds."""
        line = self._line
        if line.wire is not None and peer == line.endpoint.routes.upstream:
            return line.wire.load()
        wire, conn = line.peer.below.get(peer, (None, 0))
        return 0 if wire is None else int(wire.load(conn))

    def reads_out(self) -> bool:
        """Always False: a connection that is over is not read any more."""
        return False


class Retries(Protocol):
    """What `FullPipes` needs of the peer whose pipes they are."""

    def lose(self, line: Line, peer: str) -> None: ...

    def carry_out(self, line: Line, effects: Iterable[Effect]) -> None: ...


class FullPipes:
    """The full pipes of one peer. It does with them what the library's I/O thread does."""

    def __init__(self, peer: Retries, loop: Loop) -> None:
        self._peer = peer
        self._loop = loop
        self._backpressure = Backpressure(nullcontext(), lambda: loop.now)

    def admit(self, queued: deque[tuple[Line, Effect]]) -> list[tuple[Line, Effect]]:
        """What of `queued` to carry out now. The rest waits in its endpoint."""
        admitted: Any = self._backpressure.admit(queued)  # type: ignore[arg-type]
        found: list[tuple[Line, Effect]] = admitted
        return found

    def send(self, line: Any, effect: Transmit) -> Outcome:
        """Send, or keep what the pipe does not take."""
        return self._backpressure.send(line, effect)

    def retry(self, line: Any) -> None:
        """Try again what pipes have refused, and then what waits behind that."""
        for peer in line.endpoint.router.waiting_peers():
            outcome = self._backpressure.retry(line, peer)
            if outcome is Outcome.GONE:
                self._peer.lose(line, peer)
            elif outcome is Outcome.SENT:
                self._peer.carry_out(line, line.endpoint.ready(peer))

    def due_us(self, line: Any) -> int | None:
        """When to try again, in microseconds; None if no pipe is full."""
        due = min(self._backpressure.retries(line, self._loop.now), default=None)
        return None if due is None else math.ceil(due * 1_000_000)

    def discard(self, line: Any, peer: str) -> int:
        """Forget what the pipe to `peer` has refused. Returns how many messages of it nobody repeats."""
        return self._backpressure.discard(line, peer)
