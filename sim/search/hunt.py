"""A hunt draws scenarios and runs them in virtual time until one fails. That one is shrunk, tried on processes, and
kept.

Half of the scenarios use small parts of the given lab, half use labs that are drawn too. What a worker process draws
depends only on the seed and on the worker's number. So a seed repeats a hunt exactly. Only when it stops depends on the
clock.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sim.checks.result import many
from sim.coverage.table import Coverage, coverage_of
from sim.coverage.tally import Tally
from sim.evidence.violation import Violation
from sim.lab.names import in_plain_words
from sim.lab.seeds import seed_of
from sim.lab.topology import Topology
from sim.scenario import Scenario, save_scenario
from sim.scenario.classics import classics
from sim.search.draw import draws
from sim.search.shrink import alike, kinds, shrink, steps
from sim.search.strategies import parts, scenarios, topologies
from sim.search.trial import only_virtual, run_on_processes, run_virtually
from sim.virtual.event_loop import rest_collector

__all__ = ["FailingScenario", "HuntResult", "HuntProgress", "drawn", "hunt", "played"]

Run = Callable[[Scenario, Tally], list[Violation]]  # plays a scenario, and adds what it went through to the tally

MACHINES = 5  # at most in one scenario: small labs show as much as large ones, and sooner
ROUND = 10  # scenarios that are drawn together: see `draws`
TRIES = 5  # runs on processes of what was found
REPORT_S = 0.2  # how often a worker reports its progress
SHRINK_S = 60.0


class FailingScenario(Struct, kw_only=True):
    """A scenario that failed."""

    worker: int
    number: int  # of the worker's scenarios, from 0
    scenario: Scenario
    broke: list[Violation]


class HuntResult(Struct, kw_only=True):
    """The result of a hunt."""

    lab: str
    seed: int
    jobs: int
    verdict: Literal["held", "broke", "interrupted"]
    sentence: str
    played: int  # scenarios
    took_s: float
    found: FailingScenario | None = None
    smallest: Scenario | None = None
    steps: int = 0  # of the smallest
    broke: list[str] = []  # what the smallest breaks
    processes: str = ""  # whether it fails on processes too, in words
    replay: str = ""  # the command that runs the smallest again
    coverage: Coverage = Coverage()  # what the scenarios went through, and what they never did


class HuntProgress(Struct):
    """How far a hunt is."""

    phase: Literal["hunting", "shrinking", "on processes"]
    played: int  # scenarios
    per_minute: float
    left_s: float
    note: str = ""


def hunt(
    topology: Topology,
    *,
    seed: int,
    seconds: float,
    folder: Path,
    jobs: int | None = None,
    confirm: bool = True,
    shrink_s: float = SHRINK_S,
    tries: int = TRIES,
    run: Run = run_virtually,
    say: Callable[[HuntProgress], Any] = lambda _: None,
) -> HuntResult:
    """Hunt for so many seconds, or until a scenario fails. That one is shrunk, and written into `folder`.

    With more than one job there are as many worker processes; then `run` must be picklable. What is found is run on
    processes at most `tries` times, if `confirm`. Ctrl-C ends the hunt; it returns what it has found by then.
    """
    jobs = jobs or os.cpu_count() or 1
    state = _Hunt(topology, seed, seconds, jobs, run, say)
    try:
        found = state.search()
        if found is None:
            return state.result("held", f"{many(state.played, 'scenario')}, nothing found")
        return _follow_up(state, found, folder, tries=tries if confirm else 0, shrink_s=shrink_s)
    except KeyboardInterrupt:
        return state.result("interrupted", f"interrupted after {many(state.played, 'scenario')}, nothing found by then")


def played(topology: Topology, *, seed: int, worker: int, jobs: int) -> Iterator[Scenario]:
    """The scenarios that one of `jobs` workers plays, without end: its share of the classics, and then drawn ones."""
    yield from itertools.islice(classics().values(), worker, None, jobs)
    yield from drawn(topology, seed=seed, worker=worker)


def drawn(topology: Topology, *, seed: int, worker: int) -> Iterator[Scenario]:
    """The scenarios that one worker draws, without end."""
    over_parts = scenarios(parts(topology, max_machines=MACHINES))
    from_nothing = scenarios(topologies(max_machines=MACHINES))
    for number in itertools.count():
        several = draws(over_parts if number % 2 else from_nothing, seed=seed_of(seed, worker, number), count=ROUND)
        yield from several if number < 2 else several[1:]  # hypothesis draws the smallest scenario first in each round


class _Hunt:
    """The search for a scenario that fails, and its progress."""

    def __init__(
        self, topology: Topology, seed: int, seconds: float, jobs: int, run: Run, say: Callable[[HuntProgress], Any]
    ) -> None:
        self.topology = topology
        self.seed = seed
        self.seconds = seconds
        self.jobs = jobs
        self.run = run
        self.played = 0
        self.tally = Tally()
        self._say = say
        self._begun = time.monotonic()
        self._end = self._begun + seconds
        self._searched_s = 0.0

    def search(self) -> FailingScenario | None:
        """Search until a scenario fails, or the time is up."""
        found = self._alone() if self.jobs == 1 else self._together()
        self._searched_s = time.monotonic() - self._begun
        return found

    def say(self, phase: Literal["hunting", "shrinking", "on processes"] = "hunting", note: str = "") -> None:
        """Report the progress."""
        now = time.monotonic()
        rate = 60 * self.played / max(self._searched_s or now - self._begun, 1e-3)
        self._say(HuntProgress(phase, self.played, rate, max(0.0, self._end - now), note))

    def result(self, verdict: Literal["held", "broke", "interrupted"], sentence: str, **facts: Any) -> HuntResult:
        """The result, with more of its fields in `facts`."""
        return HuntResult(
            lab=self.topology.name,
            seed=self.seed,
            jobs=self.jobs,
            verdict=verdict,
            sentence=sentence,
            played=self.played,
            took_s=round(time.monotonic() - self._begun, 1),
            coverage=coverage_of(self.tally),
            **facts,
        )

    def _alone(self) -> FailingScenario | None:
        for number, scenario in enumerate(played(self.topology, seed=self.seed, worker=0, jobs=1)):
            if time.monotonic() >= self._end:
                break
            broke = self.run(scenario, self.tally)
            self.played += 1
            if broke:
                return FailingScenario(worker=0, number=number, scenario=scenario, broke=broke)
            self.say()
        return None

    def _together(self) -> FailingScenario | None:
        """Search in as many processes as there are jobs. The first find is taken."""
        context = multiprocessing.get_context("spawn")
        workers: dict[Connection, BaseProcess] = {}
        counts: dict[Connection, int] = {}
        try:
            for number in range(self.jobs):
                ours, theirs = context.Pipe()
                args = (theirs, self.topology, self.seed, number, self.jobs, self.run)
                worker: BaseProcess = context.Process(target=_work, args=args, daemon=True)
                worker.start()
                theirs.close()
                workers[ours], counts[ours] = worker, 0
            for pipe in workers:  # the time that workers take to start does not count
                self._receive(workers, pipe)
            self._begun = time.monotonic()
            self._end = self._begun + self.seconds
            return self._await_find(workers, counts)
        finally:
            for one in workers.values():
                one.kill()
            for one in workers.values():
                one.join()

    def _await_find(
        self, workers: dict[Connection, BaseProcess], counts: dict[Connection, int]
    ) -> FailingScenario | None:
        while (left_s := self._end - time.monotonic()) > 0:
            for pipe in wait(list(workers), timeout=min(left_s, REPORT_S)):
                assert isinstance(pipe, Connection)  # noqa: S101  # nothing else was waited for
                counts[pipe], found = self._receive(workers, pipe)
                self.played = sum(counts.values())
                if found is not None:
                    return msgspec.json.decode(found, type=FailingScenario)
            self.say()
        return None

    def _receive(self, workers: dict[Connection, BaseProcess], pipe: Connection) -> tuple[int, bytes | None]:
        """How many scenarios a worker has played, and what it has found, as JSON."""
        try:
            played, found, tally = pipe.recv()
        except EOFError:
            number = list(workers).index(pipe)
            raise RuntimeError(f"worker process {number} of the hunt ended unexpectedly") from None
        self.tally.merge(tally)
        return played, found


def _work(pipe: Connection, topology: Topology, seed: int, worker: int, jobs: int, run: Run) -> None:
    """A worker process: plays the scenarios that it draws, until one fails or it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and then kills the workers
    rest_collector()
    pipe.send((0, None, Tally()))  # ready
    tally = Tally()  # since the last report
    reported_at = 0.0  # the first scenario is told at once
    for number, scenario in enumerate(played(topology, seed=seed, worker=worker, jobs=jobs)):
        broke = run(scenario, tally)
        if broke:
            found = FailingScenario(worker=worker, number=number, scenario=scenario, broke=broke)
            pipe.send((number + 1, msgspec.json.encode(found), tally))
            pipe.poll(None)  # wait to be killed
            return
        if time.monotonic() - reported_at > REPORT_S:
            reported_at = time.monotonic()
            pipe.send((number + 1, None, tally))
            tally = Tally()


# -- what was found --------------------------------------------------------------------------------------------------


def _follow_up(state: _Hunt, found: FailingScenario, folder: Path, *, tries: int, shrink_s: float) -> HuntResult:
    """Shrink what was found, keep it, and try it on processes. Ctrl-C ends the shrinking; the smallest so far stays."""
    smallest, broke = found.scenario, found.broke
    interrupted = False
    try:
        smallest, interrupted = _shrunk(state, found, shrink_s)
        broke = state.run(smallest, Tally()) or found.broke
    except KeyboardInterrupt:
        interrupted = True
    told = [in_plain_words(str(violation)) for violation in broke]
    kept = replace(smallest, why="; ".join(told[:3]))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "regression.json"
    save_scenario(kept, path)
    processes = "not tried on processes"
    if tries and not interrupted:
        processes = _confirmed(state, kept, kinds(broke)[0], folder, tries)
    was, now = steps(found.scenario), steps(kept)
    sentence = f"{told[0]} (worker {found.worker}, scenario {found.number}; {was} steps, shrunk to {now}; {processes})"
    return state.result(
        "broke",
        sentence,
        found=found,
        smallest=kept,
        steps=now,
        broke=told,
        processes=processes,
        replay=f"python -m sim replay {path} --virtual",
    )


def _shrunk(state: _Hunt, found: FailingScenario, shrink_s: float) -> tuple[Scenario, bool]:
    """The smallest scenario that was found in time, and whether Ctrl-C ended the search."""
    end = time.monotonic() + shrink_s
    fails = alike(lambda scenario: state.run(scenario, Tally()), found.broke)
    least = steps(found.scenario)
    interrupted = False

    def still_fails(scenario: Scenario) -> bool:
        nonlocal least, interrupted
        try:
            state.say("shrinking", f"{many(least, 'step')}: {found.broke[0]}")
            failed = fails(scenario)
        except KeyboardInterrupt:
            interrupted = True
            return False
        least = min(least, steps(scenario)) if failed else least
        return failed

    smallest = shrink(found.scenario, still_fails, enough=lambda: interrupted or time.monotonic() > end)
    return smallest, interrupted


def _confirmed(state: _Hunt, scenario: Scenario, kind: str, folder: Path, tries: int) -> str:
    """Whether it fails on processes too, in words. It is tried several times, since processes are not deterministic."""
    hidden = only_virtual(scenario)
    if hidden:
        return f"in virtual time only: there is no {' and no '.join(hidden)} on processes"
    for number in range(tries):
        state.say("on processes", f"{number + 1} of {tries}")
        try:
            broke = run_on_processes(scenario, folder / f"processes-{number}")
        except KeyboardInterrupt:
            return "interrupted while it was tried on processes"
        if kind in kinds(broke):
            return f"on processes too, at try {number + 1}"
        if broke:
            return f"on processes, at try {number + 1}, it breaks something else: {broke[0]}"
    return f"in virtual time only: it held on processes {many(tries, 'time')}"
