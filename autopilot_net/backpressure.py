"""What to do where the pipe to a neighbour is full: keep what it refused, in order, and try again.

What a pipe has refused goes first when it takes again (`Attachment.stuck`). What follows waits in the endpoint's own
queue, which is bounded and fair. For the I/O thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from autopilot_net.attachment import Attachment, Stuck
from autopilot_net.interpreter import Outcome
from autopilot_net.protocol.effects import Effect, Traffic, Transmit
from autopilot_net.protocol.router import READY_AT_ONCE
from autopilot_net.sockets import SendResult

__all__ = ["Backpressure"]

READ_OUT_S = 0.01  # how often to check whether a connection that is over has been read out


class Backpressure:
    """The full pipes of one driver. `lock` guards its endpoints. `clock` gives seconds."""

    def __init__(self, lock: AbstractContextManager[object], clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = lock
        self._clock = clock

    def admit(self, queued: Iterable[tuple[Attachment, Effect]]) -> list[tuple[Attachment, Effect]]:
        """What of `queued` to carry out now. What a pipe would not take goes back to its endpoint, to wait there.

        All of what is queued for such a neighbour goes back at once, so that nothing overtakes it. Called under the
        lock.
        """
        taken: Counter[tuple[Attachment, str]] = Counter()
        back: dict[tuple[Attachment, str], list[Transmit]] = {}
        admitted: list[tuple[Attachment, Effect]] = []
        for attachment, effect in queued:
            if isinstance(effect, Transmit):
                key = (attachment, effect.peer)
                taken[key] += 1
                if taken[key] > READY_AT_ONCE or effect.peer in attachment.stuck:
                    back.setdefault(key, []).append(effect)
                    continue
            admitted.append((attachment, effect))
        for (attachment, peer), effects in back.items():
            attachment.endpoint.full(peer, effects)
        return admitted

    def send(self, attachment: Attachment, effect: Transmit) -> Outcome:
        """Send `effect`, or keep it where the pipe to its neighbour is full. Called without the lock."""
        stuck = attachment.stuck.get(effect.peer)
        if stuck is not None:
            stuck.effects.append(effect)
            return Outcome.WAITS
        result = attachment.sockets.send(effect.peer, effect.frames)
        if result is SendResult.YES:
            return Outcome.SENT
        if result is SendResult.GONE:
            return Outcome.GONE
        stuck = attachment.stuck[effect.peer] = Stuck()
        stuck.effects.append(effect)
        stuck.postpone(self._clock(), late=result is SendResult.LATE)
        with self._lock:
            attachment.endpoint.full(effect.peer, [])
        return Outcome.WAITS

    def retry(self, attachment: Attachment, peer: str) -> Outcome:
        """Try again what the pipe to `peer` has refused. SENT: all of it is through. Called under the lock."""
        stuck = attachment.stuck.get(peer)
        while stuck is not None and stuck.effects:
            result = attachment.sockets.send(peer, stuck.effects[0].frames)
            if result is SendResult.GONE:
                return Outcome.GONE
            if result is not SendResult.YES:
                stuck.postpone(self._clock(), late=result is SendResult.LATE)
                return Outcome.WAITS
            attachment.endpoint.sent(stuck.effects.popleft())
        attachment.stuck.pop(peer, None)
        return Outcome.SENT

    @staticmethod
    def retries(attachment: Attachment, now: float) -> Iterator[float]:
        """When to try again. Called under the lock."""
        if attachment.sockets.reads_out():
            yield now + READ_OUT_S
        upstream = attachment.endpoint.routes.upstream
        for peer in attachment.endpoint.router.waiting_peers():
            stuck = attachment.stuck.get(peer)
            if stuck is None:
                yield now
            elif peer != upstream or not attachment.sockets.blocked:  # otherwise a poll reports it
                yield stuck.retry_at

    @staticmethod
    def discard(attachment: Attachment, peer: str) -> int:
        """`peer` went away: forget what its pipe refused. How many messages of it nobody repeats."""
        stuck = attachment.stuck.pop(peer, None)
        return sum(effect.kind is Traffic.DATA for effect in stuck.effects) if stuck is not None else 0
