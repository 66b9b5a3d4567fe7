"""One endpoint, its sockets and what is under way from it: what a driver looks after, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from autopilot_net.delivery import Delivery
from autopilot_net.protocol.backoff import Backoff
from autopilot_net.protocol.effects import Effect, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.reach import Watch
from autopilot_net.sockets import Sockets

__all__ = ["Attachment", "Pump", "Stuck"]

RETRY_S = (0.001, 0.02)  # zmq does not say when one neighbour's pipe takes again, so it is tried


class Pump(Protocol):
    """A source of messages that the I/O thread looks after: a stream. Called under the driver's lock."""

    def pump(self, now: float) -> list[Effect]:
        """What is due by now."""

    def next_timer(self) -> float | None:
        """When something will be due."""


class Stuck:
    """What a full pipe has refused, and must go first; and when to try again, ever more rarely."""

    __slots__ = ("effects", "retry_at", "wait")

    def __init__(self) -> None:
        self.effects: deque[Transmit] = deque()
        self.wait = RETRY_S[0]
        self.retry_at = 0.0

    def postpone(self, now: float, *, late: bool) -> None:
        """It is full still; `late`: only of large messages, for which a moment is enough."""
        if late:
            self.wait = RETRY_S[0]
        self.retry_at = now + self.wait
        self.wait = min(2 * self.wait, RETRY_S[1])


class Attachment:
    """One endpoint, its sockets, and what is under way from it."""

    def __init__(self, endpoint: Endpoint, sockets: Sockets, source: Pump | None = None) -> None:
        self.endpoint = endpoint
        self.sockets = sockets
        self.source = source
        self.deliveries: dict[str, Delivery] = {}
        self.stuck: dict[str, Stuck] = {}  # of each neighbour whose pipe is full
        self.backoff = Backoff()
        self.watch = Watch()
        self.is_reached = endpoint.routes.upstream is None
        self.reconnect_at: float | None = None  # when to connect to the upstream anew

    def due(self) -> Iterable[float]:
        """When this line wants the I/O thread to look after it."""
        source = self.source.next_timer() if self.source is not None else None
        timers = (self.endpoint.next_timer(), source, self.reconnect_at, self.watch.at)
        return (t for t in timers if t is not None)
