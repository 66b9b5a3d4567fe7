"""The command `hunt --exhaustive`, and `replay` of what it found."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from sim.cli.console import escaped, print_verdict
from sim.cli.options import new_folder, refuse
from sim.exhaustive.explore import Explored
from sim.exhaustive.small_hunt import KeptFind, SmallHunt, SmallRow, hunt_small, load_find, save_find
from sim.exhaustive.small_labs import BOUNDS, SmallLab
from sim.rehearse import EXIT

__all__ = ["explore_bound", "replay_find"]


def explore_bound(bound: str, *, seconds: float, report: Path, as_json: bool, quiet: bool) -> int:
    """Explore the small labs of a bound."""
    if bound not in BOUNDS:
        return refuse(f"--bound {bound}: there is {', '.join(BOUNDS)}")
    console = Console(quiet=quiet or as_json, highlight=False)
    with console.status("exploring") as status:

        def say(lab: SmallLab, explored: Explored) -> None:
            status.update(f"exploring  {lab.words}: {explored.states:,} states, {explored.steps:,} steps")

        hunted = hunt_small(BOUNDS[bound], seconds=seconds, say=say)
    page = None
    if hunted.found is not None:
        folder = new_folder(report, "hunt-exhaustive")
        if folder is None:
            return refuse(f"{report}: reports cannot be written there")
        path = folder / "regression.json"
        save_find(hunted.found, path)
        hunted.replay = f"python -m sim replay {path}"
        page = _page(hunted.found, hunted.replay, folder)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(hunted) + b"\n")
        return EXIT[hunted.verdict]
    _show(console, hunted, page)
    return EXIT[hunted.verdict]


def replay_find(path: Path, *, report: Path) -> int:
    """Take the steps of a find again."""
    from sim.exhaustive.shorten import again

    try:
        kept = load_find(path)
    except (OSError, msgspec.DecodeError) as error:
        return refuse(f"{path}: this is no find of a small lab: {error}")
    found = again(kept.small_lab, kept.steps)
    if found is None:
        print_verdict("held", f"HELD: {len(kept.steps)} steps of {kept.small_lab.words}")
        return EXIT["held"]
    folder = new_folder(report, "replay-exhaustive")
    if folder is None:
        return refuse(f"{report}: reports cannot be written there")
    now = KeptFind(kept.small_lab, found.steps, found.check, found.text)
    sys.stdout.write(f"report  {_page(now, f'python -m sim replay {path}', folder)}\n")
    print_verdict("broke", f"BROKE: {found.check}: {found.text}")
    return EXIT["broke"]


def _page(kept: KeptFind, replay: str, folder: Path) -> Path:
    from sim.exhaustive.retell import report_of
    from sim.report.render import write

    return write(report_of(kept, replay=replay), folder)


def _show(console: Console, hunted: SmallHunt, page: Path | None) -> None:
    for row in hunted.labs:
        console.print(escaped(_row(row)), soft_wrap=True)
    if hunted.found is not None:
        console.print("steps  " + escaped("; ".join(map(str, hunted.found.steps))), soft_wrap=True)
        console.print(f"report  {page}", soft_wrap=True)
        console.print(f"replay  {hunted.replay}", soft_wrap=True)
    print_verdict(hunted.verdict, f"{hunted.verdict.upper()}: {hunted.sentence}")


def _row(row: SmallRow) -> str:
    mark = "✓" if row.is_whole else "·"
    return f"{mark} {row.bound}: {row.states:,} states, {row.steps:,} steps, {row.ends:,} ends, {row.took_s} s"
