"""How far this machine's clock is from the terminal's, and how sure that is. Nothing is sent here.

A station asks its parent for the time, and notes when it asked and when the answer came. The answer was given in
between, so that it is off by at most half the round trip, however different the two directions were. The parent adds
how far its own clock is from the terminal's, and how sure that is. Offsets and uncertainties add up along the tree. An
old measurement becomes less sure, as two crystals drift apart.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from autopilot_net.protocol.numbers import is_number

__all__ = ["Clock", "ClockOffset"]

# A plain quartz without temperature compensation, as a Pi has, is off by tens of ppm (25 is a good one, and each
# degree adds about one), and two of them may be off in opposite directions. NTP's own bound, 15 ppm (PHI in RFC 5905),
# is for a clock that it has already steered.
DRIFT = 2 * 50e-6
PRECISION_S = 1e-6  # of seconds since 1970 in a double, with what a sum of them loses
BEYOND = 1e12  # no time in seconds is as far away: whoever says so is not believed
FIRST_WAIT_S = 0.1


class ClockOffset(Struct, frozen=True):
    """How far the terminal's clock is ahead of this machine's: add `offset` to a time read here to get the terminal's.

    Both in seconds. The true offset lies within `offset` ± `uncertainty`, unless a clock was set in the meantime.
    """

    offset: float
    uncertainty: float


class _Sample(Struct, frozen=True):
    """What one answer proved: asked at our monotonic time `at`, the terminal's clock was `ahead` of ours, ± `error`."""

    at: float
    ahead: float
    error: float

    def error_at(self, now: float) -> float:
        return self.error + DRIFT * (now - self.at)


class Clock:
    """What one endpoint knows of the terminal's clock. `interval` (seconds) is how often it asks in the long run.

    Differences are kept relative to the monotonic clock, which nobody sets. So nothing is lost when the wall clock of
    this machine, or of a station on the way, is set. Only one answer is kept. All become less sure at the same rate, so
    that the best answer stays the best until a better one comes.
    """

    def __init__(self, *, interval: float) -> None:
        self._interval = interval
        self._wait = FIRST_WAIT_S
        self._asked: tuple[str, float] | None = None
        self._best: _Sample | None = None
        self.era: float | None = None  # unlike before, once the terminal's clock was set; None: nobody tells
        self.ask_at = 0.0

    def meet(self, *, now: float) -> None:
        """The upstream is there, or there again: ask soon, and then less and less often."""
        self._wait = FIRST_WAIT_S
        self._asked = None
        self.ask_at = now

    def forget(self, *, now: float) -> None:
        """The terminal's clock was set, so that nothing is known any more, nor the era: ask at once."""
        self._best = self.era = None
        self.meet(now=now)

    def ask(self, question: str, *, now: float) -> None:
        """`question`, an id of its own, goes out now. An answer to an earlier one is not waited for any more."""
        self._asked = (question, now)
        self.ask_at = now + self._wait
        self._wait = min(2 * self._wait, self._interval)

    def answer(self, question: Any, value: Any, *, era: Any = None, now: float) -> bool:
        """The answer to `question` came in; whether it tells anything that can be used.

        `value` is the time there, and the offset from there to the terminal with its uncertainty. In another `era` the
        terminal's clock was set, so that what was known before is wrong, however long this answer took.
        """
        if self._asked is None or question != self._asked[0]:
            return False
        asked_at, self._asked = self._asked[1], None
        numbers = [_seconds(number) for number in value] if isinstance(value, list) else []
        if len(numbers) != 3:
            return False
        there, offset, uncertainty = numbers
        if there is None or offset is None or uncertainty is None or uncertainty < 0:
            return False
        if (era := _seconds(era)) != self.era:
            self.era, self._best = era, None
        error = (now - asked_at) / 2 + uncertainty + PRECISION_S
        self._take(_Sample(asked_at, there + offset - (asked_at + now) / 2, error), now)
        return True

    def offset(self, *, epoch: float, now: float) -> ClockOffset | None:
        """What is known now, where this machine's wall clock shows `epoch + now`; None while nothing is."""
        best = self._best
        return None if best is None else ClockOffset(best.ahead - epoch, best.error_at(now))

    def _take(self, new: _Sample, now: float) -> None:
        """Keep the surer of two. Where both cannot be true, a clock was set in between, and the old one is wrong."""
        old = self._best
        if old is not None:
            disagree = abs(new.ahead - old.ahead) > new.error + old.error_at(now)
            if not disagree and old.error_at(now) < new.error:
                return
        self._best = new


def _seconds(number: Any) -> float | None:
    """A number of seconds that may be believed; None for anything else that JSON can carry."""
    return float(number) if is_number(number) and abs(number) < BEYOND else None
