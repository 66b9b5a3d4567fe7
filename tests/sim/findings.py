"""What a check might have found, for tests of whatever tells or follows it up."""

from __future__ import annotations

from sim.evidence.violation import Violation

__all__ = ["violation"]


def violation(said: str, *, machines: tuple[str, ...] = (), messages: tuple[str, ...] = ()) -> Violation:
    """The violation that reads `said`, `check: text`."""
    check, _, text = said.partition(": ")
    return Violation(check, machines, messages, text)
