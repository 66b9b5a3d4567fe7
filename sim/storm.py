"""Storms on a live lab: drawn by hypothesis, each settled and checked; what fails is tried again, and shrunk.

Process runs are not deterministic. So hypothesis only draws here: its own shrinking would run on a lab that a failure
has already bent. A storm that failed is played on fresh labs up to five times, and shrunk only if it fails each time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.configuration import set_hypothesis_home_dir
from msgspec import Struct
from msgspec.structs import replace

from sim.checks import check_storm
from sim.evidence import Evidence, many
from sim.journal import Journal, Reader
from sim.payloads import Payload
from sim.processes import Lab, LabError
from sim.scenario import Example, Flow, Op, Send
from sim.strategies import examples
from sim.topology import Topology

__all__ = ["Failure", "Retrial", "confirm_and_shrink", "draw_storms", "play_storm"]

TRIES = 5


class Failure(Struct):
    """A storm that did not hold."""

    number: int
    example: Example
    broke: list[str]  # what the checks said; empty if it only did not settle
    settled: bool


class Retrial(Struct):
    """What came of trying a failed storm again."""

    example: Example  # the smallest that failed
    failed: int = 0  # so many times
    tried: int = 0
    sentence: str = ""


class _StormBroke(Exception):
    """Ends hypothesis' run."""


def play_storm(lab: Lab, reader: Reader, example: Example, number: int, seed: int) -> tuple[list[str], bool]:
    """Play one storm: what it broke, and whether it settled."""
    settled = lab.storm(example, number)
    chunk = reader.more()
    evidence = Evidence(
        topology=lab.topology,
        graph=lab.graph,
        seed=seed,
        journal=Journal(entries=chunk.example(number), traces=chunk.traces),
        examples={number: example},
    )
    return check_storm(evidence), settled and not lab.died


def draw_storms(
    lab: Lab, reader: Reader, *, seed: int, count: int, home: Path, said: Callable[[int, Example], Any]
) -> tuple[dict[int, Example], Failure | None]:
    """Draw and play `count` storms; those that were played, by number, and the first that failed.

    What one raises, such as `LabError`, is raised after hypothesis has let go: it would try the same storm again.
    """
    set_hypothesis_home_dir(home)
    played: dict[int, Example] = {}
    ended: list[Failure | Exception] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=max(1, count),
        phases=[Phase.generate],
        database=None,  # what is kept is kept as a scenario, which outlives a version of hypothesis
        deadline=None,  # a storm takes as long as the lab takes
        suppress_health_check=list(HealthCheck),  # real processes are slow to draw for, and that is the point
        verbosity=Verbosity.quiet,
    )
    @given(examples(lab.topology))
    def storm(example: Example) -> None:
        if not ended and len(played) < count:
            number = len(played)
            played[number] = example
            said(number, example)
            try:
                broke, settled = play_storm(lab, reader, example, number, seed)
                if broke or not settled:
                    ended.append(Failure(number=number, example=example, broke=broke, settled=settled))
            except Exception as error:  # noqa: BLE001  # it is raised below
                ended.append(error)
        if ended:
            raise _StormBroke  # also when hypothesis runs it once more to see whether it is flaky: it is not asked

    with contextlib.suppress(_StormBroke):
        storm()
    end = ended[0] if ended else None
    if isinstance(end, Exception):
        raise end
    return played, end


def confirm_and_shrink(
    failure: Failure, topology: Topology, *, seed: int, folder: Path, seconds: float, said: Callable[[str], Any]
) -> Retrial:
    """Play a failed storm on fresh labs; if it fails every time, look for a smaller one that does, for `seconds`."""
    deadline = time.monotonic() + seconds
    retrial = Retrial(example=failure.example)
    fresh = _FreshLabs(topology, seed, folder)
    while retrial.tried < TRIES and time.monotonic() < deadline:
        said(f"a storm failed; trying it again on a fresh lab, {retrial.tried + 1} of {TRIES}")
        retrial.failed += fresh.fails(failure.example)
        retrial.tried += 1
    if retrial.tried and retrial.failed == retrial.tried:
        for smaller in _shrink(failure.example, fresh.fails, deadline):
            retrial.example = smaller
            said(f"it still fails with {many(len(smaller.ops), 'step')}")
    was, now = len(failure.example.ops), len(retrial.example.ops)
    shrunk = f"; shrunk from {was} steps to {now}" if now < was else ""
    retrial.sentence = f"seen {retrial.failed} of {retrial.tried} times again on a fresh lab{shrunk}"
    if not retrial.tried:
        retrial.sentence = "not tried again on a fresh lab: storm.shrink_s is 0"
    return retrial


class _FreshLabs:
    """A new lab for each trial."""

    def __init__(self, topology: Topology, seed: int, folder: Path) -> None:
        self._topology = topology
        self._seed = seed
        self._folder = folder
        self._count = 0

    def fails(self, example: Example) -> bool:
        """Whether `example` breaks something on a fresh lab. One that does not come up fails."""
        folder = self._folder / f"retrial-{self._count}"
        self._count += 1
        with Lab(self._topology, seed=self._seed, folder=folder) as lab:
            try:
                lab.start()
                if lab.await_handshakes():
                    return True
                broke, settled = play_storm(lab, Reader(folder / "journal"), example, 0, self._seed)
            except LabError:
                return True
        return bool(broke) or not settled


def _shrink(example: Example, fails: Callable[[Example], bool], deadline: float) -> Iterator[Example]:
    """Ever smaller examples that still fail: fewer steps first, then simpler ones."""
    best = example
    size = max(1, len(best.ops) // 2)
    while size:
        start = 0
        while start < len(best.ops) and time.monotonic() < deadline:
            rest = best.ops[:start] + best.ops[start + size :]
            if rest and fails(Example(ops=rest)):
                best = Example(ops=rest)
                yield best
            else:
                start += size
        size //= 2
    for n, op in enumerate(best.ops):
        simpler = _simpler(op)
        if simpler != op and time.monotonic() < deadline:
            ops = (*best.ops[:n], simpler, *best.ops[n + 1 :])
            if fails(Example(ops=ops)):
                best = Example(ops=ops)
                yield best


def _simpler(op: Op) -> Op:
    if isinstance(op, Send):
        return replace(op, payload=Payload(), burst=1)
    return replace(op, payload=Payload()) if isinstance(op, Flow) else op
