"""What an endpoint does when there is no path to somebody, and when there is one again.

It opens and closes what is confirmed (`reliable`) as `routes` knows of paths, and has neighbours told (`reachability`).
"""

from __future__ import annotations

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.reachability import Reachability
from autopilot_net.protocol.reliable import Reliable
from autopilot_net.protocol.router import Router

__all__ = ["Paths"]


class Paths:
    """The paths of one endpoint. `retry_s` is how long it waits before it tries what the upstream could not reach.

    A path opens at once when a message comes over it, but not where GONE has taken it back twice within `retry_s`. A
    neighbour may hand on what has hops, and know no path by the id alone: answers to the first teach a path, and the
    second has it taken back. To open it each time would repeat everything as fast as the links carry it.
    """

    def __init__(self, router: Router, reliable: Reliable, reachability: Reachability, *, retry_s: float) -> None:
        self.retry_at: float | None = None  # when to call `retry`
        self._router = router
        self._routes = router.routes
        self._reliable = reliable
        self._reachability = reachability
        self._retry_s = retry_s
        self._taken_back: dict[str, list[float]] = {}  # when GONE was last believed of each name, twice at most
        self._reopen_later: set[str] = set()  # names to open at the next `retry`

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self._heard_from(name, now=now) if self._routes.learn(name, peer) else []

    def found_above(self, name: str, *, now: float) -> list[Effect]:
        """`name` was heard from above: if it was away, it has moved, and is found there."""
        return self._heard_from(name, now=now) if self._routes.found_above(name) else []

    def reopen(self, name: str, *, now: float) -> list[Effect]:
        """There is a new path to `name`: for our own messages, and for those that others send through us."""
        return [*self._reliable.reopen(name, now=now), *self._reachability.back(name, now=now)]

    def read_gone(self, message: Message, peer: str, now: float) -> list[Effect]:
        """From above: there is no path through it for now. From below: it is elsewhere, and the route is forgotten."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self._routes.upstream:
            self._routes.unreachable_above.add(name)
            self._take_back(name, now)
            self._reliable.close_what_has_no_path()
            is_by_it = self._router.next_hop(name) == peer
            askers = self._reachability.interest.of(name)
            return self._reachability.no_way(name, askers, now=now) if is_by_it else []
        if not self._routes.forget(name, peer):
            return []
        self._take_back(name, now)
        self._reliable.close_what_has_no_path()
        return self._reachability.gone(name, now=now)

    def read_back(self, message: Message, peer: str, now: float) -> list[Effect]:
        """There is a path again, through `peer`: what was lost meanwhile is sent again, by us and by who asks us."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self._routes.upstream:
            self._routes.found_above(name)
        else:
            self._routes.learn(name, peer)
        if self._router.next_hop(name) != peer:
            return []
        if message.get("kept") is True:  # it was late, and nothing is lost
            return [*self._reliable.resume(name, now=now), *self._reachability.back(name, now=now, kept=True)]
        return self.reopen(name, now=now)

    def retry(self, now: float) -> list[Effect]:
        """Try what the upstream could not reach: that there is a path again may have been said, and lost."""
        names, self.retry_at = sorted(self._routes.unreachable_above | self._reopen_later), None
        self._routes.unreachable_above.clear()
        self._reopen_later.clear()
        self._taken_back = {name: times for name, times in self._taken_back.items() if now < times[-1] + self._retry_s}
        return [effect for name in names for effect in self.reopen(name, now=now)]

    def _take_back(self, name: str, now: float) -> None:
        self._taken_back[name] = [*self._taken_back.get(name, ())[-1:], now]
        self.retry_at = self.retry_at or now + self._retry_s

    def _heard_from(self, name: str, *, now: float) -> list[Effect]:
        times = self._taken_back.get(name, [])
        if len(times) < 2 or now >= times[0] + self._retry_s:
            return self.reopen(name, now=now)
        self._reopen_later.add(name)
        return []
