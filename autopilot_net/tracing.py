"""Every effect of an endpoint as a JSON line, whole after a SIGKILL. Payloads as length, digest and their first bytes.

One line: `t` (ns, CLOCK_MONOTONIC, the same clock in all processes of one machine), `at` (the endpoint's id), `life`
(its incarnation), `do` (the effect's name), and what the effect holds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from autopilot_net.protocol.effects import Deliver, Effect, Store, Transmit

__all__ = ["Tracer", "digest"]

HEAD = 200  # enough for the id, the recipient, the sender and the key of a message of ours, which come first


def digest(payload: bytes) -> str:
    """A short fingerprint of `payload`, the same in every process."""
    return blake2b(payload, digest_size=10).hexdigest()


class Tracer:
    """Appends to `path`. Each call is one write, which the system completes even if the process is killed in it."""

    def __init__(self, path: str | Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encoder = msgspec.json.Encoder()

    def write(self, at: str, life: str, effects: Iterable[Effect]) -> None:
        """Write down `effects` of the endpoint `at`, before they are carried out."""
        now = time.monotonic_ns()
        lines = [
            self._encoder.encode({"t": now, "at": at, "life": life, "do": type(effect).__name__, **_facts(effect)})
            for effect in effects
        ]
        if lines:
            os.write(self._fd, b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _facts(effect: Effect) -> dict[str, Any]:
    if isinstance(effect, Transmit):
        *names, payload = effect.frames
        return {
            "peer": effect.peer,
            "frames": [name.decode(errors="replace") for name in names],
            "size": len(payload),
            "digest": digest(payload),
            "head": payload[:HEAD].decode(errors="replace"),
        }
    if isinstance(effect, Deliver):
        message = effect.message
        facts = {"ticket": effect.ticket, "peer": effect.peer}
        facts |= {name: message[name] for name in ("id", "to", "sender", "key")}
        return facts | ({"redelivered": True} if message.get("redelivered") else {})
    if isinstance(effect, Store):
        return {"what": type(effect.record).__name__, "seq": getattr(effect.record, "seq", None)}
    return {name: getattr(effect, name) for name in effect.__struct_fields__}
