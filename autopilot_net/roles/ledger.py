"""Proves that the terminal's copy of a session is complete: both ends count and digest its DATA."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from autopilot_net.codec import encode
from autopilot_net.protocol.numbers import as_int

__all__ = ["Ledger"]

Session = tuple[str, str]


class Ledger:
    """The DATA of each (subject, session), in order: message ids, and a running SHA-256 over ids and values.

    Two ledgers with the same count and digest hold the same messages in the same order. It takes no lock: one thread at
    a time.
    """

    def __init__(self) -> None:
        self._ids: dict[Session, list[str]] = {}
        self._digests: dict[Session, Any] = {}

    def record(self, message_id: str, value: Any) -> None:
        """Add one message, under the id it had where it began. A value without a subject belongs to subject ''.

        Raises `BadMessage`, and adds nothing, for a value that cannot be sent.
        """
        facts = value if isinstance(value, dict) else {}
        session = _session(facts)
        line = message_id.encode() + b"\0" + encode(value) + b"\0"  # first: what cannot travel is not counted
        self._ids.setdefault(session, []).append(message_id)
        self._digests.setdefault(session, sha256()).update(line)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """`count` and `digest` of the subject and session in `question`; and the `ids` of its `range` [from, to)."""
        session = _session(question)
        ids = self._ids.get(session, [])
        digest = self._digests.get(session, sha256())
        said = {"subject": session[0], "session": session[1], "count": len(ids), "digest": digest.hexdigest()}
        asked = question.get("range")
        bounds = [as_int(bound) for bound in asked] if isinstance(asked, list) else []
        if len(bounds) == 2 and None not in bounds:
            said["ids"] = ids[bounds[0] : bounds[1]]
        return said


def _session(facts: dict[str, Any]) -> Session:
    return str(facts.get("subject", "")), str(facts.get("session", ""))
