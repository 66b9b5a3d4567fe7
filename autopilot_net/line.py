"""One endpoint, its sockets and what is under way from it: what a driver looks after, several at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from autopilot_net.delivery import Delivery
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import Pipes

__all__ = ["Line", "Pump"]


class Pump(Protocol):
    """A source of messages that the I/O thread looks after: a stream. Called under the driver's lock."""

    def pump(self, now: float) -> list[Effect]:
        """What is due by now."""

    def next_timer(self) -> float | None:
        """When something will be due."""


class Line:
    """One endpoint, its sockets, and what is under way from it."""

    def __init__(self, endpoint: Endpoint, pipes: Pipes, source: Pump | None = None) -> None:
        self.endpoint = endpoint
        self.pipes = pipes
        self.source = source
        self.deliveries: dict[str, Delivery] = {}
        self.stuck: dict[str, tuple[bytes, ...]] = {}  # of each full neighbour, the frames that must go first

    def due(self) -> Iterable[float]:
        """When this line wants the I/O thread to look after it."""
        timers = (self.endpoint.next_timer(), self.source.next_timer() if self.source is not None else None)
        return (t for t in timers if t is not None)
