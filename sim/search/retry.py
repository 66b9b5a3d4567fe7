"""Plays a storm that failed again on fresh labs, up to five times, and shrinks it only if it fails each time.

Runs on processes are not deterministic. A storm may have failed once because the machine was overloaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sim.checks.result import many
from sim.scenario import Example, Flow, Op, Send
from sim.scenario.payloads import Payload
from sim.storms import Failure, Stormed, play_storm
from sim.world import LabError, World

__all__ = ["RetryResult", "confirm_and_shrink"]

TRIES = 5


class RetryResult(Struct):
    """What came of playing a failed storm again."""

    example: Example  # the smallest that failed
    failed: int = 0  # how often the storm failed again, of the times it was `tried`
    tried: int = 0
    sentence: str = ""
    shown: Stormed | None = None  # the outcome of `example`, the last time that it failed


def confirm_and_shrink(
    failure: Failure, fresh: Callable[[int], World], *, seed: int, seconds: float, said: Callable[[str], Any]
) -> RetryResult:
    """Play a failed storm on fresh labs. If it fails every time, search for a smaller one, for `seconds` in all.

    `fresh` makes a lab, not yet started, for the try of that number. `said` is called with each step, in words.
    """
    deadline = time.monotonic() + seconds
    retry = RetryResult(example=failure.example)
    trials = _FreshLabs(fresh, seed)
    while retry.tried < TRIES and time.monotonic() < deadline:
        said(f"a storm failed; playing it again on a fresh lab, {retry.tried + 1} of {TRIES}")
        retry.failed += trials.fails(failure.example)
        retry.tried += 1
    if retry.tried and retry.failed == retry.tried:
        for smaller in _shrink(failure.example, trials.fails, deadline):
            retry.example = smaller
            said(f"it still fails with {many(len(smaller.ops), 'step')}")
    retry.shown = trials.shown
    was, now = len(failure.example.ops), len(retry.example.ops)
    shrunk = f"; shrunk from {was} steps to {now}" if now < was else ""
    retry.sentence = f"failed again {retry.failed} of {retry.tried} times on a fresh lab{shrunk}"
    if not retry.tried:
        retry.sentence = "was not played again on a fresh lab: storm.shrink_s is 0"
    return retry


class _FreshLabs:
    """Plays storms, each on a new lab."""

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
    """Smaller and smaller examples that still fail: first with fewer operations, then with simpler ones."""
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
