"""Makes equal situations equal, so that each is explored once: a situation becomes a short key.

Times count from now, and names that only tell one message of the library from another are left out. What only counts,
for a report, is left out too: it decides nothing. A key holds all else that a station knows, so that two situations
with one key have the same future.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache, lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from autopilot_net.codec import decode
from autopilot_net.errors import BadMessage
from sim.exhaustive.situation import Cable, Frames, Situation

__all__ = ["key_of"]

EPOCH = 5e5  # what is larger is a time, and what is smaller is a duration
# What only counts or names: what was lost of each connection, the numbers of the library's own messages and of probes.
# And what never binds in a small lab: the budget of repeats, and the settings, which are the same for ever.
LEFT_OUT = frozenset(("_accounts", "_budget", "_count", "_last_ticket", "_number", "_opened", "settings", "window"))
OWN_ID = re.compile(rb"_c\d+")
KEPT_OF_PROBES = ("id", "life", "above")


def key_of(at: Situation) -> bytes:
    """The key of a situation: 16 bytes."""
    told = hashlib.blake2b(digest_size=16)
    for blob in at.stations:
        skeleton, times = _canonical(blob)
        told.update(skeleton)
        told.update(repr([round(time - at.now, 6) for time in times]).encode())
    cables = [_cable(cable) for cable in at.cables.values()]
    pending = [[number for _, number in waiting] for waiting in at.pending]
    ledger = (at.ledger.ends, at.ledger.lives, at.ledger.begun, sorted(at.ledger.done))
    told.update(repr((at.lives, pending, cables, ledger, at.faults, at.early)).encode())
    return told.digest()


def _cable(cable: Cable) -> tuple[Any, ...]:
    """A link, with its connections counted from its last one: older ones are all alike."""
    known = cable.known - cable.conn if cable.known else None
    sent = [[(conn - cable.conn, _frames(frames)) for conn, frames in way] for way in (cable.up, cable.down)]
    return (cable.is_up, known, cable.is_broken, sent)


@lru_cache(maxsize=100_000)
def _frames(frames: Frames | None) -> Any:
    """What a message says, without its time and, if it is one of the library's own, without its number."""
    if frames is None:
        return None
    if not frames[-1]:
        return ("probe", *map(_probe, frames[:-1]))
    try:
        fields = decode(frames[-1])
    except BadMessage:
        return frames
    fields.pop("timestamp", None)
    own = OWN_ID.sub(b"_c", str(fields.pop("id", "")).encode())
    return (*frames[:-1], own, msgspec.json.encode(fields, order="deterministic"))


def _probe(frame: bytes) -> Any:
    try:
        state = msgspec.json.decode(frame)
    except msgspec.DecodeError:
        return frame
    return [state.get(name) for name in KEPT_OF_PROBES] + [bool(state.get("re")), bool(state.get("number"))]


# -- stations ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def _canonical(blob: bytes) -> tuple[bytes, tuple[float, ...]]:
    """A station without its times, as a digest, and its times, in an order that depends on the station alone."""
    walk = _Walk()
    walk.see(pickle.loads(blob))  # noqa: S301  # ours
    return hashlib.blake2b("\x1f".join(walk.words).encode(), digest_size=16).digest(), tuple(walk.times)


class _Walk:
    """Walks over everything that a station holds, and writes it down."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.times: list[float] = []
        self._known: dict[int, int] = {}
        self._kinds: dict[type, Callable[[Any], None]] = {
            float: self._float,
            dict: self._map,
            set: self._set,
            frozenset: self._set,
            list: self._list,
            tuple: self._list,
            deque: self._list,
        }

    def see(self, value: Any) -> None:
        """Write one value down."""
        kind = type(value)
        if kind in _PLAIN:
            self.words.append(repr(value))
        elif kind is float:
            self._float(value)
        elif isinstance(value, Enum):
            self.words.append(str(value))
        elif id(value) in self._known:
            self.words.append(f"#{self._known[id(value)]}")
        else:
            self._known[id(value)] = len(self._known)
            self._kinds.get(kind, self._other)(value)

    def _float(self, value: float) -> None:
        if value > EPOCH:
            self.times.append(value)
            self.words.append("t")
        else:
            self.words.append(repr(round(value, 6)))

    def _list(self, values: Iterable[Any]) -> None:
        self.words.append("(")
        for value in values:
            self.see(value)
        self.words.append(")")

    def _set(self, values: Iterable[Any]) -> None:
        self.words.append(repr(sorted(values, key=repr)))

    def _map(self, values: dict[Any, Any]) -> None:
        self.words.append("{")
        for name, value in values.items():
            if name not in LEFT_OUT:
                self.see(name)
                self.see(value)
        self.words.append("}")

    def _other(self, value: Any) -> None:
        if isinstance(value, dict):
            self._map(value)
        elif callable(value):
            self.words.append(getattr(value, "__qualname__", str(type(value))))
        else:
            self.words.append(type(value).__name__)
            self._map(_fields(value))


_PLAIN = frozenset((int, str, bytes, bool, type(None)))


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    fields = dict(getattr(value, "__dict__", {}))
    kind: type = type(value)
    for name in _slots(kind):
        if hasattr(value, name):
            fields[name] = getattr(value, name)
    return fields


@cache
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(slot for base in kind.__mro__ for slot in base.__dict__.get("__slots__", ()) if slot[:2] != "__")
