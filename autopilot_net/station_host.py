"""A station as its role sees it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from itertools import count
from typing import Any, TypeVar

from autopilot_net.delivery import Delivery
from autopilot_net.files import FileFolder
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.effects import Effect
from autopilot_net.roles.host import Files
from autopilot_net.station import Station
from autopilot_net.worker import Worker

__all__ = ["StationHost"]

T = TypeVar("T")


class StationHost:
    """The host of a role. It is also the source of calls that the role wants later."""

    def __init__(self, station: Station, file_dir: str | None) -> None:
        self.id = station.id
        self.parent = station.push_id if station.pusher else None
        self.files: Files = FileFolder(file_dir)
        self._station = station
        self._core = station.core
        self._later: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = count()
        self._beside = Worker(station.id)
        self._core.attachment.source = self

    def send(
        self, to: str, key: str, value: Any, *, repeat: bool | None, flags: Iterable[str], **extra: Any
    ) -> Delivery:
        """Send a message of the station's. A copy for a plot that is not open is not even made."""
        if to.startswith("P_") and repeat is False and not self._core.endpoint.routes.has(to):
            return Delivery(f"{self.id} copy", to, sought=False)
        message = self._core.prepare(to, key, value, flags=flags, **extra)
        return self._core.send(message, repeat=repeat)

    def promise(self) -> Delivery:
        """A handle that the role settles."""
        return Delivery(f"{self.id} promise", self.id)

    def learn(self, name: str, peer: str) -> None:
        """`name` lies behind the neighbour `peer`."""
        self._core.learn(name, peer)

    def has(self, peer: str) -> bool:
        """Whether `peer` is a neighbour that is there."""
        return self._core.endpoint.routes.has(peer)

    def is_ours(self, name: str) -> bool:
        """Whether `name`, near or far, has shown that it is one of ours."""
        return name in self._core.endpoint.ours

    def is_late(self, peer: str) -> bool:
        """Whether what was sent to the neighbour `peer` lately may lie there unread."""
        return self._core.endpoint.is_late(peer, now=time.monotonic())

    def now(self) -> float:
        """Seconds, never backwards."""
        return time.monotonic()

    def clock(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's; None while that is not known."""
        return self._core.clock_offset()

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call `call` later, in the handler thread."""

        def act(now: float) -> list[Effect]:
            heapq.heappush(self._later, (now + seconds, next(self._numbers), call))
            return []

        self._core.driver.run(self._core.attachment, act)

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """Run `call` in a thread of its own, then `then(outcome)` in the handler thread. See `roles.host.RoleHost`."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001  # it is raised where the outcome is asked for
                future.set_exception(error)
            self.after(0, lambda: then(future.result))

        self._beside.put(work, about=about)

    def stop(self) -> None:
        """End the station."""
        self._station.closing.set()

    def pump(self, now: float) -> list[Effect]:
        """Hand what is due to the handler thread."""
        due = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        if due:
            self._core.driver.handlers.put(due)
        return []

    def next_timer(self) -> float | None:
        """When the next call is due."""
        return self._later[0][0] if self._later else None
