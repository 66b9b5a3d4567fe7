"""The terminal's copies of what the rigs recorded, kept apart by rig, and whether a rig's proof fits them.

Two rigs may have one subject. So there is a ledger for each rig, as a lab's own terminal would have to keep them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from autopilot_net import Ledger

__all__ = ["Copies"]

Session = tuple[str, str]  # subject and session
Copy = list[tuple[str, dict[str, Any]]]  # the id and the value of each message, in the order of arrival


class Copies:
    """The DATA of every rig, as the terminal's program received it."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._ledgers: dict[str, Ledger] = defaultdict(Ledger)
        self._values: dict[tuple[str, Session], Copy] = defaultdict(list)

    def add(self, rig: str, id: str, value: Any) -> None:
        """Add a message, once: one that is redelivered after a kill is still one trial."""
        if id in self._known:
            return
        self._known.add(id)
        self._ledgers[rig].record(id, value)
        if isinstance(value, dict):
            self._values[rig, _session(value)].append((id, value))

    def judge(self, rig: str, proof: dict[str, Any]) -> dict[str, Any]:
        """What the terminal makes of a rig's proof for one session.

        `agrees`: it fits the copy, which has `here` messages. `blind`: it fits another copy as well, so it proves
        nothing.
        """
        ours = self._ledgers[rig].answer(proof)
        others = _altered(self._values[rig, _session(proof)])
        blind = any(_is_same(proof, _ledger_of(other).answer(proof)) for other in others)
        return {"agrees": _is_same(proof, ours), "here": ours["count"], "blind": blind}


def _altered(copy: Copy) -> list[Copy]:
    """Copies that no proof may fit: with another value at either end, with another id, and in another order."""
    if not copy:
        return []
    *former, (id, value) = copy
    changed = [[*former, (id, {**value, "altered": True})], [*former, (f"{id}.altered", value)]]
    if former:
        (first, its), *later = copy
        changed += [[(first, {**its, "altered": True}), *later], [*former[:-1], copy[-1], former[-1]]]
    return changed


def _ledger_of(copy: Copy) -> Ledger:
    ledger = Ledger()
    for id, value in copy:
        ledger.record(id, value)
    return ledger


def _is_same(proof: dict[str, Any], ours: dict[str, Any]) -> bool:
    return all(proof.get(name) == ours[name] for name in ("count", "digest"))


def _session(facts: dict[str, Any]) -> Session:
    return str(facts.get("subject", "")), str(facts.get("session", ""))
