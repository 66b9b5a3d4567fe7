"""One rehearsal from a scenario to a report: up, handshakes, the session, storms, a crash, the checks, down.

Whatever happens, Ctrl-C included, the lab goes down and a report of what there was is made.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from sim.checks import check_all, trial_rows
from sim.clockchecks import clock_rows
from sim.diagram import Diagram
from sim.evidence import Evidence, Index
from sim.journal import Reader
from sim.lamport import diagram_of
from sim.processes import Lab, LabError, preload, uninterrupted
from sim.sampler import Sampler
from sim.scenario import Crash, Example, Flow, Scenario, Send, save_scenario
from sim.storm import Failure, Retrial, confirm_and_shrink, draw_storms, play_storm
from sim.streamchecks import stream_rows
from sim.summary import advice_for, latencies, link_rows, machine_rows, rates, sentence_for, timeline
from sim.topology import Topology
from sim.verdict import Check, Report

__all__ = ["EXIT", "Phase", "Told", "rehearse"]

EXIT = {"held": 0, "broke": 1, "unsettled": 3, "interrupted": 130}
PACKAGES = ("pyzmq", "numpy", "blosc", "msgspec", "hypothesis", "networkx", "bokeh")
NOT_PROVEN = [
    "real wifi and real switches: every link here is loopback",
    "the timing of a Pi: its pins, its card, its one slow core",
    "what happens when a cable is cut or a machine loses power in the middle of a session",
]
Verdict = Literal["held", "broke", "unsettled", "interrupted"]
Phase = Literal["up", "handshakes", "session", "storms", "crash", "retrial", "checks"]


class Told(Struct):
    """What is going on, for whoever shows it."""

    phase: Phase
    note: str = ""
    share: float | None = None  # of the phase that is done, 0 to 1
    ended: bool = False
    ok: bool = True


class _Run(Struct):
    """What a run has come to so far."""

    played: dict[int, Example] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    expected: dict[str, object] = field(default_factory=dict)
    failure: Failure | None = None
    retrial: Retrial | None = None
    up_s: float | None = None
    fell: str = ""  # why the lab did not come up, or fell
    interrupted: bool = False


def rehearse(scenario: Scenario, folder: Path, *, draw: int, say: Callable[[Told], None]) -> Report:
    """Run `scenario`; `draw` storms are drawn if it brings none. Where something broke, writes `smallest.json`."""
    preload()
    folder.mkdir(parents=True, exist_ok=True)
    started, begun = datetime.now().astimezone(), time.monotonic()
    run = _Run()
    lab = Lab(scenario.topology, seed=scenario.seed, folder=folder)
    sampler = Sampler(lambda: lab.processes)
    reader = Reader(folder / "journal")
    try:
        with lab:
            sampler.start()
            _Conduct(scenario, lab, reader, run, say, folder).all(draw)
    except KeyboardInterrupt:
        run.interrupted = True
    except LabError as error:
        run.fell = str(error)
    finally:
        sampler.stop()
    with uninterrupted():
        reader.more()
    if run.failure is not None and not run.interrupted:
        _try_again(scenario, run, folder, say)
    say(Told("checks"))
    with uninterrupted():
        report = _report(scenario, lab, reader, run, sampler, folder)
    report.started, report.took_s = started.isoformat(timespec="seconds"), round(time.monotonic() - begun, 1)
    return report


class _Conduct:
    """The phases that need the lab."""

    def __init__(
        self, scenario: Scenario, lab: Lab, reader: Reader, run: _Run, say: Callable[[Told], None], folder: Path
    ) -> None:
        self.scenario = scenario
        self.lab = lab
        self.reader = reader
        self.run = run
        self.say = say
        self.folder = folder

    def all(self, draw: int) -> None:
        """One after the other; storms only over a lab that settled."""
        self._up()
        if self.scenario.session:
            self._session()
        if not self.run.unsettled and not self.lab.died:
            self._storms(draw)

    def _up(self) -> None:
        begun = time.monotonic()
        self.say(Told("up"))
        self.lab.start()
        self.say(Told("up", f"{time.monotonic() - begun:.1f} s", ended=True))
        self.say(Told("handshakes"))
        missing = self.lab.await_handshakes()
        self.run.up_s = round(time.monotonic() - begun, 2)
        total = len(self.lab.topology.machines) - 1
        self.run.unsettled += [f"whether {name} will ever shake hands" for name in missing]
        self.say(Told("handshakes", f"{total - len(missing)}/{total}", ended=True, ok=not missing))

    def _session(self) -> None:
        self.say(Told("session", "playing"))
        if not self.lab.play():
            self.run.unsettled.append("how the session ends: it did not come to its end")
        left = self.lab.settle("session")
        self.run.unsettled += [f"what became of {what}" for what in left]
        self.say(Told("session", "settling"))
        self.lab.ask()
        self.run.unsettled += [f"what became of {what}" for what in self.lab.settle("proof") if what not in left]
        self.run.expected = self.lab.expected()
        self.say(Told("session", ended=True, ok=not self.run.unsettled))

    def _storms(self, draw: int) -> None:
        own = self.scenario.examples
        count = len(own) or draw
        if not count:
            return
        self.say(Told("storms", f"0/{count}", 0.0))

        def said(number: int, example: Example) -> None:
            note = f"{number + 1}/{count} · {_size(example)} messages"
            self.run.played[number] = example  # now: the lab may fall in it
            self.say(Told("storms", note, number / count))

        if own:
            self._play(own, said)
        else:
            _, self.run.failure = draw_storms(
                self.lab, self.reader, seed=self.scenario.seed, count=draw, home=self.folder / "hypothesis", said=said
            )
        self.say(Told("storms", f"{len(self.run.played)}", ended=True, ok=self.run.failure is None))
        if not own and self.run.failure is None:
            self._crash(len(self.run.played))

    def _play(self, examples: tuple[Example, ...], said: Callable[[int, Example], None]) -> None:
        for number, example in enumerate(examples):
            said(number, example)
            broke, settled = play_storm(self.lab, self.reader, example, number, self.scenario.seed)
            if not settled:
                self.run.unsettled.append(f"what became of storm {number}")
            if broke or not settled:
                return

    def _crash(self, number: int) -> None:
        """Kill a station in a handler and start it again: what it was handling must be handled in its next life."""
        topology = self.lab.topology
        if not topology.pilots:
            return
        victim = topology.pilots[0].id
        self.say(Told("crash", victim))
        example = Example(ops=(Crash(frm=topology.terminal.id, to=victim),))
        self.run.played[number] = example
        broke, settled = play_storm(self.lab, self.reader, example, number, self.scenario.seed)
        if not settled:
            self.run.unsettled.append(f"what became of the message that {victim} was killed in")
        self.say(Told("crash", victim, ended=True, ok=settled and not broke))


def _try_again(scenario: Scenario, run: _Run, folder: Path, say: Callable[[Told], None]) -> None:
    failure = run.failure
    if failure is None:
        return
    try:
        run.retrial = confirm_and_shrink(
            failure,
            scenario.topology,
            seed=scenario.seed,
            folder=folder / "retrials",
            seconds=scenario.topology.storm.shrink_s,
            said=lambda note: say(Told("retrial", note)),
        )
    except KeyboardInterrupt:
        run.interrupted = True


def _report(
    scenario: Scenario, lab: Lab, reader: Reader, run: _Run, sampler: Sampler, folder: Path
) -> Report:
    topology = scenario.topology
    evidence = Evidence(
        topology=topology,
        graph=lab.graph,
        seed=scenario.seed,
        journal=reader.journal,
        examples=run.played,
        session=scenario.session,
        unsettled=run.unsettled,
        expected=run.expected,
        died=lab.died,
    )
    evidence.journal.entries.sort(key=lambda entry: entry.t)
    evidence.journal.traces.sort(key=lambda trace: trace.t)
    index = Index(evidence)
    checks = check_all(evidence)
    checks += _up_check(run)
    verdict = _verdict(checks, run)
    exceptions = [f"{one['machine']}: {one['traceback'] or one['exception']}" for one in index.exceptions()]
    return Report(
        lab=topology.name,
        file=topology.path,
        seed=scenario.seed,
        started="",
        took_s=0.0,
        up_s=run.up_s,
        verdict=verdict,
        sentence=sentence_for(verdict, checks, machines=len(topology.machines)),
        advice=advice_for(verdict, checks, has_exception=bool(exceptions)),
        broke=[f"{check.name}: {what}" for check in checks if check.result == "fail" for what in check.violations[:3]],
        exceptions=exceptions,
        replay=_keep(scenario, run, folder) if verdict in ("broke", "unsettled") else None,
        versions=_versions(),
        platform=f"{platform.platform()}, Python {platform.python_version()}",
        machines=machine_rows(index, checks),
        checks=checks,
        latencies=latencies(index, sampler.overloaded()),
        clocks=clock_rows(index),
        rates=rates(evidence),
        timeline=timeline(evidence),
        links=link_rows(evidence),
        diagram=_picture(evidence, checks) if verdict in ("broke", "unsettled") else None,
        trials=trial_rows(index),
        streams=stream_rows(index),
        processes=sampler.rows(),
        cpu=sampler.cpu(),
        storm=_storm_sentence(run),
        not_proven=_not_proven(topology, run),
    )


def _picture(evidence: Evidence, checks: list[Check]) -> Diagram | None:
    """What went wrong; what broke before what is not known."""
    found = [check for result in ("fail", "unknown") for check in checks if check.result == result]
    return diagram_of(evidence, evidence.topology, [what for check in found for what in check.violations])


def _up_check(run: _Run) -> list[Check]:
    if not run.fell:
        return []
    return [Check(name="up", looked_at="the lab", count=1, result="fail", violations=[run.fell])]


def _verdict(checks: list[Check], run: _Run) -> Verdict:
    if run.interrupted:
        return "interrupted"
    if any(check.result == "fail" for check in checks):
        return "broke"
    is_open = run.unsettled or any(check.result == "unknown" for check in checks)
    return "unsettled" if is_open or (run.failure is not None and not run.failure.settled) else "held"


def _keep(scenario: Scenario, run: _Run, folder: Path) -> str:
    """Write down the smallest scenario that shows it, and say how to run it."""
    if run.failure is None:
        kept = replace(scenario, examples=tuple(run.played.values()))
    else:
        smallest = run.retrial.example if run.retrial else run.failure.example
        why = "; ".join(run.failure.broke[:3]) or "it did not settle"
        kept = replace(scenario, examples=(smallest,), session=False, why=why)
    save_scenario(kept, folder / "smallest.json")
    return f"python -m sim replay {folder / 'smallest.json'}"


def _storm_sentence(run: _Run) -> str:
    if not run.played:
        return "no storm was played"
    total = sum(_size(example) for example in run.played.values())
    again = f"; the one that failed: {run.retrial.sentence}" if run.retrial else ""
    return f"{len(run.played)} storms, {total:,} messages and items{again}"


def _size(example: Example) -> int:
    return sum(op.burst if isinstance(op, Send) else op.items if isinstance(op, Flow) else 1 for op in example.ops)


def _not_proven(topology: Topology, run: _Run) -> list[str]:
    own = [m for m in topology.machines if m.program and not run.expected.get(m.id)]
    silent = [f"not checked: what {machine.program} on {machine.id} sent" for machine in own]
    calm = [] if run.played else ["anything that storms would show: none was played"]
    return [*silent, *calm, *NOT_PROVEN]


def _versions() -> dict[str, str]:
    found = {"autopilot-net": _version("autopilot-net"), "Python": sys.version.split()[0]}
    return found | {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
