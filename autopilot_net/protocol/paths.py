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
    """The paths of one endpoint. `retry_s` is how long it waits before it tries what the upstream could not reach."""

    def __init__(self, router: Router, reliable: Reliable, reachability: Reachability, *, retry_s: float) -> None:
        self.retry_at: float | None = None  # when to call `retry`
        self._router = router
        self._routes = router.routes
        self._reliable = reliable
        self._reachability = reachability
        self._retry_s = retry_s

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self.reopen(name, now=now) if self._routes.learn(name, peer) else []

    def found_above(self, name: str, *, now: float) -> list[Effect]:
        """`name` was heard from above: if it was away, it has moved, and is found there."""
        return self.reopen(name, now=now) if self._routes.found_above(name) else []

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
            self.retry_at = self.retry_at or now + self._retry_s
            self._reliable.close_what_has_no_path()
            is_by_it = self._router.next_hop(name) == peer
            askers = self._reachability.interest.of(name)
            return self._reachability.no_way(name, askers, now=now) if is_by_it else []
        if not self._routes.forget(name, peer):
            return []
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
        names, self.retry_at = sorted(self._routes.unreachable_above), None
        self._routes.unreachable_above.clear()
        return [effect for name in names for effect in self.reopen(name, now=now)]
