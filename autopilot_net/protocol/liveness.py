"""Whether the upstream still hears us: probes that it sends back, and what to make of silence. Nothing is sent here."""

from __future__ import annotations

from enum import Enum

__all__ = ["Liveness", "Move"]

UNANSWERED = 3  # probes, after which a connection is taken for deaf


class Move(Enum):
    """What to do about the upstream."""

    PROBE = "probe"
    RECONNECT = "reconnect"


class Liveness:
    """The probes of one endpoint. A probe is sent back by whoever routes, Autopilot's own stations among them."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.probe_at: float | None = None  # None while the upstream is away
        self._answers = False  # whether it has sent a probe back by this connection
        self._is_mute = False  # whether another connection was tried because nothing had ever come
        self._unanswered = 0
        self._echoes_due = 0  # probes on their way to the upstream and back, the one that zmq sends at first among them
        self._flush_left = 0  # how many of these must come back until all that was sent before is known to be read

    def meet(self, *, now: float) -> None:
        """The upstream is there, or there again."""
        self.probe_at = now + self._interval
        self._unanswered = 0
        self._echoes_due, self._flush_left = 1, 0

    def lose(self) -> None:
        """It went away."""
        self.probe_at = None
        self._answers = False
        self._echoes_due = self._flush_left = 0

    def hear(self) -> None:
        """Something came from it."""
        self._unanswered = 0

    def echo(self) -> None:
        """It has sent a probe back, which shows life, and not whose kind it is."""
        self._answers, self._is_mute = True, False
        self._echoes_due = max(0, self._echoes_due - 1)
        self._flush_left = max(0, self._flush_left - 1)

    def flush(self) -> None:
        """A probe is sent behind all that was sent before."""
        self._echoes_due += 1
        self._flush_left = self._echoes_due

    def is_flushed(self) -> bool:
        """Whether the probe of the last `flush` came back, or the upstream went away."""
        return not self._flush_left

    def move(self, *, now: float, is_ours: bool, is_full: bool) -> Move | None:
        """What to do at `probe_at`, or later. `is_ours`: the upstream is known to send probes back.

        While its pipe `is_full`, a probe would wait behind all that does, and silence says nothing. One that never said
        anything may be of a kind that never does. Or its first answer went to a twin of ours: so it is connected to
        once more, and then left alone.
        """
        self.probe_at = now + self._interval
        is_known = self._answers or is_ours
        if is_full:
            self._unanswered = 0
        if is_full or (not is_known and self._is_mute):
            return None
        if self._unanswered >= UNANSWERED:
            self._unanswered = 0
            self._is_mute = not is_known
            return Move.RECONNECT
        self._unanswered += 1
        self._echoes_due += 1
        return Move.PROBE
