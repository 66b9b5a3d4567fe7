"""Items into batches, and the gaps of streams that are not repeated. Nothing is sent here."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["END", "Batcher", "GapWatch"]

END = "END"


class Batcher:
    """Collects items until `min_size` are there, the oldest is `max_delay` seconds old, or the stream has ended.

    Batches have `min_size` items, and fewer where age or the end sends them early.
    """

    def __init__(self, *, min_size: int, max_delay: float) -> None:
        self.min_size = min_size
        self.max_delay = max_delay
        self.ended = False
        self.sent = 0  # how many items went out: the number of the next batch's first
        self._items: deque[tuple[float, Any]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def append(self, item: Any, *, now: float) -> None:
        """Take one item; the string `'END'` closes the stream."""
        if isinstance(item, str) and item == END:
            self.ended = True
        else:
            self._items.append((now, item))

    def drop_oldest(self) -> None:
        """Lose the item that has waited longest. Its number is lost with it, so that a receiver sees the gap."""
        self._items.popleft()
        self.sent += 1

    def due(self, *, now: float) -> bool:
        """Whether a batch is to be sent by now."""
        return bool(self._items) and (
            self.ended or len(self._items) >= self.min_size or now >= self._items[0][0] + self.max_delay
        )

    def take(self) -> tuple[int, list[Any]]:
        """The next batch: the number of its first item, and its items."""
        first = self.sent
        items = [self._items.popleft()[1] for _ in range(min(self.min_size, len(self._items)))]
        self.sent += len(items)
        return first, items

    def next_timer(self) -> float | None:
        """When the oldest item will have waited long enough."""
        return self._items[0][0] + self.max_delay if self._items else None


class GapWatch:
    """What should come next from each unreliable stream. Remembers the streams heard last, `limit` of them."""

    def __init__(self, *, limit: int = 4096) -> None:
        self._limit = limit
        self._next: dict[tuple[str, Any], int] = {}

    def arrive(self, stream: tuple[str, Any], first: int, count: int) -> int:
        """How many items are missing before item `first`; negative where these came too late or came before.

        The first batch heard of a stream counts from item 0: what came before it is missing here, whoever had it.
        """
        expected = self._next.pop(stream, 0)
        self._next[stream] = max(expected, first + count)
        if len(self._next) > self._limit:
            del self._next[next(iter(self._next))]
        return first - expected
