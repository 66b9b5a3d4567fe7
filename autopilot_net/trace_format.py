"""The facts that a trace records of an effect. Payloads are given as length, digest and first bytes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from autopilot_net.codec import head
from autopilot_net.protocol.effects import Deliver, Effect, Store, Transmit

__all__ = ["digest", "facts"]

HEAD = 200  # bytes of a payload that are shown as they are
HEAD_FIELDS = ("id", "to", "sender", "key", "origin", "value")


def digest(payload: bytes) -> str:
    """A short fingerprint of `payload`, the same in every process."""
    return blake2b(payload, digest_size=10).hexdigest()


def facts(effect: Effect) -> dict[str, Any]:
    """The fields of `effect`, as JSON can carry them."""
    if isinstance(effect, Transmit):
        *names, payload = effect.frames
        told = head(payload)
        return {
            "peer": effect.peer,
            "frames": [name.decode(errors="replace") for name in names],
            "size": len(payload),
            "digest": digest(payload),
            "head": payload[:HEAD].decode(errors="replace"),
            **({} if told is None else {name: fact for name in HEAD_FIELDS if (fact := getattr(told, name))}),
        }
    if isinstance(effect, Deliver):
        message = effect.message
        facts = {"ticket": effect.ticket, "peer": effect.peer}
        facts |= {name: message[name] for name in ("id", "to", "sender", "key")}
        return facts | ({"redelivered": True} if message.get("redelivered") else {})
    if isinstance(effect, Store):
        return {"what": type(effect.record).__name__, "seq": getattr(effect.record, "seq", None)}
    held = {name: getattr(effect, name) for name in effect.__struct_fields__}
    return {name: str(fact) if isinstance(fact, str) else fact for name, fact in held.items()}  # a Refusal as its text
