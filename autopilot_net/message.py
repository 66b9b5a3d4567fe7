"""What travels: a message, which behaves as an object and as a dict. `codec.py` says how it stands on the wire."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from autopilot_net.arrays import decode_array, is_array
from autopilot_net.codec import MAX_DEPTH, decode, encode, where
from autopilot_net.errors import BadMessage

__all__ = ["Message", "expand", "expand_fields", "iso_time", "refuse", "why_refused"]

REQUIRED = ("id", "to", "sender", "key")
FIELDS = (*REQUIRED, "value", "flags")  # which are attributes of the class
_NESTED = (dict, list)  # what may hold an array

_INSTEAD = {  # what Autopilot's messages have and ours do not
    "get_timestamp": "one without a `timestamp` is given the time when it is sent; to note it before, set it yourself",
    "serialized": "nothing is kept, and `serialize()` makes the bytes",
}


def _field(name: str, doc: str) -> Any:
    """A field that nearly every message has: read so often that the way by `__getattr__` would be felt."""

    def read(self: Message) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"{_name(self._fields)} has no {name!r}") from None

    read.__doc__ = doc
    return property(read)


class Message:
    """One message, readable as an object (`msg.key`) and as a dict (`msg['key']`, `in`, `len`, `del`).

    It needs `id`, `to`, `sender` and `key` to be serialized. `value` is any JSON; NaN, the infinities and integers of
    any size survive. In `flags`, a dict, only the keys count. Any other keyword becomes an extra attribute, which is
    sent too. numpy arrays may stand in `value` and in extra attributes, in any shape and any simple dtype. They arrive
    as arrays only if `expand_arrays` is asked for, because expanding costs memory that a relay saves. An array of dtype
    object is sent as lists, and arrives as lists.

    `Message(msg=raw)` reads bytes and raises `BadMessage` for bytes that are no message. Every field can be read as
    `msg['name']`; as an attribute only if its name is neither that of a method nor begins with `_`. Several threads may
    read a message, but not while one changes it.
    """

    __slots__ = ("_fields", "_refused", "came_from", "is_sought")
    _fields: dict[str, Any]
    _refused: str  # why its recipient could not handle it; not on the wire either
    came_from: str | None
    """The neighbour that handed it on, of a message that came in. Not on the wire, which could say anything."""
    is_sought: bool
    """Whether a node prepared it with `repeat=True`: then it seeks a confirmation unless `send` says otherwise."""

    def __init__(self, msg: bytes | str | None = None, expand_arrays: bool = False, **fields: Any) -> None:
        read = {} if msg is None else _read(msg, expand_arrays=expand_arrays)
        merged: dict[str, Any] = {**read, **fields}  # in this order: whoever looks at the wire finds the id first
        merged.setdefault("value", None)
        merged.setdefault("flags", {})
        merged.setdefault("blosc", False)
        merged.setdefault("ttl", 5)
        if not isinstance(merged["flags"], dict):
            raise BadMessage(f"the flags of {_name(merged)} are {type(merged['flags']).__name__}, not an object")
        object.__setattr__(self, "_fields", merged)
        object.__setattr__(self, "came_from", None)
        object.__setattr__(self, "is_sought", False)
        object.__setattr__(self, "_refused", "")

    id = _field("id", "Text that no other message of its sender has.")
    to = _field("to", "The id of the recipient; or a list of ids, the path to it, with the recipient as the last.")
    sender = _field("sender", "The id of who sent it. A station that relays a message sends one of its own.")
    key = _field("key", "Which handler of the recipient gets it.")
    value = _field("value", "Whatever JSON can carry, and arrays. None if nothing was given.")
    flags = _field("flags", "A dict of which the keys count: `NOREPEAT` if no confirmation is sought, `NOLOG`, …")

    @property
    def redelivered(self) -> bool:
        """Whether it may have been handled in a former life of whoever handles it."""
        return bool(self._fields.get("redelivered", False))

    # -- like an object ------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            try:
                return self._fields[name]
            except KeyError:
                pass
        instead = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"{_name(self._fields)} has no {name!r}{instead}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("came_from", "is_sought"):
            object.__setattr__(self, name, value)
            return
        if name.startswith("_") or (name not in FIELDS and hasattr(Message, name)):
            raise AttributeError(f"{name!r} is a message's own name; a field of that name is set by msg[{name!r}] = …")
        self._fields[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._fields:
            raise AttributeError(f"{_name(self._fields)} has no {name!r}")
        del self._fields[name]

    # -- like a dict ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def __delitem__(self, name: str) -> None:
        del self._fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # mutable, as a dict is

    def __repr__(self) -> str:
        return f"Message({', '.join(f'{name}={value!r}' for name, value in self._fields.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._fields,)

    def get(self, name: str, default: Any = None) -> Any:
        """The field `name`, or `default` where the message has none, as with a dict."""
        return self._fields.get(name, default)

    def expand(self) -> None:
        """Make arrays of what stands for arrays. Raises `BadMessage`, and changes nothing, for what is none."""
        self._fields.update({name: expand(value) for name, value in self._fields.items()})

    # -- the wire ------------------------------------------------------------------------------------------------

    def validate(self) -> bool:
        """Whether `id`, `to`, `sender` and `key` are all there, each a string (`to` may be a list of hops)."""
        get = self._fields.get
        is_text = isinstance(get("id"), str) and isinstance(get("sender"), str) and isinstance(get("key"), str)
        return is_text and _is_address(get("to"))

    def serialize(self, *, pack: bool | None = None) -> bytes:
        """UTF-8 JSON. `pack` says whether arrays are compressed; without it, the message's own `blosc` does.

        Raises `BadMessage`, naming the message and the part, where a field is missing or JSON cannot carry a value.
        """
        fields = self._fields
        if not self.validate():
            missing = [name for name in REQUIRED if name not in fields] or ["id, to, sender and key as text"]
            raise BadMessage(f"{_name(fields)} cannot be sent without {', '.join(missing)}")
        packed = bool(fields.get("blosc") if pack is None else pack)
        return encode(fields, pack=packed, name=lambda: _name(fields))


def iso_time(at: float) -> str:
    """`at`, a wall-clock time in seconds, as a `timestamp` has it: ISO 8601, in UTC."""
    fraction, second = math.modf(at)
    carried, millionths = divmod(round(fraction * 1e6), 1_000_000)
    told = _second(second + carried)
    return f"{told}.{millionths:06d}+00:00" if millionths else f"{told}+00:00"


@lru_cache(maxsize=16)
def _second(at: float) -> str:
    """A whole second, of which many messages are."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def refuse(message: Message, why: str) -> None:
    """Note why whoever `message` came to could not handle it. Its sender is told once the handler is done."""
    object.__setattr__(message, "_refused", why)


def why_refused(message: Message) -> str:
    """What was noted by `refuse`; empty for a message that was not refused."""
    return message._refused


def _read(raw: bytes | str, *, expand_arrays: bool) -> dict[str, Any]:
    fields = decode(raw)
    if expand_arrays:
        return {name: expand(value, name) for name, value in fields.items()}
    return fields


def expand(value: Any, path: str = "", depth: int = 0) -> Any:
    """`value` with every array object in it made an array. Raises `BadMessage` for one that cannot be trusted.

    `path` is where `value` stands, for the error, which names the part.
    """
    if depth > MAX_DEPTH:
        raise BadMessage(f"a message nested more than {MAX_DEPTH} deep")
    if is_array(value):
        return _decoded(value, path)
    if isinstance(value, dict):
        return {
            key: expand(item, f"{path}.{key}", depth + 1) if isinstance(item, _NESTED) else item
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            expand(item, f"{path}[{i}]", depth + 1) if isinstance(item, _NESTED) else item
            for i, item in enumerate(value)
        ]
    return value


def expand_fields(message: Message, names: Iterable[str]) -> None:
    """Expand the fields `names` of `message`, in place. Raises `BadMessage` that names the message and the part."""
    for name in names:
        try:
            message[name] = expand(message[name], name)
        except BadMessage as error:
            raise BadMessage(f"{_name(message._fields)}: {error}") from error


def _decoded(value: Any, path: str) -> Any:
    try:
        return decode_array(value)
    except BadMessage as error:
        raise BadMessage(f"the array that stands at {where(path)} cannot be read: {error}") from error


def _is_address(to: Any) -> bool:
    return isinstance(to, str) or (isinstance(to, list) and bool(to) and all(isinstance(hop, str) for hop in to))


def _name(fields: Mapping[str, Any]) -> str:
    return f"message {fields.get('id', '(no id)')} ({fields.get('key', 'no key')} to {fields.get('to', 'nobody')})"


def _rebuild(fields: dict[str, Any]) -> Message:
    message = Message()
    object.__setattr__(message, "_fields", dict(fields))
    return message
