"""Asks the upstream for the terminal's time, and tells it to neighbours below. The estimate itself is `clock.py`'s.

When the root's clock is set, all that was measured is wrong. So it says so to its neighbours below. Each passes that
on, forgets what it knew, and asks again. Who does not hear it finds out when it asks next: each answer tells its era,
which is another one since then.
"""

from __future__ import annotations

from autopilot_net.message import Message
from autopilot_net.protocol.clock import Clock, ClockOffset
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.effects import Effect, Traffic
from autopilot_net.protocol.router import Router

__all__ = ["ClockSync"]

WAS_SET = "set"  # the value of what the root says when its clock was set
SET_S = 1e-3  # a clock that is merely slewed changes by less, until all have asked again


class ClockSync:
    """The clock of one endpoint. `interval` is how often it asks in the long run, in seconds; None: never."""

    def __init__(self, router: Router, control: Control, *, incarnation: str, interval: float | None) -> None:
        self._router = router
        self._control = control
        self._incarnation = incarnation
        self._asks = interval is not None
        self._clock = Clock(interval=interval or 0.0)
        self._known_epoch = control.epoch  # the root's: what those below have measured
        self._was_set = False

    def set_epoch(self, epoch: float) -> None:
        """This machine's wall clock shows `epoch` at `now == 0`. Of the root, all below must know when that changes."""
        self._control.epoch = epoch
        if self._router.routes.upstream is None and abs(epoch - self._known_epoch) > SET_S:
            self._known_epoch, self._was_set = epoch, True

    def upstream_is_up(self, *, now: float) -> None:
        """The upstream is there, or there again."""
        self._clock.meet(now=now)

    def offset(self, *, now: float) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, as far as that is known. The root's is the clock."""
        if self._router.routes.upstream is None:
            return ClockOffset(0.0, 0.0)
        return self._clock.offset(epoch=self._control.epoch, now=now)

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; None while nothing is due."""
        return 0.0 if self._was_set else self.ask_at()

    def handle_timer(self, now: float) -> list[Effect]:
        """Say that the clock was set, or ask for the time."""
        if not self._was_set:
            return self.ask(now)
        self._was_set = False
        return self._tell_that_it_was_set(now)

    def ask_at(self) -> float | None:
        """When to ask the upstream for the time: it is there, and can tell it. Autopilot's own cannot."""
        routes = self._router.routes
        can = self._asks and routes.up and routes.upstream in self._router.ours
        return self._clock.ask_at if can else None

    def ask(self, now: float) -> list[Effect]:
        """Ask the upstream for the time."""
        upstream = self._router.routes.upstream or ""
        question = self._control.message(upstream, "CLOCK", None, now=now)
        # No message of a former life has this id, so that a late answer to one is not taken for an answer to this.
        question["id"] = f"{self._router.id}_{self._incarnation}_{now!r}"
        self._clock.ask(question.id, now=now)
        return self._router.send(upstream, (), question.serialize(), Traffic.CONTROL)

    def read(self, message: Message, peer: str, now: float) -> list[Effect]:
        """A neighbour below asks for the time, or the upstream has told it. Who does not know it yet says nothing."""
        if peer == self._router.routes.upstream and message.value == WAS_SET:
            self._clock.forget(now=now)
            return self._tell_that_it_was_set(now)
        if peer == self._router.routes.upstream:
            former = self._clock.era
            self._clock.answer(message.get("re"), message.value, era=message.get("era"), now=now)
            # It was set while nobody could say so here; and those below may have been told the former time since.
            return self._tell_that_it_was_set(now) if former not in (None, self._clock.era) else []
        known = self.offset(now=now)
        if known is None or message.sender != peer:
            return []
        told = [self._control.epoch + now, known.offset, known.uncertainty]
        is_root = self._router.routes.upstream is None
        era = round(self._known_epoch, 3) if is_root else self._clock.era
        return self._control.say(peer, "CLOCK", told, now=now, re=message.id, era=era)

    def _tell_that_it_was_set(self, now: float) -> list[Effect]:
        ours = [peer for peer in self._router.routes.below if peer in self._router.ours]
        return [effect for peer in ours for effect in self._control.say(peer, "CLOCK", WAS_SET, now=now)]
