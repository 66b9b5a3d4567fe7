"""An endpoint with its sockets and the deliveries it has under way. A driver looks after several."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from autopilot_net.delivery import Delivery
from autopilot_net.diagnosis import Watch
from autopilot_net.protocol.backoff import Backoff
from autopilot_net.protocol.effects import Effect, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import Sockets

__all__ = ["Attachment", "Pump", "Stuck"]

RETRY_S = (0.001, 0.02)  # zmq does not report when a neighbour's pipe takes again, so that it is retried


class Pump(Protocol):
    """Something that makes messages or calls in its own time, such as a stream. Called under the driver's lock."""

    def pump(self, now: float) -> list[Effect]:
        """The effects that are due by `now`."""

    def next_timer(self) -> float | None:
        """When something will be due."""


class Stuck:
    """What a full pipe has refused. It must be sent first. Retries become less and less frequent."""

    __slots__ = ("effects", "retry_at", "wait")

    def __init__(self) -> None:
        self.effects: deque[Transmit] = deque()
        self.wait = RETRY_S[0]
        self.retry_at = 0.0

    def postpone(self, now: float, *, late: bool) -> None:
        """It is still full. `late`: only of large messages, which takes a moment."""
        if late:
            self.wait = RETRY_S[0]
        self.retry_at = now + self.wait
        self.wait = min(2 * self.wait, RETRY_S[1])


class Attachment:
    """One endpoint, its sockets, and the deliveries it has under way."""

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
        """When it next needs the I/O thread."""
        source = self.source.next_timer() if self.source is not None else None
        timers = (self.endpoint.next_timer(), source, self.reconnect_at, self.watch.at)
        return (t for t in timers if t is not None)
