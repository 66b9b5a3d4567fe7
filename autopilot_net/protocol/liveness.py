"""Whether the upstream still hears us: probes that it answers, and what to make of silence. Nothing is sent here.

A slow upstream is not dead. Only what came from it counts, and how long it may be silent follows from how long its
answers took before. Silence is reported first. Much later the connection is made anew, since some connections stay deaf
for ever. Each attempt that fails doubles the next wait, so that a busy lab does not get more work.
"""

from __future__ import annotations

from enum import Enum
from zlib import crc32

__all__ = ["SILENT", "Liveness", "Move"]

UNANSWERED = 1  # probes under way at once; more would only add to the queue of a late upstream
FIRST = 4  # intervals until a connection that never brought anything is made anew
FULL = 30  # the same, where its pipe is full: it may be read slowly, or never again
SILENT = 4  # intervals until silence is reported
DEAF = 7  # intervals until it is made anew
ROUND_TRIPS = 4  # recent slowest round trips until it is reported; twice as many until it is made anew
FADES = 0.9  # the slowest round trip fades by this factor with each that is faster
MAX_DOUBLINGS = 5
JITTER = 0.5  # of a wait: rigs that lost their terminal together must not reconnect together


class Move(Enum):
    """What to do about the upstream."""

    PROBE = "probe"
    TELL = "tell"
    RECONNECT = "reconnect"


class Liveness:
    """The probes of one endpoint. A bare probe is sent back by whoever routes, Autopilot's own stations among them."""

    def __init__(self, interval: float, *, seed: str = "") -> None:
        self._interval = interval
        self._seed = seed
        self.probe_at: float | None = None  # None while the upstream is away
        self.is_silent = False  # whether that was reported
        self.is_new = True  # whether nothing has come yet by this connection
        self._answers = False  # whether it has sent a probe back by this connection
        self._is_mute = False  # whether another connection was tried because nothing had ever come
        self._waits_since: float | None = None  # when the oldest probe was sent that nothing has come after
        self._asked: dict[int, float] = {}  # probes under way, by number, each with its time
        self._full_since: float | None = None  # since when its pipe has been full each time that one looked
        self._met_at: float | None = None  # when zmq's own probe was sent; None once anything was sent back
        self._number = 0
        self._slowest = 0.0  # the slowest recent round trip, in seconds
        self._failures = 0  # connections in a row that were made anew for their silence
        self._echoes_due = 0  # probes on their way to the upstream and back, the one that zmq sends at first among them
        self._flush_left = 0  # how many of these must come back until all that was sent before is known to be read

    def meet(self, *, now: float) -> None:
        """The upstream is there, or there again."""
        self.probe_at = now + self._interval
        self.is_new, self._waits_since, self._full_since = True, now, None
        self._asked.clear()
        self._met_at = now
        self._echoes_due, self._flush_left = 1, 0

    def lose(self) -> None:
        """It went away."""
        self.probe_at = self._waits_since = None
        self._answers = self.is_silent = False
        self._echoes_due = self._flush_left = 0

    def hear(self) -> bool:
        """Something came from it; whether its silence had been told."""
        was_silent, self.is_silent = self.is_silent, False
        self.is_new, self._waits_since, self._failures = False, None, 0
        return was_silent

    def echo(self, number: int = 0, *, now: float) -> None:
        """It has answered probe `number` (0: which one is not told), which shows life, and not whose kind it is."""
        self._answers, self._is_mute = True, False
        self._echoes_due = max(0, self._echoes_due - 1)
        self._flush_left = max(0, self._flush_left - 1)
        if self._met_at is not None:
            self._learn(now - self._met_at)
            self._met_at = None
        if not number and self._asked:
            number = next(iter(self._asked))
        if number in self._asked:
            self._learn(now - self._asked[number])
            self._asked = {n: at for n, at in self._asked.items() if n > number}

    def flush(self) -> None:
        """A probe is sent behind all that was sent before."""
        self._echoes_due += 1
        self._flush_left = self._echoes_due

    def is_flushed(self) -> bool:
        """Whether the probe of the last `flush` came back, or the upstream went away."""
        return not self._flush_left

    def silence(self, *, now: float) -> float:
        """For how long nothing has come, in seconds, though something was asked."""
        return 0.0 if self._waits_since is None else now - self._waits_since

    def is_behind(self, *, now: float) -> bool:
        """Whether what was sent lately may lie unread there."""
        return self.silence(now=now) > 2 * self._interval

    def next_number(self, *, now: float) -> int:
        """The number of the probe that is sent now."""
        self._number += 1
        self._asked[self._number] = now
        return self._number

    def move(self, *, now: float, is_ours: bool, is_full: bool) -> list[Move]:
        """What to do at `probe_at`, or later. `is_ours`: the upstream is known to answer probes.

        An upstream that has never answered may not support probes, or its first answer went to another node of our id.
        So the connection is made anew once, and not again. While its pipe `is_full`, it may be silent for that reason,
        and is given longer.
        """
        self.probe_at = now + self._interval
        is_known = self._answers or is_ours
        if not is_full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        if not is_known and (self._is_mute or is_full):
            if not self._is_mute and self._full_for(now) >= FULL * self._interval:
                self._is_mute = True
                return [Move.RECONNECT]
            self._waits_since = now if is_full else None
            return []
        silence = self.silence(now=now)
        if silence >= self._patience():
            self._failures = min(self._failures + 1, MAX_DOUBLINGS)
            self._is_mute = not is_known
            return [Move.RECONNECT]
        horizon = now - max(SILENT * self._interval, self._slow())
        self._asked = {number: at for number, at in self._asked.items() if at >= horizon}
        moves = []
        if not self.is_silent and not self.is_new and silence >= max(SILENT * self._interval, self._slow()):
            self.is_silent = True
            moves.append(Move.TELL)
        if len(self._asked) < UNANSWERED:
            self._echoes_due += 1
            self._waits_since = now if self._waits_since is None else self._waits_since
            moves.append(Move.PROBE)
        return moves

    def _full_for(self, now: float) -> float:
        """For how long its pipe has been full, in seconds."""
        return 0.0 if self._full_since is None else now - self._full_since

    def _learn(self, took: float) -> None:
        self._slowest = max(took, FADES * self._slowest)

    def _slow(self) -> float:
        return ROUND_TRIPS * self._slowest

    def _patience(self) -> float:
        """How long a silence may last until the connection is made anew."""
        intervals = FIRST if self.is_new else DEAF
        wait = max(intervals * self._interval, 2 * self._slow()) * float(1 << self._failures)
        if not self._failures:
            return wait
        return wait * (1 + JITTER * crc32(f"{self._seed} {self._failures}".encode()) / 2**32)
