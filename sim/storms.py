"""One storm on a calm lab: played, settled and checked."""

from __future__ import annotations

from msgspec import Struct

from sim.checks.registry import check_storm
from sim.evidence.index import Evidence
from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.scenario import Example, Flow, Send
from sim.world import World

__all__ = ["Failure", "Stormed", "play_storm", "size_of"]


class Failure(Struct):
    """A storm that did not hold."""

    number: int
    example: Example
    broke: list[Violation]  # empty if it only did not settle
    settled: bool


class Stormed(Struct):
    """What came of one storm."""

    broke: list[Violation]
    settled: bool
    journal: Journal  # what was written down meanwhile


def play_storm(world: World, example: Example, number: int, seed: int) -> Stormed:
    """Play one storm on a calm lab, and check it."""
    settled = world.storm(example, number)
    chunk = world.more()
    evidence = Evidence(
        topology=world.topology,
        seed=seed,
        journal=Journal(entries=chunk.example(number), traces=chunk.traces),
        examples={number: example},
    )
    return Stormed(broke=check_storm(evidence), settled=settled and not world.died, journal=chunk)


def size_of(example: Example) -> int:
    """How many messages and items."""
    return sum(op.burst if isinstance(op, Send) else op.items if isinstance(op, Flow) else 1 for op in example.ops)
