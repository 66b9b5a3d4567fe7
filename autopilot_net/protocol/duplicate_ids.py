"""Finds two live machines that share one id. A machine that restarts or moves does not go back; two take turns.

A rebooted Pi must get its id back at once, so that the last connection always has the id. Two live machines get it back
in turn. This shows in one of two ways: a connection was taken over, and then another from its address takes it back; or
an incarnation is heard again after another one, by a new connection. A machine that only reconnects from its own
address, after its former connection has ended, is not a duplicate.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct, field

__all__ = ["DuplicateIdWatch"]

REMEMBER = 8  # addresses, and incarnations, of one id


class _IdHistory(Struct):
    """What was seen of one id."""

    address: str = ""
    is_new: bool = True  # whether nothing was heard by this connection yet
    places: list[str] = field(default_factory=list)  # each took over from the one before it
    lives: OrderedDict[str, str] = field(default_factory=OrderedDict)  # incarnation -> its address; heard last is last
    told: set[tuple[str, str]] = field(default_factory=set)


class DuplicateIdWatch:
    """The neighbours below one endpoint, `limit` of them. Methods return the addresses of two with one id, once."""

    def __init__(self, *, limit: int = 4096) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, _IdHistory] = OrderedDict()

    def connected(self, peer: str, address: str, *, took_over: bool) -> tuple[str, str] | None:
        """`peer` is there by a new connection from `address`, which may have taken over one that was still there."""
        seen = self._of(peer)
        seen.address, seen.is_new = address, True
        if not took_over:
            seen.places = [address]
            return None
        other = seen.places[-1] if seen.places else address
        if address == other:
            return None
        is_back = address in seen.places
        seen.places = [*(place for place in seen.places if place != address), address][-REMEMBER:]
        return self._tell(seen, other) if is_back else None

    def hear(self, peer: str, life: str) -> tuple[str, str] | None:
        """`peer` has said something in its incarnation `life`."""
        seen = self._seen.get(peer) or self._of(peer)
        lives = seen.lives
        is_new, seen.is_new = seen.is_new, False
        last = next(reversed(lives), life)
        if life == last:
            lives[life] = seen.address
            return None
        if not is_new:
            return None  # two lives by one connection: a late message of the former life
        is_back = life in lives
        lives.pop(life, None)
        lives[life] = seen.address
        if len(lives) > REMEMBER:
            lives.popitem(last=False)
        return self._tell(seen, lives[last]) if is_back else None

    def _of(self, peer: str) -> _IdHistory:
        seen = self._seen.pop(peer, None) or _IdHistory()
        self._seen[peer] = seen
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return seen

    def _tell(self, seen: _IdHistory, other: str) -> tuple[str, str] | None:
        pair = (min(other, seen.address), max(other, seen.address))
        if pair in seen.told:
            return None
        seen.told.add(pair)
        return pair
