"""What a rehearsal prints: the tree of machines, its progress, the checks, and the verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars
from rich.table import Table
from rich.tree import Tree

from sim.lab.topology import Topology
from sim.phases import Progress
from sim.verdict import Report

__all__ = ["escaped", "print_report", "print_verdict", "showing_progress", "tree_of"]

LINES = 8  # of a program's output, in the terminal
MARK = {"pass": "[green]✓[/]", "fail": "[bold red]✗[/]", "unknown": "[yellow]?[/]"}
COLOUR = {"held": "green", "broke": "bold red", "unsettled": "yellow", "interrupted": "yellow"}


def tree_of(topology: Topology) -> Tree:
    """The machines of a lab, each with its kind, its own program, its streams, and whether it makes trials."""
    nodes: dict[str, Tree] = {}
    for machine in topology.machines:
        what = ", ".join([*(machine.streams or ()), *(["trials"] if machine.trials else [])])
        own = f" [cyan]{machine.program}[/]" if machine.program else ""
        own = f" [dim]in place of {machine.stands_in_for}[/]" if machine.stands_in_for else own
        label = f"[bold]{machine.id}[/]{f' [dim]{machine.kind}[/]' if machine.kind else ''}{own} [dim]{what}[/]"
        nodes[machine.id] = Tree(label) if machine.parent is None else nodes[machine.parent].add(label)
    return nodes[topology.terminal.id]


@contextlib.contextmanager
def showing_progress(console: Console, *, moving: bool = True) -> Iterator[Any]:
    """A function that shows progress: a moving line on a terminal, elsewhere one line for each phase that ended."""
    if not (console.is_terminal and moving):
        yield lambda progress: console.print(_phase(progress)) if progress.ended else None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with ProgressBars(*columns, console=console, transient=True) as bars:
        task: TaskID = bars.add_task("starting", total=None)

        def show(progress: Progress) -> None:
            if progress.ended:
                bars.console.print(_phase(progress))
            else:
                total = None if progress.share is None else 1.0
                description = f"{progress.phase} {progress.note}"
                bars.update(task, description=description, total=total, completed=progress.share or 0.0)

        yield show


def print_report(console: Console, report: Report, page: Path) -> None:
    """The table of checks, exceptions, what is not proven, the load, and where the report is."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "CHECK", "LOOKED AT", "RESULT"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        first = check.violations[0] if check.violations else check.figures
        more = f" (and {len(check.violations) - 1} more)" if len(check.violations) > 1 else ""
        table.add_row(MARK[check.result], check.name, check.looked_at, escaped(f"{check.result}  {first}{more}"))
    console.print(table)
    for exception in report.exceptions:
        console.print(escaped(exception), style="red")
    _print_outputs(console, report, page.parent)
    console.print(f"NOT PROVEN  {'; '.join(report.not_proven)}", style="dim")
    if report.cpu is not None:
        load = f"CPU {report.cpu.median_pct:.0f} % median, {report.cpu.max_pct:.0f} % at most"
        busy = f", over 90 % for {report.cpu.overloaded_s:.1f} s (latency there is flagged)"
        console.print(load + (busy if report.cpu.overloaded_s else ""), style="dim")
    if report.pace:
        console.print(report.pace, style="dim")
    console.print(f"report  {page}", soft_wrap=True)
    if report.replay:
        console.print(f"replay  {report.replay}", soft_wrap=True)


def _print_outputs(console: Console, report: Report, folder: Path) -> None:
    """The last lines of each program that the check of programs names."""
    told = {violation.machines[:1] for check in report.checks if check.name == "programs" for violation in check.broke}
    for output in (output for output in report.outputs if (output.machine,) in told):
        console.print(f"{output.machine} printed, at the end of {folder / output.log}:", style="dim", soft_wrap=True)
        for line in output.lines[-LINES:]:
            console.print(f"  {escaped(line)}", soft_wrap=True)


def print_verdict(verdict: str, sentence: str) -> None:
    """The last line. It is printed even with --quiet."""
    Console(highlight=False).print(escaped(sentence), style=COLOUR[verdict], soft_wrap=True)


def escaped(text: str) -> str:
    """Text that rich prints as it is: brackets in it are no markup."""
    return text.replace("[", "\\[")


def _phase(progress: Progress) -> str:
    return f"{MARK['pass' if progress.ok else 'fail']} {progress.phase} {progress.note}".rstrip()
