"""Visits every situation of a small lab once, until one breaks a promise or there are no more.

It goes deep first. A situation that comes again on its own way is a circle: nothing that may still go wrong was spent
in it, and nothing was settled, so that it goes on for ever, although everything gets its turn.

Where nothing more may go wrong, steps of different stations do not disturb one another: each takes what it gets from
the front of a queue, and puts what it sends at the end of another. So where every queue to a station holds something,
nothing that others do can come before its next step, and it is enough to try the steps of that station.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from sim.exhaustive import promises
from sim.exhaustive.canonical import key_of
from sim.exhaustive.play import after, begin
from sim.exhaustive.promises import BrokenPromiseError
from sim.exhaustive.situation import Situation, SmallStep, is_calm, steps_from
from sim.exhaustive.small_labs import SmallLab

__all__ = ["Explored", "SmallFind", "explore", "reduced"]

DEEPEST = 500  # steps of one run
SAY_EVERY = 500


class SmallFind(Struct):
    """Steps that break a promise."""

    check: str
    text: str
    number: int  # of the message that it is about; 0: of none
    steps: list[SmallStep]


class Explored(Struct):
    """What came of exploring a small lab."""

    states: int = 0
    steps: int = 0
    ends: int = 0  # situations in which nothing is left to do
    is_whole: bool = True  # whether all of it was visited
    found: SmallFind | None = None


class _Branch(Struct):
    """A situation on the present way, and the steps from it that were not taken yet."""

    at: Situation
    key: bytes
    left: list[SmallStep]
    by: SmallStep | None


def explore(
    lab: SmallLab,
    *,
    until: float = float("inf"),
    say: Callable[[Explored], Any] = lambda _: None,
    into: Explored | None = None,
) -> Explored:
    """Visit everything, or what can be visited `until` that time of `time.monotonic`.

    Pass `into` to keep the counts of a search that Ctrl-C ends.
    """
    result = Explored() if into is None else into
    _Exploration(lab, result, until, say).run()
    return result


class _Exploration:
    def __init__(self, lab: SmallLab, result: Explored, until: float, say: Callable[[Explored], Any]) -> None:
        self.lab = lab
        self.result = result
        self.until = until
        self.say = say
        self.way: list[_Branch] = []
        self.on_way: set[bytes] = set()
        self.seen: set[bytes] = set()

    def run(self) -> None:
        """Visit all, until something breaks or the time is up."""
        try:
            self._enter(begin(self.lab), None)
        except BrokenPromiseError as broken:
            self.result.found = SmallFind(broken.check, str(broken), broken.number, [])
        while self.way and self.result.found is None:
            branch = self.way[-1]
            if not branch.left:
                self.on_way.discard(self.way.pop().key)
                continue
            self._take(branch, branch.left.pop())
            if self.result.steps % SAY_EVERY == 0:
                self.say(self.result)
                if time.monotonic() >= self.until:
                    self.result.is_whole = False
                    return

    def _take(self, branch: _Branch, step: SmallStep) -> None:
        self.result.steps += 1
        try:
            self._enter(after(self.lab, branch.at, step), step)
        except BrokenPromiseError as broken:
            self._find(broken, step)

    def _enter(self, at: Situation, by: SmallStep | None) -> None:
        key = key_of(at)
        if key in self.on_way or len(self.way) > DEEPEST:
            raise promises.endless(at)
        if key in self.seen:
            return
        self.seen.add(key)
        self.result.states += 1
        steps = reduced(self.lab, at)
        if promises.is_over(self.lab, at):
            self.result.ends += 1
            steps = [step for step in steps if step.what != "timer"]
        self.on_way.add(key)
        self.way.append(_Branch(at, key, steps[::-1], by))

    def _find(self, broken: BrokenPromiseError, last: SmallStep) -> None:
        steps = [branch.by for branch in self.way if branch.by is not None]
        self.result.found = SmallFind(broken.check, str(broken), broken.number, [*steps, last])


def reduced(lab: SmallLab, at: Situation) -> list[SmallStep]:
    """The steps that have to be tried: all, or those of one station, if nothing can come before them."""
    steps = steps_from(lab, at)
    if at.faults or at.early or is_calm(lab, at):
        return steps
    for name in lab.parents:
        if _gets_all_it_can(lab, at, name):
            own = [step for step in steps if _actor(lab, step) == name]
            if own:
                return own
    return steps


def _gets_all_it_can(lab: SmallLab, at: Situation, name: str) -> bool:
    """Whether every queue to a station holds something, so that others cannot change what may come to it next."""
    from_above = name not in at.cables or bool(at.cables[name].down) or not at.cables[name].is_up
    below = [at.cables[child] for child, parent in lab.parents.items() if parent == name]
    return from_above and all(cable.up for cable in below)


def _actor(lab: SmallLab, step: SmallStep) -> str:
    """The station at which a step happens."""
    return str(lab.parents[step.where]) if step.way == "up" else step.where
