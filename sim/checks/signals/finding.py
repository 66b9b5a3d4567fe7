"""What a signal showed."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from sim.checks.result import about_machine
from sim.evidence.violation import Violation

__all__ = ["Finding", "doubt", "wrong"]


class Finding(Struct, frozen=True):
    """Something that a signal showed. A doubt is what the journal cannot decide."""

    violation: Violation
    is_doubt: bool = False


def wrong(machine: str, text: str, *, stands: bool = False) -> Finding:
    """What is wrong with a machine. `stands`: it cannot follow from the end of a process."""
    return Finding(replace(about_machine(machine, text), stands=stands))


def doubt(machine: str, text: str) -> Finding:
    """What is not known of a machine. `text` begins with "whether"."""
    return Finding(about_machine(machine, text), is_doubt=True)
