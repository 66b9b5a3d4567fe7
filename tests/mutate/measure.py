"""What counts as found: a run that says BROKE of the copy with the bug, and HELD of the copy without one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.mutate.bug import Bug, StaleBugError, copy_tree, put_into
from tests.mutate.runs import RUNS, Played, Run, imports, play

__all__ = ["ENOUGH", "Bench", "Measured", "is_enough", "runs_for", "summary"]

ENOUGH = 0.9  # of the bugs have to be found
BUDGET_S = 60.0  # for one bug: no further run is begun after that

Play = Callable[[Run, Path], Played]


@dataclass
class Measured:
    """What became of one bug. `by` is the run that found it; empty if none has."""

    kind: str
    name: str
    by: str = ""
    seconds: float = 0.0
    first: str = ""  # the first thing that broke
    others: dict[str, str] = field(default_factory=dict)  # what the runs before said

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def runs_for(bug: Bug) -> list[Run]:
    """The run that should find it, then all others, the cheapest first."""
    first = RUNS[bug.by]
    return [first, *(run for run in RUNS.values() if run is not first)]


class Bench:
    """Measures bugs. A run is first played on a copy without a bug, once: if that does not hold, it finds nothing."""

    def __init__(
        self, *, budget_s: float = BUDGET_S, play: Play = play, imports: Callable[[Path], str] = imports
    ) -> None:
        self.sound: dict[str, Played] = {}
        self._budget_s = budget_s
        self._play = play
        self._imports = imports

    def measure(self, bug: Bug) -> Measured:
        """Put the bug into a copy, and run until something breaks or the time is up."""
        measured = Measured(bug.kind, bug.name)
        with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
            tree = Path(folder)
            try:
                put_into(tree, bug)
            except StaleBugError as error:
                measured.others["source"] = str(error)
                return measured
            why = self._imports(tree)
            if why:
                measured.others["import"] = why
                return measured
            for run in runs_for(bug):
                if measured.seconds >= self._budget_s:
                    measured.others[run.name] = "not tried: the time was up"
                elif self._finds(run, tree, measured):
                    break
        return measured

    def holds(self, run: Run) -> bool:
        """Whether the run holds where there is no bug."""
        if run.name not in self.sound:
            with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
                copy_tree(Path(folder))
                self.sound[run.name] = self._play(run, Path(folder))
        return self.sound[run.name].verdict == "held"

    def _finds(self, run: Run, tree: Path, measured: Measured) -> bool:
        if not self.holds(run):
            measured.others[run.name] = "not tried: it does not hold without a bug"
            return False
        played = self._play(run, tree)
        measured.seconds += played.seconds
        if played.verdict == "broke":
            measured.by, measured.first = run.name, played.first
            return True
        measured.others[run.name] = played.verdict
        return False


def is_enough(measured: Iterable[Measured]) -> bool:
    """Whether so many were found that the checks may be trusted."""
    found = [bool(one.by) for one in measured]
    return sum(found) >= ENOUGH * len(found)


def summary(measured: list[Measured]) -> str:
    """The last line."""
    missed = [f"{one.kind}/{one.name}" for one in measured if not one.by]
    found = f"{len(measured) - len(missed)} of {len(measured)} found"
    return f"{found}; missed: {'; '.join(missed)}" if missed else found
