"""A finding of a check, as a value: a sentence, and the machines and messages that it is about."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Violation"]


class Violation(Struct, frozen=True):
    """One thing that is wrong with a run, or that could not be decided."""

    check: str  # the name of the check that found it
    machines: tuple[str, ...]  # ids of the machines it is about; look at the first one first
    messages: tuple[str, ...]  # ids of the messages it is about, under which they began
    text: str  # a sentence with names and ids, without a full stop
    is_cause: bool = False  # a process ended, or a handler hangs: whatever else is missing may follow from it
    stands: bool = False  # it happened, so that no cause elsewhere explains it: a message was handled twice

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"
