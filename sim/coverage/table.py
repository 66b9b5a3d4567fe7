"""What a tally comes to: which kinds and pairs were tried, and which never. A page, a terminal and JSON show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from sim.coverage.kinds import GROUPS, Kind, kinds
from sim.coverage.tally import PAIRED, Tally, pair_of

__all__ = ["Coverage", "GroupRow", "PairRow", "coverage_of"]

WORDS = {
    "fault": "faults",
    "option": "options of faults",
    "step": "steps of storms",
    "lab": "settings of labs",
    "effect": "effects of the core",
    "verdict": "verdicts of checks",
}
NAMED = 3  # kinds of a group that a terminal names


class GroupRow(Struct, frozen=True):
    """The kinds of one group: in how many runs each occurred, and which never did."""

    what: str  # such as "effects of the core"
    tried: dict[str, int]
    never: list[str]

    @property
    def share(self) -> str:
        """'12 of 13'."""
        return f"{len(self.tried)} of {len(self.tried) + len(self.never)}"


class PairRow(Struct, frozen=True):
    """One fault, in how many runs it happened, and with which other kinds."""

    fault: str
    runs: int
    groups: list[GroupRow]


class Coverage(Struct, frozen=True):
    """What the runs of a hunt went through, and what they never did.

    That a check broke is not among what was never tried: a hunt ends with the first run that breaks something.
    """

    groups: list[GroupRow] = []
    pairs: list[PairRow] = []

    @property
    def covered(self) -> str:
        """'18 of 18 faults, 12 of 13 effects of the core, …, 812 of 1,209 pairs'."""
        rows = [group for row in self.pairs for group in row.groups]
        twice = [group for group in rows if group.what == WORDS["fault"]]  # two faults are in the row of both
        tried, never = (
            sum(len(getattr(group, part)) for group in rows) - sum(len(getattr(group, part)) for group in twice) // 2
            for part in ("tried", "never")
        )
        pairs = f"{tried:,} of {tried + never:,} pairs of a fault and another of these"
        return ", ".join([*(f"{row.share} {row.what}" for row in self.groups), pairs])

    @property
    def never(self) -> list[str]:
        """The kinds that never occurred."""
        return [name for row in self.groups for name in row.never]

    @property
    def never_words(self) -> str:
        """'effects of the core: DuplicateId; verdicts of checks: confirm unknown, order unknown and 12 more'."""
        return "; ".join(f"{row.what}: {_some(row.never)}" for row in self.groups if row.never)


def coverage_of(tally: Tally) -> Coverage:
    """The table of a tally."""
    every = kinds()
    faults = [kind for kind in every if kind.group == "fault"]
    return Coverage(groups=_rows(every, GROUPS, tally.kinds.get), pairs=[_pairs(tally, fault) for fault in faults])


def _pairs(tally: Tally, fault: Kind) -> PairRow:
    """The pairs of a fault. A pair of two faults is in the row of both."""
    others = [kind for kind in kinds() if kind != fault]
    groups = _rows(others, PAIRED, lambda kind: tally.pairs.get(pair_of(fault, kind)))
    return PairRow(fault.name, tally.kinds.get(fault, 0), groups)


def _rows(every: Iterable[Kind], groups: Iterable[str], count: Callable[[Kind], int | None]) -> list[GroupRow]:
    counts = {kind: count(kind) or 0 for kind in every}
    return [
        GroupRow(
            WORDS[group],
            {kind.name: runs for kind, runs in counts.items() if kind.group == group and runs},
            [kind.name for kind, runs in counts.items() if kind.group == group and not runs and not _ends(kind)],
        )
        for group in groups
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _ends(kind: Kind) -> bool:
    """Whether a hunt ends with it."""
    return kind.group == "verdict" and kind.name.endswith(" broke")
