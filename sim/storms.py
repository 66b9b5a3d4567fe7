"""Plays one storm on a calm lab, and checks it."""

from __future__ import annotations

from msgspec import Struct

from sim.checks.registry import check_storm
from sim.evidence.index import Evidence
from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.scenario import Example
from sim.scenario.assignments import busy_s
from sim.world import World

__all__ = ["Failure", "Stormed", "allow_for", "play_storm"]

TRIES = 12  # times the slowest confirmation until a message is given up: it is sent six times, at twice that interval


class Failure(Struct):
    """A storm that failed."""

    number: int
    example: Example
    broke: list[Violation]  # empty if the storm did not settle and nothing else is wrong
    settled: bool


class Stormed(Struct):
    """The result of one storm."""

    broke: list[Violation]
    settled: bool
    journal: Journal  # what was journalled during the storm


def play_storm(world: World, example: Example, number: int, seed: int) -> Stormed:
    """Play one storm on a calm lab, wait until it has settled, and check it.

    `number` must be new in the run: its journal entries are found by it.
    """
    allow_for(world, example)
    settled = world.storm(example, number)
    chunk = world.more()
    evidence = Evidence(
        topology=world.topology,
        seed=seed,
        journal=Journal(entries=chunk.example(number), traces=chunk.traces),
        examples={number: example},
    )
    return Stormed(broke=check_storm(evidence), settled=settled and not world.died, journal=chunk)


def allow_for(world: World, example: Example) -> None:
    """Have the world wait longer from now on: for slow handlers, and for repeats, which are slower after them."""
    world.settle_s += TRIES * busy_s(example)
