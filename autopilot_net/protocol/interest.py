"""Who sends to whom through a station, and so wants to know when there is no path, and when there is one again."""

from __future__ import annotations

__all__ = ["Interest"]


class Interest:
    """Recipients, and the neighbours that send to them through us. At most `bound` pairs are remembered."""

    def __init__(self, *, bound: int = 10_000) -> None:
        self._bound = bound
        self._count = 0
        self._told: dict[str, dict[str, bool]] = {}  # recipient -> neighbour -> whether it knows that there is no way

    def note(self, recipient: str, peer: str) -> None:
        """`peer` sends to `recipient`."""
        known = self._told.get(recipient)
        if (known is None or peer not in known) and self._count < self._bound:
            self._count += 1
            self._told.setdefault(recipient, {})[peer] = False

    def tell(self, recipient: str, peer: str) -> bool:
        """There is no way to `recipient`: whether `peer` has yet to be told."""
        known = self._told.get(recipient, {})
        if known.get(peer, True):
            return False
        known[peer] = True
        return True

    def tell_anew(self, peer: str) -> None:
        """What `peer` was told it may not have heard."""
        for known in self._told.values():
            if peer in known:
                known[peer] = False

    def lose(self, peer: str) -> None:
        """`peer` went away, and what it sends it will send anew."""
        for recipient, known in list(self._told.items()):
            self._count -= known.pop(peer, None) is not None
            if not known:
                del self._told[recipient]

    def recipients(self) -> list[str]:
        """To whom anybody sends."""
        return list(self._told)

    def of(self, recipient: str) -> list[str]:
        """Who sends to `recipient`."""
        return list(self._told.get(recipient, ()))

    def is_back(self, recipient: str) -> list[str]:
        """Who sends to `recipient`, to which there is a path again. Each may be told anew when there is none."""
        known = self._told.get(recipient, {})
        known.update(dict.fromkeys(known, False))
        return list(known)
