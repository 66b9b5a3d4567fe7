"""Names of participants: the machine that a participant is on, and the process that runs it."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Process", "in_plain_words", "is_node", "is_probe", "machine_of", "probe_of", "process_of"]

_PROBE = re.compile(r"([\w.-]+)\.probe\b")
Process = tuple[Literal["station", "program", "link"], str]


def is_node(name: str) -> bool:
    """Whether a participant is a node and not a station."""
    return name.startswith(("_", "actor.")) or is_probe(name)


def machine_of(name: str) -> str:
    """The machine of a participant. It is derived from the name, and need not exist."""
    if name.startswith("actor."):
        return name.removeprefix("actor.").rpartition(".")[0]
    return name.removeprefix("_").removesuffix(".probe")


def probe_of(machine: str) -> str:
    """The id of the probe node of a machine, which sends and receives for storms."""
    return f"{machine}.probe"


def is_probe(name: str) -> bool:
    """Whether a participant is a probe node."""
    return name.endswith(".probe")


def process_of(name: str) -> Process:
    """The process that runs a participant. A node runs in the program of its machine."""
    machine = name if name.startswith("actor.") else machine_of(name)  # no fault strikes a raw peer, so it has its own
    return ("program" if is_node(name) else "station"), machine


def in_plain_words(sentence: str) -> str:
    """A sentence for people: 'the test client on rig_1' for the probe `rig_1.probe`. Ids of messages stay."""
    return _PROBE.sub(r"the test client on \1", sentence)
