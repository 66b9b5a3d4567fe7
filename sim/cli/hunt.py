"""The command `hunt`."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from sim.checks.result import many
from sim.cli.console import print_verdict
from sim.cli.exhaustive import explore_bound
from sim.cli.options import AsJson, Quiet, Reports, new_folder, refuse
from sim.lab.topology import TopologyError, load
from sim.rehearse import EXIT, rehearse

if TYPE_CHECKING:
    from sim.search.hunt import HuntResult

__all__ = ["hunt_for"]


def hunt_for(
    file: Annotated[Path | None, Parameter(help="A topology, as YAML; none with --exhaustive.")] = None,
    *,
    exhaustive: Annotated[bool, Parameter(negative="", help="Explore all of the library's own small labs.")] = False,
    bound: Annotated[str, Parameter(help="How much of them: tiny, small or large.")] = "small",
    duration: Annotated[str, Parameter(name="--for", help="How long: 90s, 5m, 1h.")] = "5m",
    seed: Annotated[int | None, Parameter(help="Draw the scenarios of that hunt again.")] = None,
    jobs: Annotated[int | None, Parameter(help="Worker processes, instead of one for each core.")] = None,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    confirm: Annotated[bool, Parameter(negative="--no-confirm", help="Try what is found on processes.")] = True,
) -> int:
    """Hunt for scenarios that fail, in virtual time."""
    from sim.search.hunt import hunt
    from sim.search.hunt_progress import seconds_of, show, showing

    seconds = seconds_of(duration)
    wrong = _wrong(file, duration, jobs, exhaustive=exhaustive)
    if wrong or seconds is None:
        return refuse(wrong)
    if file is None:
        return explore_bound(bound, seconds=seconds, report=report, as_json=as_json, quiet=quiet)
    try:
        topology = load(file)
    except TopologyError as error:
        return refuse(str(error))
    if (folder := new_folder(report, f"hunt-{topology.name}")) is None:
        return refuse(f"{report}: reports cannot be written there")
    console = Console(quiet=quiet or as_json, highlight=False)
    seed = random.randrange(100_000) if seed is None else seed
    with showing(console) as say:
        result = hunt(topology, seed=seed, seconds=seconds, folder=folder, jobs=jobs, confirm=confirm, say=say)
    page = _keep(result, folder)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    else:
        show(console, result, page)
        print_verdict(result.verdict, f"{result.verdict.upper()}: {result.sentence}")
    return EXIT[result.verdict]


def _wrong(file: Path | None, duration: str, jobs: int | None, *, exhaustive: bool) -> str:
    """What is wrong with the command, as a sentence; empty if nothing is."""
    from sim.search.hunt_progress import seconds_of

    if (file is None) is not exhaustive:
        return "give a topology to hunt in, or --exhaustive without one"
    if seconds_of(duration) is None:
        return f"--for {duration}: give a time above 0, such as 90s, 5m or 1h"
    if jobs is not None and jobs < 1:
        return f"--jobs {jobs}: there must be at least one worker process"
    return ""


def _keep(result: HuntResult, folder: Path) -> Path:
    """Write the page of a hunt, and beside it the report of what it found, which is played once more."""
    from sim.report.hunt_page import HuntPage, write_hunt

    found = ""
    if result.smallest is not None:
        from sim.report.render import write

        report = rehearse(result.smallest, folder / "smallest", world="virtual", say=lambda _: None)
        found = write(report, folder / "smallest").relative_to(folder).as_posix()
    return write_hunt(
        HuntPage(
            title=f"hunt in {result.lab}",
            verdict=result.verdict,
            sentence=result.sentence,
            facts=[f"seed {result.seed}", many(result.jobs, "worker"), f"{result.took_s:,.0f} s"],
            broke=result.broke,
            found=found,
            replay=result.replay,
            coverage=result.coverage,
        ),
        folder,
    )
