"""What a bench has measured: samples, the rows that are made of them, and the file that keeps them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from sim.bench.works import BARE, OURS, WORKS, Figures, Work

__all__ = ["BenchReport", "BenchRow", "Sample", "Spread", "load_report", "rows_of"]


class Sample(Struct, frozen=True):
    """One work, played once by one side. `counted`: calls were counted, so that the times mean nothing."""

    work: str
    side: str
    round: int
    figures: Figures
    counted: bool = False


class Spread(Struct, frozen=True):
    """The median of several rounds, and the least and the most."""

    median: float
    low: float
    high: float


class BenchRow(Struct, frozen=True, kw_only=True):
    """One side of one work. `ratio` is to the bare side of the same round; None where there is no other to compare."""

    work: str
    side: str
    value: Spread
    ratio: Spread | None
    figures: Figures  # medians of the others: CPU µs and calls a message at both ends, p99 in ms, peak memory in MB

    @property
    def is_reached(self) -> bool | None:
        """Whether our side reaches the goal of its work. None where that sets none."""
        work = WORKS.get(self.work)
        if work is None or work.goal is None or self.side != OURS:
            return None
        reached = (self.value if self.ratio is None else self.ratio).median
        return reached >= work.goal if work.is_rate else reached <= work.goal


class BenchReport(Struct, kw_only=True):
    """A bench: where and when it ran, its rows, and all samples."""

    started: str
    machine: dict[str, str]
    rounds: int
    rows: list[BenchRow]
    samples: list[Sample]


def load_report(path: Path) -> BenchReport:
    """A report that `--save` wrote. Raises `ValueError` or `OSError`, with the path, for anything else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=BenchReport)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is no report of a bench, as --save writes it: {error}") from error


def rows_of(samples: list[Sample]) -> list[BenchRow]:
    """A row for each side of each work, in the order of `WORKS`."""
    found = []
    for work in WORKS.values():
        for side in work.sides:
            its = [sample for sample in samples if (sample.work, sample.side) == (work.name, side)]
            timed = [sample for sample in its if not sample.counted]
            if timed:
                figures = _medians(timed) | _calls(its)
                value = _span(sample.figures["value"] for sample in timed)
                ratio = _ratio(work, side, samples)
                found.append(BenchRow(work=work.name, side=side, value=value, ratio=ratio, figures=figures))
    return found


def _ratio(work: Work, side: str, samples: list[Sample]) -> Spread | None:
    if side == BARE or BARE not in work.sides:
        return None
    values = {
        (sample.round, sample.side): sample.figures["value"]
        for sample in samples
        if sample.work == work.name and not sample.counted
    }
    pairs = [(value, values.get((number, BARE))) for (number, its), value in values.items() if its == side]
    return _span(value / bare for value, bare in pairs if bare)


def _medians(timed: list[Sample]) -> Figures:
    names = [name for name in timed[0].figures if name != "value"]
    return {name: statistics.median(sample.figures[name] for sample in timed) for name in names}


def _calls(its: list[Sample]) -> Figures:
    """Of the sample in which calls were counted."""
    counted = (sample.figures for sample in its if sample.counted)
    return {name: value for figures in counted for name, value in figures.items() if name.endswith("_calls")}


def _span(values: Iterable[float]) -> Spread:
    found = sorted(values)
    return Spread(statistics.median(found), found[0], found[-1])
