"""One rehearsal, from a scenario to a report, on processes or in virtual time.

It plays the scenario, plays a storm that failed again, judges the run, and makes the report. Whatever happens, also on
Ctrl-C, the lab is stopped and a report of the partial results is made.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from sim.checks.clocks import clock_rows
from sim.checks.expect.journeys import slowest_rows
from sim.checks.result import for_people
from sim.checks.session import trial_rows
from sim.checks.streams import stream_rows
from sim.diagram.build import diagram_of
from sim.diagram.model import Diagram
from sim.evidence.index import Evidence, Index
from sim.evidence.violation import Violation
from sim.faults.actions import Action
from sim.faults.describe import describe
from sim.lab.names import machine_of
from sim.lab.own_programs import not_found, not_run
from sim.lab.topology import Topology
from sim.phases import Conducted, Draw, Progress, conduct, judge
from sim.processes.faults import IMPOSSIBLE
from sim.processes.lab import Lab
from sim.processes.start_up import preload, uninterrupted
from sim.processes.usage import Sampler
from sim.processes.watch.meter import Meter
from sim.processes.watch.outputs import output_rows, own_frames_first
from sim.report.figures import advice_for, latencies, link_rows, machine_rows, rates, sentence_for, timeline
from sim.scenario import Scenario, save_scenario
from sim.scenario.assignments import size_of
from sim.search.retry import RetryResult, confirm_and_shrink
from sim.verdict import Check, Report
from sim.virtual.lab import VirtualLab
from sim.world import LabError, World

__all__ = ["EXIT", "left_out", "WorldName", "rehearse", "refusal", "world_of"]

EXIT = {"held": 0, "broke": 1, "unsettled": 3, "interrupted": 130}
PACKAGES = ("pyzmq", "numpy", "blosc", "msgspec", "hypothesis", "networkx", "bokeh")
NOT_PROVEN = {
    "processes": [
        "real wifi and real switches: every link here is loopback",
        "the timing of a Pi: its pins, its card, its one slow core",
    ],
    "virtual": [
        "sockets, threads and processes: in virtual time there are none",
        "real timing: all times are virtual",
    ],
}
UNHURT = "what happens when a cable is cut or a machine loses power in the middle of a session"
KILLED = "loss of power: what a killed process has written stays, and what a card had not yet written does not"
Verdict = Literal["held", "broke", "unsettled", "interrupted"]
WorldName = Literal["processes", "virtual"]


class _Run(Struct):
    """The results of a run so far."""

    conducted: Conducted
    retry: RetryResult | None = None
    interrupted: bool = False
    debug: str = ""  # the machine whose program is in our terminal


def world_of(name: WorldName, scenario: Scenario, folder: Path, *, debug: str = "") -> World:
    """A lab in the world of that name, not yet started. Raises `LabError` if that world cannot play it."""
    if name == "virtual":
        return VirtualLab(scenario.topology, seed=scenario.seed, bounds=scenario.bounds)
    preload()
    return Lab(scenario.topology, seed=scenario.seed, folder=folder, debug=debug)


def refusal(name: WorldName, topology: Topology) -> str | None:
    """Why the world of that name cannot play this lab; None if it can."""
    if name == "processes":
        lacking = not_found(topology)
        return f"what the lab has of its own is not found: {'; '.join(lacking)}" if lacking else None
    try:
        VirtualLab(topology, seed=0)
    except LabError as error:
        return str(error)
    return None


def rehearse(
    scenario: Scenario,
    folder: Path,
    *,
    world: WorldName = "processes",
    say: Callable[[Progress], Any],
    into: Conducted | None = None,
    debug: str = "",
) -> Report:
    """Run `scenario`, and return its report. If something broke, `smallest.json` is written into `folder`.

    `say` is called with each step of progress. The results are added to `into`. The program of `debug` is in front.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started, begun = datetime.now().astimezone(), time.monotonic()
    run = _Run(conducted=Conducted(scenario=scenario) if into is None else into, debug=debug)
    lab = world_of(world, scenario, folder, debug=debug)
    sampler = Sampler(lambda: lab.processes if isinstance(lab, Lab) else {})
    if world == "processes":
        sampler.start()
    try:
        draw = _draw(folder.parent / ".hypothesis") if scenario.draw else None
        meter = Meter(lambda: lab.processes) if isinstance(lab, Lab) else None
        conduct(lab, scenario, say=say, draw=draw, crash=meter is not None, into=run.conducted, meter=meter)
    except KeyboardInterrupt:
        run.interrupted = True
    finally:
        sampler.stop()
    took = time.monotonic() - begun - run.conducted.drawing_s
    _retry(scenario, run, folder, world, say)
    say(Progress("checks"))
    with uninterrupted():
        report = _report(scenario, run, sampler, folder)
    report.started, report.took_s = started.isoformat(timespec="seconds"), round(time.monotonic() - begun, 1)
    report.not_proven = [*_not_proven(world, scenario.topology, run.conducted), *_shared_clock(lab), *_debugged(debug)]
    if world == "virtual" and report.replay:
        report.replay += " --virtual"
    if isinstance(lab, VirtualLab):
        report.cpu, report.pace = None, _pace(lab, took)
    return report


def _draw(home: Path) -> Draw:
    """The function that draws storms. It is imported here: a run that draws none need not wait for hypothesis.

    hypothesis keeps at `home` what it has read in our sources. All runs of a reports folder share that.
    """
    from sim.search.draw_storms import draw_storms

    return partial(draw_storms, home=home)


def _retry(scenario: Scenario, run: _Run, folder: Path, world: WorldName, say: Callable[[Progress], Any]) -> None:
    failure = run.conducted.failure
    if failure is None or run.interrupted or run.debug:
        return

    def fresh(trial: int) -> World:
        place = folder / "retrials" / f"retrial-{trial}"
        return world_of(world, scenario, place)

    try:
        run.retry = confirm_and_shrink(
            failure,
            fresh,
            seed=scenario.seed,
            seconds=scenario.topology.storm.shrink_s,
            said=lambda note: say(Progress("retrial", note)),
        )
    except KeyboardInterrupt:
        run.interrupted = True


def _report(scenario: Scenario, run: _Run, sampler: Sampler, folder: Path) -> Report:
    topology = scenario.topology
    evidence = run.conducted.evidence(sampler.overloaded())
    index = Index(evidence)
    checks = list(map(for_people, judge(evidence)))
    is_told = run.conducted.died or any(wrong.is_cause for check in checks for wrong in check.broke)
    checks += [] if is_told else _up_check(run.conducted.fell)
    verdict = _verdict(checks, run)
    exceptions = _exceptions(index)
    return Report(
        lab=topology.name,
        file=topology.path,
        seed=scenario.seed,
        started="",
        took_s=0.0,
        up_s=run.conducted.up_s,
        verdict=verdict,
        sentence=sentence_for(verdict, checks, machines=len(topology.machines)),
        advice=advice_for(verdict, checks, has_exception=bool(exceptions)),
        broke=[str(violation) for check in checks for violation in check.broke[:3]],
        exceptions=exceptions,
        replay=_keep(scenario, run, folder) if verdict in ("broke", "unsettled") else None,
        versions=_versions(),
        platform=f"{platform.platform()}, Python {platform.python_version()}",
        machines=machine_rows(index, checks),
        checks=checks,
        latencies=latencies(index, evidence.busy),
        slowest=slowest_rows(index),
        clocks=clock_rows(index),
        rates=rates(evidence),
        timeline=timeline(evidence),
        links=link_rows(evidence),
        diagram=_picture(evidence, checks, run.retry) if verdict in ("broke", "unsettled") else None,
        trials=trial_rows(index),
        streams=stream_rows(index),
        outputs=output_rows(folder),
        processes=sampler.rows(),
        cpu=sampler.cpu(),
        storm=_storm_sentence(run),
    )


def _exceptions(index: Index) -> list[str]:
    """The tracebacks of programs, and the stacks of listens that hang, each under the id of its machine."""
    told = []
    for entry in index.evidence.journal.of("hangs"):
        stack = own_frames_first(entry.value["stack"])
        told.append(f"{machine_of(entry.by)}: {entry.key} hangs here\n{stack}{entry.key} has not returned\n")
    errors = index.exceptions()
    return [*told, *(f"{one['machine']}: {own_frames_first(one['traceback']) or one['exception']}" for one in errors)]



def _picture(evidence: Evidence, checks: list[Check], retry: RetryResult | None) -> Diagram | None:
    """The diagram of what went wrong: of the smallest storm that fails, or else of the violations of this run."""
    smallest = _smallest_picture(evidence, retry) if retry else None
    if smallest is not None:
        return smallest
    found = [wrong for check in checks for wrong in check.broke] + [
        doubt for check in checks for doubt in (*check.doubts, *check.follows)
    ]
    return diagram_of(evidence, evidence.topology, found) if found else None


def _smallest_picture(evidence: Evidence, retry: RetryResult) -> Diagram | None:
    """The diagram of the storm that failed, from its last failure on a fresh lab, where nothing else was played."""
    if retry.shown is None:
        return None
    diagram = diagram_of(retry.shown.journal, evidence.topology, retry.shown.broke)
    if diagram is not None:
        diagram.of = f"the storm that failed, on a fresh lab; it {retry.sentence}"
    return diagram


def _up_check(fell: str) -> list[Check]:
    if not fell:
        return []
    return [Check(name="up", looked_at="the lab", count=1, result="fail", broke=[Violation("up", (), (), fell)])]


def _verdict(checks: list[Check], run: _Run) -> Verdict:
    if run.interrupted:
        return "interrupted"
    if any(check.result == "fail" for check in checks):
        return "broke"
    failure = run.conducted.failure
    is_open = run.conducted.unsettled or any(check.result == "unknown" for check in checks)
    return "unsettled" if is_open or (failure is not None and not failure.settled) else "held"


def _keep(scenario: Scenario, run: _Run, folder: Path) -> str:
    """Save the smallest scenario that fails. Returns the command that runs it."""
    failure = run.conducted.failure
    if failure is None:
        kept = replace(scenario, examples=tuple(run.conducted.played.values()), draw=0)
    else:
        smallest = run.retry.example if run.retry else failure.example
        why = "; ".join(map(str, failure.broke[:3])) or "it did not settle"
        kept = replace(scenario, examples=(smallest,), draw=0, session=False, why=why)
    save_scenario(kept, folder / "smallest.json")
    return f"python -m sim replay {folder / 'smallest.json'}"


def _storm_sentence(run: _Run) -> str:
    played = run.conducted.played
    if not played:
        return "no storm was played"
    total = sum(map(size_of, played.values()))
    again = f"; the one that broke {run.retry.sentence}" if run.retry else ""
    return f"{len(played)} storms, {total:,} messages and items{again}"


def _pace(lab: VirtualLab, took: float) -> str:
    """How much virtual time a lab has played, and how fast, in words."""
    played, effects = lab.loop.now_us / 1e6, lab.journal.effects
    rate = effects / max(took, 1e-3)
    return f"virtual time: {played:,.0f} s in {took:,.1f} s, {effects:,} effects, {rate:,.0f} a second"


def _not_proven(world: WorldName, topology: Topology, run: Conducted) -> list[str]:
    own = [m for m in topology.machines if m.program and not run.expected.get(m.id)]
    silent = [f"not checked: what {machine.program} on {machine.id} sent" for machine in own]
    calm = [] if run.played else ["anything that storms would show: no storm was played"]
    undone = left_out(run.actions) if world == "processes" else []
    struck = {action.fault for action in run.actions}
    spared = [fault for n, fault in enumerate(topology.faults) if n not in struck]
    idle = [f"{describe(fault)}: by its probability, it did not happen" for fault in spared]
    verbs = {action.verb for action in run.actions}
    power = [KILLED] if "kill" in verbs else [] if "cut" in verbs else [UNHURT]
    return [*not_run(topology), *silent, *undone, *idle, *calm, *NOT_PROVEN[world], *power]


def _shared_clock(lab: World) -> list[str]:
    why = lab.clocks.why_shared if isinstance(lab, Lab) else ""
    return [f"clocks that differ: all machines share the clock of this one, since {why}"] if why else []


def _debugged(machine: str) -> list[str]:
    return [f"how long anything takes: {machine} was debugged"] if machine else []


def left_out(actions: Iterable[Action]) -> list[str]:
    """Which of these actions cannot be carried out on processes, in words."""
    where: dict[str, dict[str, None]] = {}
    for action in (action for action in actions if action.verb in IMPOSSIBLE):
        where.setdefault(f"{action.verb} of {action.key or 'messages'}", {})[action.target] = None
    reason = "TCP hides single losses; run it with --virtual"
    return [f"{what} on {', '.join(targets)}: {reason}" for what, targets in where.items()]


def _versions() -> dict[str, str]:
    found = {"autopilot-net": _version("autopilot-net"), "Python": sys.version.split()[0]}
    return found | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
