"""Counts the kinds that runs went through, and which of them came together with a fault."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from sim.coverage.kinds import Kind, kinds_of_checks, kinds_of_scenario
from sim.phases import Conducted
from sim.verdict import Check

__all__ = ["PAIRED", "Tally", "pair_of"]

PAIRED = ("fault", "step", "lab", "effect", "verdict")  # the groups whose kinds are paired with each fault


class Tally(Struct):
    """In how many runs each kind occurred, and each pair of a fault and another kind."""

    kinds: dict[Kind, int] = field(default_factory=dict)
    pairs: dict[tuple[Kind, Kind], int] = field(default_factory=dict)

    def note(self, conducted: Conducted, checks: Iterable[Check]) -> None:
        """Count one run, which `checks` have judged."""
        happened = {action.fault for action in conducted.actions}
        scenario = kinds_of_scenario(conducted.scenario, happened)
        self.add({*scenario, *kinds_of_checks(conducted.journal, checks)})

    def add(self, seen: set[Kind]) -> None:
        """Count one run that went through these kinds."""
        others = [kind for kind in seen if kind.group in PAIRED]
        faults = [kind for kind in others if kind.group == "fault"]
        pairs = {pair_of(fault, kind) for fault in faults for kind in others if kind != fault}
        self.merge(Tally(dict.fromkeys(seen, 1), dict.fromkeys(pairs, 1)))

    def merge(self, other: Tally) -> None:
        """Count the runs of another tally too."""
        for kind, runs in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + runs
        for pair, runs in other.pairs.items():
            self.pairs[pair] = self.pairs.get(pair, 0) + runs


def pair_of(fault: Kind, other: Kind) -> tuple[Kind, Kind]:
    """The pair of a fault and another kind. Two faults make one pair, whichever comes first."""
    return (other, fault) if other.group == "fault" and other < fault else (fault, other)
