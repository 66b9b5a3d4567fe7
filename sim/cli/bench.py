"""The command `bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from sim.cli.options import AsJson, Quiet, refuse

if TYPE_CHECKING:
    from sim.bench.results import BenchReport
    from sim.bench.works import Work

__all__ = ["bench", "show"]

ROUNDS, QUICK_ROUNDS = 5, 2


def bench(
    *,
    only: Annotated[str, Parameter(help="Measure these works alone, such as small,confirmed.")] = "",
    quick: Annotated[bool, Parameter(negative="", help="Two rounds instead of five.")] = False,
    rounds: Annotated[int | None, Parameter(help="How often each side plays each work.")] = None,
    save: Annotated[Path | None, Parameter(help="Keep the report in this file, as JSON.")] = None,
    page: Annotated[Path | None, Parameter(help="Write a page with a chart to this file.")] = None,
    compare: Annotated[Path | None, Parameter(help="Compare with a report that was saved.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Measure how fast the library is, beside bare pyzmq."""
    from sim.bench.measure import measure
    from sim.bench.results import load_report
    from sim.bench.stage import BenchError
    from sim.bench.works import WORKS

    works, unknown = _chosen(only, WORKS)
    if unknown:
        return refuse(f"--only {only}: there is no {', '.join(unknown)}; there are {', '.join(WORKS)}")
    if rounds is not None and rounds < 1:
        return refuse(f"--rounds {rounds}: there must be at least one")
    try:
        former = None if compare is None else load_report(compare)
    except (OSError, ValueError) as error:
        return refuse(f"--compare: {error}")
    err = Console(stderr=True, quiet=quiet, highlight=False)
    with err.status("") as status:
        try:
            rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
            report = measure(works, rounds=rounds, say=status.update)
        except BenchError as error:
            sys.stderr.write(f"NOT MEASURED: {error}\n")
            return 3
    _keep(report, save, page)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    return show(report, former, as_json=as_json, quiet=quiet)


def _chosen(only: str, works: dict[str, Work]) -> tuple[list[Work], list[str]]:
    """The works that are named, and names that no work has."""
    names = [name.strip() for name in only.split(",") if name.strip()] or list(works)
    return [works[name] for name in names if name in works], [name for name in names if name not in works]


def _keep(report: BenchReport, save: Path | None, page: Path | None) -> None:
    """Write the files that were asked for."""
    if save is not None:
        save.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    if page is not None:
        from sim.bench.page import write_page

        write_page(report, page)


def show(report: BenchReport, former: BenchReport | None, *, as_json: bool, quiet: bool) -> int:
    """Print the table and the last line. Returns the exit code."""
    from sim.bench.compare import changes, worse
    from sim.bench.table import change_lines, result_lines

    lines = [*result_lines(report), f"CPU and calls are a message, sender + recipient. Rounds: {report.rounds}."]
    found = [] if former is None else worse(report, former)
    lines += [] if former is None else change_lines(changes(report, former))
    if not (as_json or quiet):
        print(*lines, sep="\n")
    if found:
        line = f"SLOWER: {'; '.join(str(change) for change in found)}"
    else:
        goals = [row.is_reached for row in report.rows if row.is_reached is not None]
        line = f"MEASURED: {len(report.rows)} rows; {sum(goals)} of {len(goals)} goals are reached"
    if not as_json:
        print(line)
    return 1 if found else 0
