"""How a program's message is made and addressed: its id, its hops, its flags. Real and virtual nodes share this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message, iso_time
from autopilot_net.protocol.ids import DERIVED_BYTES, why_no_id

__all__ = ["Flags", "address", "hops_of", "make_message"]

OWN_KEYS = ("GONE", "BACK", "CLOCK")  # which stations say to each other; the endpoint reads them itself
Flags = Iterable[str] | Mapping[str, Any] | None


def make_message(
    sender: str,
    numbers: Iterator[int],
    to: str | Sequence[str],
    key: str,
    value: Any,
    *,
    flags: Flags = None,
    at: float,
    **extra: Any,
) -> Message:
    """A message of `sender`'s, made at the wall-clock time `at` (seconds), whose id ends in the next of `numbers`.

    `to` may be a list of hops, which it keeps until it is sent. Raises `BadMessage` for what is no address, and for a
    key that is the library's own.
    """
    hops = hops_of(to, f"{sender} cannot send {key}")
    if key in OWN_KEYS:
        raise BadMessage(f"{sender} cannot send {key} to {to!r}: stations say that to each other; take another key")
    return Message(
        id=f"{sender}_{next(numbers)}",
        to=hops[-1] if len(hops) == 1 else hops,
        sender=sender,
        key=key,
        value=value,
        timestamp=iso_time(at),
        flags=_flags(flags),
        **extra,
    )


def address(message: Message, to: str | Sequence[str] | None, flags: Flags = None, *, at: float) -> list[str]:
    """Address a prepared `message` to `to`, if that is given, and add `flags`; the explicit hops, if there are any.

    A message without a timestamp, which its program made by hand, gets `at`, a wall-clock time in seconds.
    """
    hops = hops_of(message.to if to is None else to, f"message {message.get('id')} cannot go")
    message.to = hops[-1]
    message.flags.update(_flags(flags))
    if "timestamp" not in message:
        message.timestamp = iso_time(at)
    return hops if len(hops) > 1 else []


def hops_of(to: str | Sequence[str], what: str) -> list[str]:
    """`to` as hops, the last of which is the recipient. Raises a `BadMessage` that begins with `what` for no ids."""
    hops = [to] if isinstance(to, str) else list(to) if isinstance(to, Iterable) else []
    if not hops:
        raise _no_address(to, what, "here is none")
    for hop in hops:
        why = why_no_id(hop, bound=DERIVED_BYTES)
        if why is not None:
            raise _no_address(to, what, f"{hop!a:.80} is none: {why}")
    return hops


def _no_address(to: object, what: str, why: str) -> BadMessage:
    told = f"{what} to {to!a:.100}: a recipient is an id, or a list of ids, the stations on the way first"
    return BadMessage(f"{told}, and {why}")


def _flags(flags: Flags) -> dict[str, Any]:
    """Flags as a message has them. A single one may be given as text."""
    if isinstance(flags, Mapping):
        return dict(flags)
    return dict.fromkeys((flags,) if isinstance(flags, str) else flags or (), True)
