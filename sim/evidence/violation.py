"""What is wrong with a run, as a value: whom and what it is about stands beside the sentence."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Violation"]


class Violation(Struct, frozen=True):
    """One thing that is wrong, or that could not be decided."""

    check: str  # which check found it
    machines: tuple[str, ...]  # ids of the machines it is about, the first being the one to look at
    messages: tuple[str, ...]  # ids of the messages it is about, under which they began
    text: str  # a sentence without its full stop, with names and ids

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"
