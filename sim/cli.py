"""The command line: `python -m sim FILE`, `replay`, `import`, `schema`. What is said to a person, and the exit code."""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars
from rich.table import Table
from rich.tree import Tree

from sim.emulator.bandwidth import load_warnings
from sim.faults.compile import actions
from sim.faults.describe import describe
from sim.lab.topology import Topology, TopologyError, lasting, load, schema
from sim.migrate.convert import ImportRefusedError, import_lab, write_new
from sim.phases import Progress
from sim.processes.start_up import uninterrupted
from sim.rehearse import EXIT, WorldName, left_out, refusal, rehearse
from sim.scenario import Scenario, load_scenario, save_scenario
from sim.search.determinism import digests
from sim.verdict import Report, to_json
from sim.virtual.event_loop import rest_collector

__all__ = ["main"]

HELP = """Rehearse a lab: every station of a topology as a real process.

For example:
    python -m sim topologies/lab.yaml              the whole rehearsal
    python -m sim topologies/lab.yaml --seed 7     the same storms again
    python -m sim topologies/lab.yaml --no-storm --quiet
    python -m sim topologies/lab.yaml --json | jq .verdict
    python -m sim topologies/badday.yaml --virtual in virtual time, in a second
    python -m sim topologies/lab.yaml --save lab.json
    python -m sim replay lab.json                  what was saved, or failed
    python -m sim hunt topologies/lab.yaml --for 5m
    python -m sim import pilot_db.json --output my.yaml

A session is played, storms are thrown, faults strike if the topology has some,
and what held and what broke is told, in the terminal and in a report.

Exit code: 0 it held · 1 something broke · 2 the file or the command is wrong ·
3 it did not settle · 130 Ctrl-C.
"""
HELP_IMPORT = """Make a topology of the files of an Autopilot lab.

For example:
    python -m sim import pilot_db.json                      on the screen
    python -m sim import pilot_db.json --output my.yaml     into a file
    python -m sim import pilot_db.json *.prefs.json --prefs terminal.json

Children are seldom in a pilot_db. Without prefs of their own they are made
from the CHILDID of their parents. What the prefs of a machine say goes before
what the pilot_db says of it. Comments in the topology mark what is a guess,
what does not fit, and which machines have no place in it. What does not fit
is told here too, on stderr.

Exit code: 0 imported · 1 imported, but look at what is told · 2 refused, and
nothing was written.
"""
HELP_HUNT = """Look for what breaks something: labs, storms and faults, drawn together.

For example:
    python -m sim hunt topologies/lab.yaml --for 5m         on every core
    python -m sim hunt topologies/lab.yaml --for 5m --seed 7
    python -m sim replay reports/hunt-lab-…/regression.json --virtual

Half of the scenarios are over small parts of the lab, half over labs that are
drawn too. The first that fails is made as small as can be, tried on real
processes, and written down. The same seed and number of jobs draw the same.

Exit code: 0 nothing found · 1 found · 2 wrong file or command · 130 Ctrl-C.
"""
MARK = {"pass": "[green]✓[/]", "fail": "[bold red]✗[/]", "unknown": "[yellow]?[/]"}
COLOUR = {"held": "green", "broke": "bold red", "unsettled": "yellow", "interrupted": "yellow"}

app = App(
    name="python -m sim",
    help=HELP,
    help_format="plaintext",
    version_flags=[],
    suppress_keyboard_interrupt=False,  # `main` tells it
)

Quiet = Annotated[bool, Parameter(negative="", help="Say nothing but the last line.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the report as JSON, and nothing else.")]
Virtual = Annotated[bool, Parameter(negative="", help="In virtual time: no process and no socket, always the same.")]
Twice = Annotated[
    bool, Parameter(negative="", help="With --virtual: run it twice, and only say whether both runs were the same.")
]
Reports = Annotated[Path, Parameter(name="--report", help="The folder that reports are written to.")]


@app.default
def run(
    file: Annotated[Path, Parameter(help="A topology, as YAML.")],
    *,
    seed: Annotated[int | None, Parameter(help="Draw the storms of that run again.")] = None,
    examples: Annotated[int | None, Parameter(help="How many storms, instead of the file's.")] = None,
    duration: Annotated[float | None, Parameter(help="Seconds of session, instead of the file's.")] = None,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    storm: Annotated[bool, Parameter(negative="--no-storm", help="Play storms after the session.")] = True,
    virtual: Virtual = False,
    check_determinism: Twice = False,
    save: Annotated[Path | None, Parameter(help="Write the scenario to a file, and run nothing.")] = None,
) -> int:
    """Rehearse the lab that FILE describes."""
    try:
        topology = _with(load(file), duration)
    except TopologyError as error:
        return _refuse(str(error))
    if examples is not None and examples < 0:
        return _refuse(f"--examples {examples}: a number of storms is 0 or more")
    draw = 0 if not storm else topology.storm.examples if examples is None else examples
    scenario = Scenario(topology=topology, seed=random.randrange(100_000) if seed is None else seed, draw=draw)
    if save is not None:
        return _save(scenario, save)
    world: WorldName = "virtual" if virtual else "processes"
    return _run(scenario, report, world=world, twice=check_determinism, as_json=as_json, quiet=quiet)


@app.command
def replay(
    file: Annotated[Path, Parameter(help="A scenario, as a rehearsal writes it beside its report.")],
    *,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    virtual: Virtual = False,
    check_determinism: Twice = False,
) -> int:
    """Run a scenario from a file again: what failed, on a fresh lab."""
    try:
        scenario = load_scenario(file)
    except FileNotFoundError:
        return _refuse(f"{file}: there is no such file")
    except OSError as error:
        return _refuse(f"{file}: it cannot be read: {error.strerror}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _refuse(f"{file}: no scenario that a rehearsal wrote: {error}")
    world: WorldName = "virtual" if virtual else "processes"
    return _run(scenario, report, world=world, twice=check_determinism, as_json=as_json, quiet=quiet)


@app.command(name="import", help=HELP_IMPORT)
def import_autopilot(
    pilot_db: Annotated[Path, Parameter(help="The file in which an Autopilot terminal keeps its pilots.")],
    *machines: Annotated[Path, Parameter(help="The prefs of single machines: ID.prefs.json, or with NAME.")],
    prefs: Annotated[Path | None, Parameter(help="The terminal's own prefs.")] = None,
    output: Annotated[Path | None, Parameter(help="The topology to write, instead of to the screen.")] = None,
    force: Annotated[bool, Parameter(negative="", help="Write over a file that is there.")] = False,
) -> int:
    """Make a topology of the files of an Autopilot lab."""
    try:
        imported = import_lab(pilot_db, terminal=prefs, machines=machines)
        if output is not None:
            sources = (pilot_db, *machines, *((prefs,) if prefs is not None else ()))
            write_new(imported.text, output, force=force, sources=sources)
    except ImportRefusedError as error:
        return _refuse(str(error))
    for finding in imported.findings:
        sys.stderr.write(finding + "\n")
    if output is None:
        sys.stdout.buffer.write(imported.text.encode())
    else:
        counts = [(len(imported.placed), "placed"), (len(imported.unplaced), "not placed")]
        counts.append((len(imported.findings), "to look at"))
        said = f"{output}: {', '.join(f'{count} {what}' for count, what in counts)}\n"
        sys.stdout.buffer.write(said.encode(errors="backslashreplace"))
    return 1 if imported.findings else 0


@app.command(name="hunt", help=HELP_HUNT)
def hunt_for(
    file: Annotated[Path, Parameter(help="A topology, as YAML.")],
    *,
    duration: Annotated[str, Parameter(name="--for", help="How long: 90s, 5m, 1h.")] = "5m",
    seed: Annotated[int | None, Parameter(help="Draw the scenarios of that hunt again.")] = None,
    jobs: Annotated[int | None, Parameter(help="How many look at once, instead of one a core.")] = None,
    report: Reports = Path("reports"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    confirm: Annotated[bool, Parameter(negative="--no-confirm", help="Try what is found on processes.")] = True,
) -> int:
    """Hunt in virtual time."""
    from sim.search.hunt import hunt
    from sim.search.hunt_progress import seconds_of, show, showing

    seconds = seconds_of(duration)
    try:
        topology = load(file)
    except TopologyError as error:
        return _refuse(str(error))
    if seconds is None:
        return _refuse(f"--for {duration}: a time above 0, such as 90s, 5m or 1h")
    if jobs is not None and jobs < 1:
        return _refuse(f"--jobs {jobs}: at least one has to look")
    folder = _folder(report, f"hunt-{topology.name}")
    if folder is None:
        return _refuse(f"{report}: reports cannot be written there")
    console = Console(quiet=quiet or as_json, highlight=False)
    seed = random.randrange(100_000) if seed is None else seed
    with showing(console) as say:
        hunted = hunt(topology, seed=seed, seconds=seconds, folder=folder, jobs=jobs, confirm=confirm, say=say)
    with contextlib.suppress(OSError):  # nothing was found, and nothing is kept
        folder.rmdir()
    page = None if hunted.smallest is None else _picture_of(hunted.smallest, folder)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(hunted) + b"\n")
        return EXIT[hunted.verdict]
    show(console, hunted, page)
    sentence = f"{hunted.verdict.upper()}: {hunted.sentence}"
    Console(highlight=False).print(_plain(sentence), style=COLOUR[hunted.verdict], soft_wrap=True)
    return EXIT[hunted.verdict]


def _picture_of(smallest: Scenario, folder: Path) -> Path:
    """The report of what a hunt found, with its picture: it is played once more."""
    from sim.report.render import write

    report = rehearse(smallest, folder / "smallest", world="virtual", say=lambda _: None)
    return write(report, folder / "smallest")


@app.command(name="schema")
def print_schema() -> int:
    """Print the JSON Schema of a topology, for editors."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    return 0


def main() -> None:
    """Run, and exit with the code that says how it went."""
    try:
        code = app(result_action="return_value", exit_on_error=False, print_error=True)
    except KeyboardInterrupt:  # before there was anything to tell
        sys.stderr.write("INTERRUPTED: nothing was played by then\n")
        code = EXIT["interrupted"]
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            sys.exit(2)  # it has said what is wrong with the command
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _run(
    scenario: Scenario, reports: Path, *, world: WorldName, twice: bool, as_json: bool, quiet: bool
) -> int:
    if twice and world == "processes":
        return _refuse("--check-determinism: only runs in virtual time are the same every time; add --virtual")
    if (why := refusal(world, scenario.topology)) is not None:
        return _refuse(f"{scenario.topology.path}: {why}")
    if twice:
        return _compare(scenario)
    return _rehearse(scenario, reports, world=world, as_json=as_json, quiet=quiet)


def _compare(scenario: Scenario) -> int:
    """Run it twice, and say by their hashes whether both runs were the same."""
    one, other = digests(scenario)
    sys.stdout.write(f"{one}\n{other}\n{'the same' if one == other else 'NOT THE SAME'}\n")
    return 0 if one == other else 1


def _save(scenario: Scenario, path: Path) -> int:
    try:
        save_scenario(scenario, path)
    except OSError as error:
        return _refuse(f"{path}: it cannot be written: {error.strerror}")
    sys.stdout.write(f"{path}: seed {scenario.seed}; run it with: python -m sim replay {path}\n")
    return 0


def _rehearse(scenario: Scenario, reports: Path, *, world: WorldName, as_json: bool, quiet: bool) -> int:
    console = Console(quiet=quiet or as_json, highlight=False)
    folder = _folder(reports, scenario.topology.name)
    if folder is None:
        return _refuse(f"{reports}: reports cannot be written there")
    topology = scenario.topology
    console.print(_tree(topology))
    where = "virtual time" if world == "virtual" else f"{2 * len(topology.machines)} processes"
    console.print(f"{topology.name}  {len(topology.machines)} machines  {where}  seed {scenario.seed}")
    undone = left_out(actions(topology, seed=scenario.seed)) if world == "processes" else []
    for warning in [*load_warnings(topology), *(f"left out here: {what}" for what in undone)]:
        console.print(_plain(warning), style="yellow", soft_wrap=True)
    if world == "virtual":
        rest_collector()
    with _progress(console) as say:
        report = rehearse(scenario, folder, world=world, say=say)
    with uninterrupted():
        page = _write(report, folder, reports)
    if as_json:
        sys.stdout.buffer.write(to_json(report) + b"\n")
        return EXIT[report.verdict]
    _show(console, report, page)
    _last_line(report)
    return EXIT[report.verdict]


def _write(report: Report, folder: Path, reports: Path) -> Path:
    from sim.report.render import point_latest, write

    page = write(report, folder)
    with contextlib.suppress(OSError):  # a file system without links has no latest
        point_latest(reports, folder)
    return page


def _folder(reports: Path, lab: str) -> Path | None:
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', lab)}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(100):
        folder = reports / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not reports.is_dir():
                return None
            continue
        except OSError:
            return None
        return folder
    return None


def _with(topology: Topology, duration: float | None) -> Topology:
    if duration is None:
        return topology
    shorter = lasting(topology, duration)
    for fault in (fault for fault in topology.faults if fault not in shorter.faults):
        sys.stderr.write(f"left out, since the session ends before: {describe(fault)}\n")
    return shorter


def _refuse(sentence: str) -> int:
    sys.stderr.write(sentence.rstrip() + "\n")
    return 2


def _tree(topology: Topology) -> Tree:
    nodes: dict[str, Tree] = {}
    for machine in topology.machines:
        what = ", ".join([*(machine.streams or ()), *(["trials"] if machine.trials else [])])
        own = f" [cyan]{machine.program}[/]" if machine.program else ""
        label = f"[bold]{machine.id}[/]{f' [dim]{machine.kind}[/]' if machine.kind else ''}{own} [dim]{what}[/]"
        nodes[machine.id] = Tree(label) if machine.parent is None else nodes[machine.parent].add(label)
    return nodes[topology.terminal.id]


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """Shows what is going on, on a terminal; a line a phase elsewhere."""
    if not console.is_terminal:
        yield lambda told: console.print(_phase(told)) if told.ended else None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with ProgressBars(*columns, console=console, transient=True) as bars:
        task: TaskID = bars.add_task("starting", total=None)

        def say(told: Progress) -> None:
            if told.ended:
                bars.console.print(_phase(told))
            else:
                total = None if told.share is None else 1.0
                bars.update(task, description=f"{told.phase} {told.note}", total=total, completed=told.share or 0.0)

        yield say


def _phase(told: Progress) -> str:
    return f"{MARK['pass' if told.ok else 'fail']} {told.phase} {told.note}".rstrip()


def _show(console: Console, report: Report, page: Path) -> None:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "CHECK", "LOOKED AT", "RESULT"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        first = check.violations[0] if check.violations else check.figures
        more = f" (and {len(check.violations) - 1} more)" if len(check.violations) > 1 else ""
        table.add_row(MARK[check.result], check.name, check.looked_at, _plain(f"{check.result}  {first}{more}"))
    console.print(table)
    for exception in report.exceptions:
        console.print(_plain(exception), style="red")
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


def _last_line(report: Report) -> None:
    console = Console(highlight=False)
    console.print(_plain(report.sentence), style=COLOUR[report.verdict], soft_wrap=True)


def _plain(text: str) -> str:
    """Text of users is not markup."""
    return text.replace("[", "\\[")
