"""How a message stands on the wire: one JSON object in UTF-8. No other module of the library knows that.

A message that awaits its confirmation is encoded once, all but its tail: the numbers that change from one sending to
the next (`opened`, `closed`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from autopilot_net.arrays import encode_array, holds_objects
from autopilot_net.errors import BadMessage

__all__ = ["MAX_DEPTH", "Head", "closed", "decode", "encode", "head", "opened", "where", "whole"]

MAX_DEPTH = 200  # far more than any experiment's data, far less than Python's own limit, which ends the process
_LEAVES = frozenset((str, int, bool, type(None)))  # what both JSON writers write alike, exactly these types
_PLAIN = _LEAVES | {float}
_KEYS = frozenset((str,))

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


# -- reading -----------------------------------------------------------------------------------------------------------


def decode(raw: bytes | str) -> dict[str, Any]:
    """The fields of the message `raw`. Raises `BadMessage` for bytes that are none."""
    fields = _parse(raw)
    if not isinstance(fields, dict):
        raise BadMessage(f"a message is a JSON object, and this is {type(fields).__name__}: {raw[:60]!r}")
    return fields


def _parse(raw: bytes | str) -> Any:
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        pass
    try:
        # What msgspec refuses may still be what Python peers write: NaN, infinities, numbers beyond a double.
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"{len(raw)} bytes that are no JSON ({error}): {raw[:60]!r}") from error


# -- the head of a message, read without decoding it -----------------------------------------------------------------


class Head(msgspec.Struct, frozen=True):
    """What the first bytes of a message tell. What they do not tell is empty."""

    id: str
    to: str = ""
    sender: str = ""
    key: str = ""
    value: str = ""  # where it is a short text, as the id that a CONFIRM is about
    origin: str = ""  # the id under which it began, if it was relayed and that is told so early


_STRING = rb'"(?:[^"\\]|\\.)*"'
_TEXT = rb"(" + _STRING + rb")"
_ID = re.compile(rb'\{"id": ?' + _TEXT)
_BETWEEN = rb'(?:, ?"(?!key")\w+": ?(?:\{[^{}]*\}|\d+|' + _STRING + rb"))*"  # as a stream's batches have it
_OPENING = re.compile(
    _ID.pattern + rb', ?"to": ?' + _TEXT + rb', ?"sender": ?' + _TEXT + _BETWEEN + rb', ?"key": ?' + _TEXT
    + rb'(?:, ?"value": ?' + _TEXT + rb")?"
)  # fmt: skip
_ORIGIN = re.compile(rb'"origin": ?\{"sender": ?' + _TEXT + rb', ?"id": ?' + _TEXT + rb"\}")
_HEAD = 2_000  # bytes that are looked at


def head(raw: bytes) -> Head | None:
    """The head of the message `raw`, as stations of ours and Autopilot's own write it; None for other bytes."""
    start = raw[:_HEAD]
    found = _OPENING.match(start) or _ID.match(start)
    if found is None:
        return None
    origin = _ORIGIN.search(start)
    try:
        told = dict(zip(Head.__struct_fields__, map(_text, found.groups()), strict=False))
        return Head(**told, origin=_text(origin[2]) if origin is not None else "")
    except msgspec.DecodeError:
        return None


def _text(raw: bytes | None) -> str:
    return "" if raw is None else msgspec.json.decode(raw, type=str)


# -- writing -----------------------------------------------------------------------------------------------------------


def encode(value: Any, *, pack: bool = False, name: Callable[[], str] = lambda: "the value") -> bytes:
    """`value` as bytes, the same bytes for the same data: arrays as objects, NaN and the infinities as literals.

    `pack` says whether arrays are compressed. Raises `BadMessage` that says which part of `value` cannot be carried;
    `name` tells what `value` is.
    """
    if _is_plain(value, 0):
        try:
            raw = _encoder.encode(value)
        except ValueError:
            pass  # the writer below says where
        else:
            if b"null" not in raw:  # otherwise it may have been NaN
                return raw
    writer = _Writer(pack=pack, name=name)
    tree = writer.plain(value, "", 0)
    try:
        if writer.non_finite:  # msgspec alone would write NaN as null, and a missing reaction time would become no time
            return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
        return _encoder.encode(tree)
    except ValueError as error:  # half a surrogate pair, or an integer of more digits than Python reads
        place = where(_culprit(tree))
        raise BadMessage(f"{name()}: JSON cannot carry what stands at {place} ({error})") from error


def _is_plain(value: Any, depth: int) -> bool:
    """Whether a dict or list holds nothing but types that both JSON writers write alike; NaN may be among them."""
    kind = type(value)
    if kind is dict:
        if not _KEYS.issuperset(map(type, value)):
            return False
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return False
    if depth > MAX_DEPTH:
        return False
    if not _PLAIN.issuperset(map(type, items)):  # in one call for all, of which there may be thousands
        for item in items:  # a generator would take as long again
            if type(item) not in _PLAIN and not _is_plain(item, depth + 1):
                return False
    return True


def opened(raw: bytes) -> bytes:
    """The encoded message `raw`, to which a tail can be added by `closed`."""
    return raw[:-1]


def whole(body: bytes) -> bytes:
    """The message whose `opened` is `body`, without a tail."""
    return body + b"}"


def closed(body: bytes, *, ttl: int, seq: int, low: int, again: bool) -> bytes:
    """The message whose `opened` is `body`, with the numbers that hold as it is sent now."""
    repeated = ',"again":true' if again else ""
    return body + f',"ttl":{ttl},"seq":{seq},"low":{low}{repeated}}}'.encode()


def where(path: str) -> str:
    """A path as people read it: `frames.b[1]`."""
    return path.lstrip(".") or "itself"


def _culprit(tree: Any) -> str:
    """The path to the first part of `tree` that cannot be written. Half a character in a key is escaped there."""
    is_dict = type(tree) is dict
    parts = tree.items() if is_dict else enumerate(tree) if type(tree) is list else ()
    for key, item in parts:
        try:
            _encoder.encode({key: item} if is_dict else item)
        except ValueError:
            step = "." + str(key).encode(errors="backslashreplace").decode() if is_dict else f"[{key}]"
            return step + _culprit(item)
    return ""


class _Writer:
    """Turns one value into what both JSON writers write alike, and finds the part that neither could."""

    __slots__ = ("name", "non_finite", "pack")

    def __init__(self, *, pack: bool, name: Callable[[], str]) -> None:
        self.pack = pack
        self.name = name
        self.non_finite = False

    def plain(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind in _LEAVES:
            return value
        if kind is float:
            self.non_finite = self.non_finite or not math.isfinite(value)
            return value
        if depth > MAX_DEPTH:
            raise BadMessage(f"{self.name()} is nested more than {MAX_DEPTH} deep at {path[:80]}…")
        if kind is dict:  # nearly every message is mostly text under text: a call for each would cost time
            return {
                key if type(key) is str else self._key(key, path): item
                if type(item) in _LEAVES
                else self.plain(item, f"{path}.{key}", depth + 1)
                for key, item in value.items()
            }
        if kind is list or kind is tuple:
            return [
                item if type(item) in _LEAVES else self.plain(item, f"{path}[{i}]", depth + 1)
                for i, item in enumerate(value)
            ]
        return self._unusual(value, path, depth)

    def _unusual(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value, path, depth)
        if isinstance(value, np.generic):
            simple = value.dtype.kind in "biufU"
            return self.plain(value.item(), path, depth + 1) if simple else self._refuse(value, path)
        if isinstance(value, Mapping):
            return self.plain(dict(value), path, depth + 1)
        if isinstance(value, list | tuple):
            return self.plain(list(value), path, depth + 1)
        for base in (str, bool, int, float):
            if isinstance(value, base):
                return self.plain(base(value), path, depth + 1)
        return self._refuse(value, path)

    def _array(self, array: np.ndarray[Any, Any], path: str, depth: int) -> Any:
        if holds_objects(array):
            return self.plain(array.tolist(), path, depth + 1)
        try:
            return encode_array(array, pack=self.pack)
        except BadMessage as error:
            why = f"cannot carry the array that stands at {where(path)}"
            raise BadMessage(f"{self.name()} {why}: {error}") from error

    def _key(self, key: Any, path: str) -> str:
        if isinstance(key, str):
            return str(key)
        if isinstance(key, int) and not isinstance(key, bool):
            return str(int(key))
        return str(self._refuse(key, f"{path} (a key)"))

    def _refuse(self, value: Any, path: str) -> Any:
        kind = type(value).__name__
        raise BadMessage(f"{self.name()}: JSON cannot carry the {kind} that stands at {where(path)}")
