"""Which received message waits for which of our own: a relayed message is handled when what it passed on is."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PendingRelays"]


class PendingRelays:
    """Tickets, and the ids of the messages that each still waits for."""

    def __init__(self) -> None:
        self._waits: dict[int, set[str]] = {}
        self._tickets: dict[str, list[int]] = {}
        self._failed: dict[int, str] = {}  # why, where what was passed on was refused

    def wait(self, ticket: int, ids: Iterable[str], *, failed: bool = False, why: str = "") -> None:
        """`ticket` is settled when all of `ids` are; `failed`: another that it waited for has expired already."""
        self._waits[ticket] = set(ids)
        for message_id in self._waits[ticket]:
            self._tickets.setdefault(message_id, []).append(ticket)
        if failed:
            self._failed[ticket] = why

    def settle(self, message_id: str, *, failed: bool, why: str = "") -> list[tuple[int, set[str], str | None]]:
        """A message of ours is settled. Returns, for each ticket that waited for it, what it still waits for.

        The last of each three is None, or why any message that the ticket waited for has failed.
        """
        out = []
        for ticket in self._tickets.pop(message_id, []):
            left = self._waits[ticket]
            left.discard(message_id)
            if failed:
                self._failed[ticket] = self._failed.get(ticket) or why
            out.append((ticket, left, self._failed.get(ticket)))
            if not left:
                del self._waits[ticket]
                self._failed.pop(ticket, None)
        return out
