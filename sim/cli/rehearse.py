"""The commands that run a rehearsal: of a topology, or of a scenario that was saved."""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from sim.cli.console import escaped, print_report, print_verdict, showing_progress, tree_of
from sim.cli.exhaustive import replay_find
from sim.cli.options import AsJson, Compare, Debug, Page, Quiet, Reports, StandIns, Virtual, new_folder, refuse
from sim.emulator.bandwidth import load_warnings
from sim.emulator.session import shared_subjects
from sim.exhaustive.small_hunt import is_kept_find
from sim.faults.compile import actions
from sim.faults.describe import describe
from sim.lab.own_programs import without_programs
from sim.lab.topology import Topology, TopologyError, lasting, load
from sim.processes.start_up import uninterrupted
from sim.rehearse import EXIT, WorldName, left_out, refusal, rehearse
from sim.scenario import Scenario, load_scenario, save_scenario
from sim.search.determinism import digests
from sim.verdict import Report, to_json
from sim.virtual.event_loop import rest_collector

__all__ = ["replay", "run"]


class _How(Struct, frozen=True, kw_only=True):
    """How to run a scenario, and what to print."""

    reports: Path
    as_json: bool
    quiet: bool
    page: bool
    world: WorldName
    compare: bool
    debug: str = ""


def run(
    file: Annotated[Path, Parameter(help="A topology, as YAML.")],
    *,
    seed: Annotated[int | None, Parameter(help="Draw the storms of that seed again.")] = None,
    examples: Annotated[int | None, Parameter(help="How many storms, instead of the file's number.")] = None,
    duration: Annotated[float | None, Parameter(help="Seconds of session, instead of the file's.")] = None,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    page: Page = True,
    storm: Annotated[bool, Parameter(negative="--no-storm", help="Play storms after the session.")] = True,
    virtual: Virtual = False,
    stand_ins: StandIns = False,
    check_determinism: Compare = False,
    debug: Debug = "",
    save: Annotated[Path | None, Parameter(help="Write the scenario to a file, and run nothing.")] = None,
) -> int:
    """Rehearse the lab that FILE describes."""
    try:
        topology = _with_duration(load(file), duration)
    except TopologyError as error:
        return refuse(str(error))
    if examples is not None and examples < 0:
        return refuse(f"--examples {examples}: the number of storms must be 0 or more")
    draw = 0 if not storm else topology.storm.examples if examples is None else examples
    scenario = Scenario(topology=topology, seed=random.randrange(100_000) if seed is None else seed, draw=draw)
    scenario = _emulated(scenario) if stand_ins else scenario
    scenario = replace(scenario, signals=scenario.signals and not debug)  # they raise in programs on purpose
    if save is not None:
        return _save(scenario, save)
    world: WorldName = "virtual" if virtual else "processes"
    how = _How(reports=report, as_json=as_json, quiet=quiet, page=page, world=world, compare=check_determinism)
    return _run(scenario, replace(how, debug=debug))


def replay(
    file: Annotated[Path, Parameter(help="A scenario, as a rehearsal writes it beside its report.")],
    *,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    page: Page = True,
    virtual: Virtual = False,
    stand_ins: StandIns = False,
    check_determinism: Compare = False,
) -> int:
    """Run a scenario from a file again, on a fresh lab."""
    if is_kept_find(file):
        return replay_find(file, report=report)
    try:
        scenario = load_scenario(file)
    except FileNotFoundError:
        return refuse(f"{file}: there is no such file")
    except OSError as error:
        return refuse(f"{file}: it cannot be read: {error.strerror}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refuse(f"{file}: this is no scenario that a rehearsal wrote: {error}")
    scenario = _emulated(scenario) if stand_ins else scenario
    world: WorldName = "virtual" if virtual else "processes"
    how = _How(reports=report, as_json=as_json, quiet=quiet, page=page, world=world, compare=check_determinism)
    return _run(scenario, how)


def _with_duration(topology: Topology, duration: float | None) -> Topology:
    if duration is None:
        return topology
    shorter = lasting(topology, duration)
    for fault in (fault for fault in topology.faults if fault not in shorter.faults):
        sys.stderr.write(f"left out, since the session ends before: {describe(fault)}\n")
    return shorter


def _emulated(scenario: Scenario) -> Scenario:
    """The scenario, with an emulated program in place of each of the lab's own."""
    return replace(scenario, topology=without_programs(scenario.topology))


def _save(scenario: Scenario, path: Path) -> int:
    try:
        save_scenario(scenario, path)
    except OSError as error:
        return refuse(f"{path}: it cannot be written: {error.strerror}")
    sys.stdout.write(f"{path}: seed {scenario.seed}; run it with: python -m sim replay {path}\n")
    return 0


def _run(scenario: Scenario, how: _How) -> int:
    machines = [machine.id for machine in scenario.topology.machines]
    if how.debug and (how.debug not in machines or how.world == "virtual"):
        is_known = how.debug in machines
        why = "programs run as processes only, without --virtual" if is_known else f"there is {', '.join(machines)}"
        return refuse(f"--debug {how.debug}: {why}")
    if how.compare and how.world == "processes":
        return refuse("--check-determinism: only runs in virtual time are the same every time; add --virtual")
    if (lacking := refusal(how.world, scenario.topology)) is not None:
        has_own = any(machine.program for machine in scenario.topology.machines)
        instead = "; with --stand-ins ours take their place" if has_own else ""
        return refuse(f"{scenario.topology.path}: {lacking}{instead}")
    return _compare(scenario) if how.compare else _rehearse(scenario, how)


def _compare(scenario: Scenario) -> int:
    """Run it twice, and print the digests of both runs and whether they are the same."""
    one, other = digests(scenario)
    sys.stdout.write(f"{one}\n{other}\n{'the same' if one == other else 'NOT THE SAME'}\n")
    return 0 if one == other else 1


def _rehearse(scenario: Scenario, how: _How) -> int:
    console = Console(quiet=how.quiet or how.as_json, highlight=False)
    folder = new_folder(how.reports, scenario.topology.name)
    if folder is None:
        return refuse(f"{how.reports}: reports cannot be written there")
    _print_lab(console, scenario, how.world)
    if how.world == "virtual":
        rest_collector()
    with showing_progress(console, moving=not how.debug) as show:
        report = rehearse(scenario, folder, world=how.world, say=show, debug=how.debug)
    with uninterrupted():
        written = _write(report, folder, how)
    if how.as_json:
        sys.stdout.buffer.write(to_json(report) + b"\n")
    else:
        print_report(console, report, written)
        print_verdict(report.verdict, report.sentence)
    return EXIT[report.verdict]


def _print_lab(console: Console, scenario: Scenario, world: WorldName) -> None:
    topology = scenario.topology
    console.print(tree_of(topology))
    where = "virtual time" if world == "virtual" else f"{2 * len(topology.machines)} processes"
    console.print(f"{topology.name}  {len(topology.machines)} machines  {where}  seed {scenario.seed}")
    undone = left_out(actions(topology, seed=scenario.seed)) if world == "processes" else []
    told = [*shared_subjects(topology), *load_warnings(topology)]
    for warning in [*told, *(f"left out here: {what}" for what in undone)]:
        console.print(escaped(warning), style="yellow", soft_wrap=True)


def _write(report: Report, folder: Path, how: _How) -> Path:
    """Write the report, and point `latest` to it. Returns the path of the file to open."""
    from sim.report.render import point_latest, write

    written = write(report, folder, page=how.page)
    with contextlib.suppress(OSError):  # a file system without links has no `latest`
        point_latest(how.reports, folder)
    return written
