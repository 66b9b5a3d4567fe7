"""Whether the terminal's copy of a session is whole: counted and digested where it was made, and where it arrived."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from autopilot_net.codec import encode
from autopilot_net.protocol.numbers import as_int

__all__ = ["Ledger"]

Session = tuple[str, str]


class Ledger:
    """The DATA of each (subject, session), in order: ids, and a running digest over ids and values."""

    def __init__(self) -> None:
        self._ids: dict[Session, list[str]] = {}
        self._digests: dict[Session, Any] = {}

    def record(self, message_id: str, value: Any) -> None:
        """Note one message, under the id it had where it began. A value that names no subject belongs to subject ''."""
        facts = value if isinstance(value, dict) else {}
        session = _session(facts)
        line = message_id.encode() + b"\0" + encode(value) + b"\0"  # first: what cannot travel is not counted
        self._ids.setdefault(session, []).append(message_id)
        self._digests.setdefault(session, sha256()).update(line)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """`count` and `digest` for the subject and session asked about; `ids` of `range` [from, to), if asked."""
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

