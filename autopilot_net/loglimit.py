"""Limits what the network can cause to be logged: quoted, cut, and only as many lines as somebody can read.

Whoever reaches a port can send anything. Each line says how many messages it stands for, so that no count is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

__all__ = ["Drops", "LogLimit", "shown"]

SHOWN = 80  # characters of what came from the network
EVERY_S = 1.0  # between two lines about the same thing
GATHER_S = 0.25  # from the first of a kind to its line, so that this says how many there were
KINDS = 64  # things that lines are about, at a time; of what is beyond only the number is told
NAMES = 3  # different recipients that are remembered for a line; of the others there is the number


def shown(text: object, *, at_most: int = SHOWN) -> str:
    """`text` as it may stand in a log: on one line, without control characters, and cut."""
    plain = str(text)
    cut = plain[:at_most] + ("…" if len(plain) > at_most else "")
    return cut if cut.isprintable() else repr(cut)[1:-1]


class _DropCount:
    """Drops for one reason, at one neighbour, since the last line about them."""

    __slots__ = ("count", "due", "names", "others")

    def __init__(self, due: float) -> None:
        self.due = due
        self.count = 0
        self.names: dict[str, None] = {}
        self.others = 0

    def add(self, recipient: str, count: int) -> None:
        self.count += count
        if not recipient or recipient in self.names:
            return
        if len(self.names) < NAMES:
            self.names[recipient] = None
        else:
            self.others += 1

    def clear(self, due: float) -> None:
        self.due, self.count, self.others = due, 0, 0
        self.names.clear()


class Drops:
    """Counts dropped messages, and logs the counts. Used by one thread."""

    def __init__(self, name: str, say: Callable[[str], object]) -> None:
        self._name = name
        self._say = say
        self._kinds: dict[tuple[str, str, str], _DropCount] = {}
        self._beyond = 0
        self._beyond_due = 0.0

    def add(self, where: str, peer: str, reason: str, recipient: str, count: int, *, now: float) -> None:
        """`count` messages were dropped; `where` is the word that ties them to the neighbour, as 'from'."""
        key = (where, peer, reason[:SHOWN])
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= KINDS:
                self._forget_quiet(now)
            if len(self._kinds) >= KINDS:
                self._beyond += count
                self._beyond_due = self._beyond_due or now + EVERY_S
                return
            kind = self._kinds[key] = _DropCount(now + GATHER_S)
        kind.add(recipient, count)

    def due(self) -> float | None:
        """When `speak` has something to say."""
        dues = [kind.due for kind in self._kinds.values() if kind.count]
        if self._beyond:
            dues.append(self._beyond_due)
        return min(dues, default=None)

    def speak(self, *, now: float) -> None:
        """Say what is due."""
        for (where, peer, reason), kind in self._kinds.items():
            if kind.count and kind.due <= now:
                self._say(self._line(where, peer, reason, kind))
                kind.clear(now + EVERY_S)
        if self._beyond and self._beyond_due <= now:
            self._say(f"{self._name} dropped {self._beyond:,} more, for reasons or neighbours beyond count")
            self._beyond, self._beyond_due = 0, 0.0

    def _line(self, where: str, peer: str, reason: str, kind: _DropCount) -> str:
        at = f" {where} {shown(peer)}" if peer and peer != self._name else ""
        names = "".join(f": {shown(name)!r}" for name in list(kind.names)[:1])
        more = len(kind.names) - 1 + kind.others
        beside = f" and {more:,} more" if names and more else ""
        return f"{self._name} dropped {kind.count:,}{at}: {shown(reason)}{names}{beside}"

    def _forget_quiet(self, now: float) -> None:
        for key in [key for key, kind in self._kinds.items() if not kind.count and kind.due <= now]:
            del self._kinds[key]


class LogLimit:
    """Logs a line about a thing at once, and how many follow within a second. From any thread."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], list[float]] = {}  # thing -> [quiet until, lines that were not written]

    def log(self, level: int, thing: tuple[str, ...], sentence: str, *, exc_info: bool = False) -> bool:
        """Log `sentence`, about `thing`, unless a line about it was logged just now. Returns whether it was."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(thing)
            if kept is not None and now < kept[0]:
                kept[1] += 1
                return False
            if kept is None and len(self._kept) >= KINDS:
                self._kept = dict(self._loud(now))
                if len(self._kept) >= KINDS:
                    thing = ("beyond",)
                    kept = self._kept.get(thing)
                    if kept is not None and now < kept[0]:
                        kept[1] += 1
                        return False
            swallowed = int(kept[1]) if kept is not None else 0
            self._kept[thing] = [now + EVERY_S, 0]
        more = f" (and {swallowed:,} times more since the last such line)" if swallowed else ""
        self._logger.log(level, "%s%s", sentence, more, exc_info=exc_info)
        return True

    def _loud(self, now: float) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        return ((thing, kept) for thing, kept in self._kept.items() if now < kept[0] or kept[1])
