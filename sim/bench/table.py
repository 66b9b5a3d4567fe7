"""What a bench prints: lines that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sim.bench.compare import Change
from sim.bench.results import BenchReport, BenchRow
from sim.bench.works import WORKS, Work

__all__ = ["TITLES", "change_lines", "figure", "result_lines", "rows_of_cells"]

WIDTHS = (9, 10, 7, 12, 10, 10, 10, 7, 5)
TITLES = ("", "median", "ratio", "spread", "goal", "CPU µs", "calls", "p99 ms", "MB")
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def result_lines(report: BenchReport) -> Iterator[str]:
    """For each work a line that says what it is, and below it one for each side."""
    yield _line(TITLES)
    for line in rows_of_cells(report):
        yield line if isinstance(line, str) else _line((f"  {line[0]}", *line[1:]))


def rows_of_cells(report: BenchReport) -> Iterator[str | tuple[str, ...]]:
    """The same as cells: for each work what it is, and then the cells of each side."""
    last = ""
    for row in report.rows:
        work = WORKS[row.work]
        if row.work != last:
            yield f"{work.name}: {work.title}"
        yield (row.side, *_cells(row, work))
        last = row.work


def change_lines(changes: Iterable[Change]) -> Iterator[str]:
    """What has become better or worse since a former bench."""
    for change in changes:
        mark = "✗" if change.is_worse else " "
        yield f"{mark} {change!s:<62}{change.times:>6.2f} as good"


def figure(value: float, unit: str) -> str:
    """A value with its unit, in three digits: `157k/s`."""
    for size, prefix in PREFIXES:
        if value >= size:
            return f"{value / size:.3g}{prefix}{unit}"
    return f"{value:.3g}{unit}"


def _line(cells: Iterable[str]) -> str:
    first, *others = zip(cells, WIDTHS, strict=True)
    return (f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in others)).rstrip()


def _cells(row: BenchRow, work: Work) -> tuple[str, ...]:
    reached, ratio, figures = row.is_reached, row.ratio, row.figures
    least = "" if work.goal is None else f"{work.goal:g}" if ratio is not None else figure(work.goal, work.unit)
    goal = "" if reached is None else f"{'≥' if work.is_rate else '≤'} {least} {'✓' if reached else '✗'}"
    return (
        figure(row.value.median, work.unit),
        "" if ratio is None else f"{ratio.median:.2g}",
        "" if ratio is None else f"{ratio.low:.2g}–{ratio.high:.2g}",  # noqa: RUF001  # a span
        goal,
        _both(figures, "us"),
        _both(figures, "calls"),
        _short(figures["p99_ms"]) if "p99_ms" in figures else "",
        f"{figures['peak_mb']:.0f}" if "peak_mb" in figures else "",
    )


def _both(figures: dict[str, float], what: str) -> str:
    """Of the sender and of the recipient."""
    ends = [figures.get(f"{end}_{what}") for end in ("sender", "recipient")]
    return "+".join(_short(value) for value in ends if value is not None)


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"
