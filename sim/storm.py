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

from sim.conduct import Failure, Stormed, play_storm
from sim.evidence.index import many
from sim.lab.topology import Topology
from sim.scenario import Example, Flow, Op, Send
from sim.scenario.payloads import Payload
from sim.strategies import examples
from sim.world import LabError, World

__all__ = ["Retrial", "confirm_and_shrink", "draw_storms"]

TRIES = 5


class Retrial(Struct):
    """What came of trying a failed storm again."""

    example: Example  # the smallest that failed
    failed: int = 0  # so many times
    tried: int = 0
    sentence: str = ""
    shown: Stormed | None = None  # what came of `example` the last time that it failed


class _StormBroke(Exception):
    """Ends hypothesis' run."""


def draw_storms(
    topology: Topology, play: Callable[[int, Example], Failure | None], *, seed: int, count: int, home: Path | None
) -> Failure | None:
    """Draw `count` storms, and `play` each with its number until one fails, which is returned.

    What one raises, such as `LabError`, is raised after hypothesis has let go: it would try the same storm again.
    """
    if home is not None:
        set_hypothesis_home_dir(home)
    played = 0
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
    @given(examples(topology))
    def storm(example: Example) -> None:
        nonlocal played
        if not ended and played < count:
            played += 1
            try:
                if (failure := play(played - 1, example)) is not None:
                    ended.append(failure)
            except Exception as error:  # noqa: BLE001  # it is raised below
                ended.append(error)
        if ended:
            raise _StormBroke  # also when hypothesis runs it once more to see whether it is flaky: it is not asked

    with contextlib.suppress(_StormBroke):
        storm()
    end = ended[0] if ended else None
    if isinstance(end, Exception):
        raise end
    return end


def confirm_and_shrink(
    failure: Failure, fresh: Callable[[int], World], *, seed: int, seconds: float, said: Callable[[str], Any]
) -> Retrial:
    """Play a failed storm on fresh labs; if it fails every time, look for a smaller one that does, for `seconds`.

    `fresh` makes a lab, not yet started, for the trial of a number.
    """
    deadline = time.monotonic() + seconds
    retrial = Retrial(example=failure.example)
    trials = _Trials(fresh, seed)
    while retrial.tried < TRIES and time.monotonic() < deadline:
        said(f"a storm failed; trying it again on a fresh lab, {retrial.tried + 1} of {TRIES}")
        retrial.failed += trials.fails(failure.example)
        retrial.tried += 1
    if retrial.tried and retrial.failed == retrial.tried:
        for smaller in _shrink(failure.example, trials.fails, deadline):
            retrial.example = smaller
            said(f"it still fails with {many(len(smaller.ops), 'step')}")
    retrial.shown = trials.shown
    was, now = len(failure.example.ops), len(retrial.example.ops)
    shrunk = f"; shrunk from {was} steps to {now}" if now < was else ""
    retrial.sentence = f"seen {retrial.failed} of {retrial.tried} times again on a fresh lab{shrunk}"
    if not retrial.tried:
        retrial.sentence = "not tried again on a fresh lab: storm.shrink_s is 0"
    return retrial


class _Trials:
    """A new lab for each trial."""

    def __init__(self, fresh: Callable[[int], World], seed: int) -> None:
        self._fresh = fresh
        self._seed = seed
        self._count = 0
        self.shown: Stormed | None = None  # the last one that failed

    def fails(self, example: Example) -> bool:
        """Whether `example` breaks something on a fresh lab. One that does not come up fails."""
        lab = self._fresh(self._count)
        self._count += 1
        try:
            lab.start()
            if lab.await_handshakes():
                return True
            lab.more()
            stormed = play_storm(lab, example, 0, self._seed)
        except LabError:
            return True
        finally:
            lab.stop()
        fails = bool(stormed.broke) or not stormed.settled
        self.shown = stormed if fails else self.shown
        return fails


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
