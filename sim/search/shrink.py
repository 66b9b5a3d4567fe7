"""Makes a scenario that fails smaller, as long as it fails. The search is greedy and deterministic.

It first takes away whole steps: the session, storms, messages, faults. Then it takes away machines and what they do,
and then it simplifies the rest. The single reductions are in `reductions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from sim.evidence.violation import Violation
from sim.scenario import Bounds, Example, Flow, Op, Scenario, Send, Twice
from sim.scenario.payloads import Payload
from sim.search.reductions import (
    calmer,
    fewer_machines,
    names_several,
    plain_faults,
    simpler_faults,
    simpler_ops,
    simpler_times,
)

__all__ = ["alike", "kinds", "shrink", "steps"]

Fails = Callable[[Scenario], bool]
WHOLE_STORM = 4  # a fault that strikes several machines weighs as much as four plain ones


def steps(scenario: Scenario) -> int:
    """The steps of a scenario: operations of storms, faults, and the session, if one is played."""
    ops = sum(len(example.ops) for example in scenario.examples)
    return ops + len(scenario.topology.faults) + scenario.session


def kinds(broke: list[Violation]) -> list[str]:
    """The names of the checks that failed, each once."""
    return list(dict.fromkeys(violation.check for violation in broke))


def alike(run: Callable[[Scenario], list[Violation]], broke: list[Violation]) -> Fails:
    """A function that says whether a scenario fails the check that failed first: else one bug would pass for another.
    """
    first = kinds(broke)[0]
    return lambda scenario: first in kinds(run(scenario))


def shrink(scenario: Scenario, fails: Fails, *, enough: Callable[[], bool] = lambda: False) -> Scenario:
    """The smallest scenario that was found to fail. `fails(scenario)` must hold. Once `enough`, it tries no more."""
    search = _Search(scenario, fails, enough)
    while search.goes_on(_PASSES):
        pass
    return search.best


class _Search:
    """The smallest scenario so far, and all that have been tried."""

    def __init__(self, scenario: Scenario, fails: Fails, enough: Callable[[], bool]) -> None:
        self.best = scenario
        self._fails = fails
        self._enough = enough
        self._tried = {_encoded(scenario)}

    def goes_on(self, passes: tuple[Callable[[Scenario], Iterator[Scenario]], ...]) -> bool:
        """Make one round of all passes; whether another one may find something smaller."""
        before = self.best
        for candidates in passes:
            while self._descends(candidates(self.best)):
                pass
        for number in range(len(self.best.topology.faults)):
            self._thin(number)
        return self.best is not before and not self._enough()

    def _descends(self, candidates: Iterator[Scenario]) -> bool:
        return any(_weight(one) < _weight(self.best) and self._takes(one) for one in candidates)

    def _takes(self, candidate: Scenario) -> bool:
        if not self._still_fails(candidate):
            return False
        self.best = candidate
        return True

    def _still_fails(self, candidate: Scenario) -> bool:
        encoded = _encoded(candidate)
        if self._enough() or encoded in self._tried:
            return False
        self._tried.add(encoded)
        return self._fails(candidate)

    def _thin(self, number: int) -> None:
        """Replace a fault that strikes several machines by a few plain faults, if they are enough and weigh less."""
        faults = self.best.topology.faults
        if number >= len(faults) or not names_several(faults[number]):
            return
        plain = plain_faults(self.best, number)
        before, after = faults[:number], faults[number + 1 :]

        def with_plain(some: tuple[Any, ...]) -> Scenario:
            topology = replace(self.best.topology, faults=(*before, *some, *after))
            return replace(self.best, topology=topology)

        if not plain or not self._still_fails(with_plain(plain)):
            return
        going = True
        while going:
            shorter = next((some for some in without_some(plain) if self._still_fails(with_plain(some))), None)
            going, plain = shorter is not None, plain if shorter is None else shorter
        if _weight(with_plain(plain)) < _weight(self.best):
            self.best = with_plain(plain)


def _encoded(scenario: Scenario) -> bytes:
    return msgspec.json.encode(scenario)


def _weight(scenario: Scenario) -> tuple[float, ...]:
    """What the search makes smaller, the most important first."""
    topology = scenario.topology
    storms = sum(WHOLE_STORM - 1 for fault in topology.faults if names_several(fault))
    does = sum(
        len(m.streams) + len(m.subjects) + len(m.task) + m.durable + (m.trials is not None) + (m.link is not None)
        for m in topology.machines
    ) + (scenario.bounds != Bounds())
    sent = sum(_effort(op) for example in scenario.examples for op in example.ops)
    own = len(msgspec.json.encode([topology.session, topology.faults, topology.machines, scenario.examples]))
    times = sum(fault.at_s or 0.0 for fault in topology.faults) + sum(e.at_s or 0.0 for e in scenario.examples)
    return (steps(scenario) + storms, len(topology.machines), does, sent, own, times, scenario.seed)


def _effort(op: Op) -> float:
    """How much an operation sends, and how unusual it is. A message weighs less than any stream."""
    odd = 0.5 * (getattr(op, "payload", Payload()) != Payload())
    if isinstance(op, Send):
        timed = (op.takes_ms > 0) + (op.expires_s > 0)
        return op.burst + odd + 0.1 * len(op.hops) + 0.1 * (not op.sought) + 0.1 * timed
    if isinstance(op, Flow):
        return 10 + op.items + odd + 0.1 * op.batch
    return op.times + 0.1 * (not op.numbered) if isinstance(op, Twice) else 1


def without_some(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """`items` without a half, a quarter, …, a single one of them; the largest parts go first."""
    size = len(items) // 2 or len(items)
    while size:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size :]
        size //= 2


# -- passes: each offers smaller scenarios, the largest steps first --------------------------------------------------


def _no_session(scenario: Scenario) -> Iterator[Scenario]:
    if scenario.session:
        yield replace(scenario, session=False)


def _fewer_storms(scenario: Scenario) -> Iterator[Scenario]:
    for examples in without_some(scenario.examples):
        yield replace(scenario, examples=examples)


def _fewer_ops(scenario: Scenario) -> Iterator[Scenario]:
    for number, example in enumerate(scenario.examples):
        for ops in without_some(example.ops):
            if ops:
                yield _with_ops(scenario, number, ops)


def _one_storm(scenario: Scenario) -> Iterator[Scenario]:
    """Two storms as one, at the time of either."""
    for number, example in enumerate(scenario.examples[1:], 1):
        first = scenario.examples[0]
        rest = tuple(one for n, one in enumerate(scenario.examples[1:], 1) if n != number)
        for at_s in (first.at_s, example.at_s):
            yield replace(scenario, examples=(Example(ops=first.ops + example.ops, at_s=at_s), *rest))


def _fewer_faults(scenario: Scenario) -> Iterator[Scenario]:
    for faults in without_some(scenario.topology.faults):
        yield replace(scenario, topology=replace(scenario.topology, faults=faults))


def _simpler_ops(scenario: Scenario) -> Iterator[Scenario]:
    for number, example in enumerate(scenario.examples):
        for n, op in enumerate(example.ops):
            for simpler in simpler_ops(op):
                yield _with_ops(scenario, number, (*example.ops[:n], simpler, *example.ops[n + 1 :]))


def _plain_bounds(scenario: Scenario) -> Iterator[Scenario]:
    yield replace(scenario, bounds=Bounds())


def _least_seed(scenario: Scenario) -> Iterator[Scenario]:
    yield replace(scenario, seed=0)


def _with_ops(scenario: Scenario, number: int, ops: tuple[Op, ...]) -> Scenario:
    examples = list(scenario.examples)
    examples[number] = replace(examples[number], ops=ops)
    return replace(scenario, examples=tuple(examples))


_PASSES: tuple[Callable[[Scenario], Iterator[Scenario]], ...] = (
    _no_session,
    _fewer_storms,
    _fewer_faults,
    _fewer_ops,
    fewer_machines,
    calmer,
    _plain_bounds,
    _one_storm,
    _simpler_ops,
    simpler_faults,
    simpler_times,
    _least_seed,
)
