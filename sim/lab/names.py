"""Who takes part, by name: which machine somebody is on, and which process speaks for him."""

from __future__ import annotations

from typing import Literal

__all__ = ["Process", "is_node", "is_probe", "machine_of", "probe_of", "process_of"]

Process = tuple[Literal["station", "program", "link"], str]


def is_node(name: str) -> bool:
    """Whether a participant is a node rather than a station."""
    return name.startswith(("_", "actor.")) or is_probe(name)


def machine_of(name: str) -> str:
    """The machine a participant is on."""
    if name.startswith("actor."):
        return name.removeprefix("actor.").rpartition(".")[0]
    return name.removeprefix("_").removesuffix(".probe")


def probe_of(machine: str) -> str:
    """The id of the node that storms speak through on a machine."""
    return f"{machine}.probe"


def is_probe(name: str) -> bool:
    """Whether a participant is the node that storms speak through."""
    return name.endswith(".probe")


def process_of(name: str) -> Process:
    """Which process speaks for a participant: a node's is its machine's program."""
    machine = name if name.startswith("actor.") else machine_of(name)  # an actor is no machine's, and never struck
    return ("program" if is_node(name) else "station"), machine
