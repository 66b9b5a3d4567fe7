"""How long to wait before the next connection: twice as long each time that one did not last, and never at one time.

Chance is handed in, so that this can be repeated.
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
        """It is gone: for how many seconds to wait. `chance` is between 0 and 1, and makes it up to twice as long."""
        if self._since is not None and now - self._since >= LASTED_S:
            self._wait = FIRST_S
        self._since = None
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_S)
        return wait * (1 + chance)
