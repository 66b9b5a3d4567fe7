"""What a hunt prints: its progress on a terminal, and its result."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

from sim.search.hunt import HuntProgress, HuntResult

__all__ = ["seconds_of", "show", "showing"]

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
COLOUR = {"held": "green", "broke": "bold red", "interrupted": "yellow"}


def seconds_of(text: str) -> float | None:
    """The seconds of `90s`, `5m`, `1h` or `30`; None if the text is no time above 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    return seconds if 0 < seconds < 1e7 else None


@contextlib.contextmanager
def showing(console: Console) -> Iterator[Callable[[HuntProgress], Any]]:
    """A function that shows progress: a moving line on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)
        longest = [1.0]

        def say(progress: HuntProgress) -> None:
            counted = f"{progress.played:,} scenarios, {progress.per_minute:,.0f} a minute"
            if progress.phase == "hunting":
                longest[0] = max(longest[0], progress.left_s)
                rest = f"{progress.left_s:.0f} s left"
                bars.update(
                    task,
                    description=f"hunting  {counted}, {rest}",
                    total=longest[0],
                    completed=longest[0] - progress.left_s,
                )
            else:
                bars.update(task, description=f"{progress.phase}  {progress.note[:80]}".replace("[", "\\["), total=None)

        yield say


def show(console: Console, hunted: HuntResult, page: Path) -> None:
    """Print what was tried and what was found, the page of the hunt, and the command that runs the find again."""
    rate = 60 * hunted.played / max(hunted.took_s, 0.1)
    played = f"{hunted.played:,} scenarios  {rate:,.0f} a minute"
    console.print(f"{hunted.lab}  seed {hunted.seed}  {hunted.jobs} workers  {played}")
    console.print(f"tried  {hunted.coverage.covered}", soft_wrap=True)
    if hunted.coverage.never:
        console.print(f"never  {hunted.coverage.never_words}", soft_wrap=True)
    for sentence in hunted.broke[:5]:
        console.print(f"✗ {sentence}".replace("[", "\\["), soft_wrap=True)
    if hunted.replay:
        console.print(f"processes  {hunted.processes}".replace("[", "\\["), soft_wrap=True)
    console.print(f"report  {page}", soft_wrap=True)
    if hunted.replay:
        console.print(f"replay  {hunted.replay}".replace("[", "\\["), soft_wrap=True)
