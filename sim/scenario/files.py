"""The files that tasks name: what is in those that are made for a rehearsal, and what lies on the rigs before it.

One rig begins with the first half of a file, as after a reboot in a transfer; and one with a damaged half, as after a
loss of power. Both must have the whole file before their session begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.lab.seeds import seed_of
from sim.lab.topology import Topology
from sim.scenario.payloads import noise

__all__ = ["damaged_part", "file_names", "leftover", "leftovers", "named_in", "synthetic"]


def file_names(topology: Topology) -> list[str]:
    """The files that the terminal has to have: those that tasks name, and the synthetic ones."""
    named = {str(sound) for machine in topology.machines for sound in machine.task.get("sounds", [])}
    return sorted(named | set(topology.files.synthetic_kb))


def synthetic(name: str, size: int, *, seed: int) -> bytes:
    """The content of a synthetic file. No two files, and no two parts of one, are alike."""
    return noise("uint8", (size,), seed_of(seed, "file", name)).tobytes()


def named_in(value: Any) -> Iterator[str]:
    """The files that the value of a START names."""
    stim = value.get("stim") if isinstance(value, dict) else None
    sides = (stim.get("sounds") if isinstance(stim, dict) else None) or {}
    for sounds in sides.values() if isinstance(sides, dict) else ():
        yield from (str(sound["path"]) for sound in sounds if isinstance(sound, dict) and "path" in sound)


def leftovers(topology: Topology) -> dict[str, tuple[str, bool]]:
    """The machines on which a part of a file lies from the beginning: which file, and whether the part is damaged."""
    sounds = {machine.id: [str(name) for name in machine.task.get("sounds", [])] for machine in topology.machines[1:]}
    fetching = [(id, names[0]) for id, names in sounds.items() if names]
    return {id: (name, n == 0) for n, (id, name) in enumerate(fetching[:2])}


def damaged_part(topology: Topology) -> tuple[str, str] | None:
    """The machine on which a damaged part lies, and of which file."""
    return next(((id, name) for id, (name, damaged) in leftovers(topology).items() if damaged), None)


def leftover(content: bytes, *, damaged: bool) -> bytes:
    """The first half of a file, as a former transfer left it; its last bytes are zeros if it is damaged."""
    half = content[: len(content) // 2]
    bad = min(len(half), 512)
    return half[: len(half) - bad] + bytes(bad) if damaged else half
