"""What waits for a neighbour whose pipe is full: bounded in bytes, in order, and fair to those it came from.

The library's own messages go first. Then come messages that the pipe refused. Then the neighbours that messages came
from take turns, one message each, so that one that floods does not hold up the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from autopilot_net.protocol.effects import Traffic, Transmit

__all__ = ["SendQueue"]

CONTROLS = 10_000  # messages of the library's own that wait for one neighbour


def _size(effect: Transmit) -> int:
    return sum(map(len, effect.frames))


class _Lane:
    """What came from one neighbour, in its order."""

    __slots__ = ("effects", "size")

    def __init__(self) -> None:
        self.effects: deque[Transmit] = deque()
        self.size = 0

    def append(self, effect: Transmit) -> None:
        self.effects.append(effect)
        self.size += _size(effect)

    def popleft(self) -> Transmit:
        effect = self.effects.popleft()
        self.size -= _size(effect)
        return effect

    def pop(self) -> Transmit:
        effect = self.effects.pop()
        self.size -= _size(effect)
        return effect


class SendQueue:
    """The messages that wait for one neighbour, at most `limit_bytes`. The caller reports what is dropped."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._control: deque[Transmit] = deque()
        self._returned: deque[Transmit] = deque()
        self._lanes: dict[str, _Lane] = {}  # in the order of their turns
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, effect: Transmit, source: str) -> Transmit | None:
        """Queue `effect`, which came from the neighbour `source`. Returns what has to be dropped for it, maybe itself.

        The source with the most bytes waiting loses its newest message: a flood costs only the one that floods.
        """
        self._add(effect)
        if effect.kind is Traffic.CONTROL:
            self._control.append(effect)
            return self._shed(self._control) if len(self._control) > CONTROLS else None
        lane = self._lanes.setdefault(source, _Lane())
        lane.append(effect)
        if self._size <= self._limit:
            return None
        longest = max(self._lanes, key=lambda name: self._lanes[name].size)
        dropped = self._lanes[longest].pop()
        self._subtract(dropped)
        self._close_if_empty(longest)
        return dropped

    def put_back(self, refused: Iterable[Transmit]) -> None:
        """Put messages that the pipe refused back to the front, in order. They were admitted before."""
        for effect in reversed(list(refused)):
            (self._control if effect.kind is Traffic.CONTROL else self._returned).appendleft(effect)
            self._add(effect)

    def take(self, at_most: int) -> list[Transmit]:
        """What is to be sent next, no more than so many messages."""
        return [self._next() for _ in range(min(at_most, self._count))]

    def drain(self) -> list[Transmit]:
        """All of it."""
        return self.take(self._count)

    def _next(self) -> Transmit:
        if self._control or self._returned:
            effect = (self._control or self._returned).popleft()
        else:
            source, lane = next(iter(self._lanes.items()))
            effect = lane.popleft()
            del self._lanes[source]
            if lane.effects:
                self._lanes[source] = lane  # behind the others
        self._subtract(effect)
        return effect

    def _shed(self, control: deque[Transmit]) -> Transmit:
        """Confirmations that are lost are asked for again."""
        effect = control.popleft()
        self._subtract(effect)
        return effect

    def _close_if_empty(self, source: str) -> None:
        if not self._lanes[source].effects:
            del self._lanes[source]

    def _add(self, effect: Transmit) -> None:
        self._size += _size(effect)
        self._count += 1

    def _subtract(self, effect: Transmit) -> None:
        self._size -= _size(effect)
        self._count -= 1
