"""How long to wait before the next connection: twice as long each time, if connections do not last, with a random part.

The random number is an argument, so that a run can be repeated.
"""

from __future__ import annotations

__all__ = ["Backoff"]

FIRST_S = 0.05
LONGEST_S = 10.0
LASTED_S = 10.0  # a connection that held for so long was a good one


class Backoff:
    """The waits of one endpoint for its upstream."""

    def __init__(self) -> None:
        self._wait = FIRST_S
        self._since: float | None = None

    def connected(self, *, now: float) -> None:
        """The connection is there."""
        self._since = now

    def lost(self, *, now: float, chance: float) -> float:
        """The upstream went away: how many seconds to wait. `chance`, between 0 and 1, makes it up to twice as long."""
        if self._since is not None and now - self._since >= LASTED_S:
            self._wait = FIRST_S
        self._since = None
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_S)
        return wait * (1 + chance)
