"""What waits for a neighbour whose pipe is full: bounded in bytes, so that a slow one costs messages, never memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Backlog"]

Frames = tuple[bytes, ...]


class Backlog:
    """The frames that wait for one neighbour, in order. What does not fit is refused, and repeats heal it."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._frames: deque[Frames] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frames: Frames) -> bool:
        """Queue `frames` behind the others; False where that would pass the limit."""
        size = sum(map(len, frames))
        if self._bytes + size > self._limit:
            return False
        self._bytes += size
        self._frames.append(frames)
        return True

    def put_back(self, refused: Iterable[Frames]) -> None:
        """Return to the front, in their order, frames that the pipe refused after all. They were counted before."""
        for frames in reversed(list(refused)):
            self._bytes += sum(map(len, frames))
            self._frames.appendleft(frames)

    def take(self, at_most: int) -> list[Frames]:
        """What has waited longest, in order, of no more than so many messages."""
        taken = [self._frames.popleft() for _ in range(min(at_most, len(self._frames)))]
        self._bytes -= sum(len(frame) for frames in taken for frame in frames)
        return taken
