"""A small lab, and a journal, for the tests of the emulator."""

from __future__ import annotations

from typing import Any

from sim.lab.topology import Graduation, Machine, Session, Topology, Trials


class Journal:
    """A journal in memory."""

    life = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def now(self) -> int:
        return 0

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append((what, facts))


def lab(*, pace: float = 1.0, graduate: tuple[Graduation, ...] = (), **keys: Any) -> Topology:
    """A terminal, a rig with these keys, another that only looks on, and one whose program is the lab's own."""
    return Topology(
        name="made up",
        path="made_up.yaml",
        machines=(
            Machine("T", children=("rig_1", "rig_2", "rig_3")),
            Machine("rig_1", parent="T", subjects=("a", "b"), **keys),
            Machine("rig_2", parent="T", task={"task_type": "Look", "sounds": ["L.wav"]}),
            Machine("rig_3", parent="T", trials=Trials(), program="mylab:Box"),
        ),
        session=Session(duration_s=10.0, pace=pace, graduate=graduate),
    )
