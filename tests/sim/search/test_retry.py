"""A storm that failed is played again on fresh labs, and shrunk if it fails every time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenario import Example, Flow, Op, Send, Twice
from sim.search.retry import RetryResult, _shrink, confirm_and_shrink
from sim.storms import Failure
from sim.world import LabError
from tests.sim.findings import violation
from tests.sim.search.played_lab import FLOW, LAB, OPAQUE, OPS, SEND, TWICE, PlayedLab


class FreshLabs:
    """Makes a lab for each trial, and remembers them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[PlayedLab] = []
        self.is_broken: Callable[[int, Op], bool] = lambda _, op: op == FLOW
        self.prepare: Callable[[PlayedLab], object] = lambda _: None

    def __call__(self, trial: int) -> Any:
        assert trial == len(self.made)
        folder = self.folder / str(trial)
        lab = PlayedLab(LAB, seed=1, folder=folder, breaks=lambda op: self.is_broken(trial, op))
        self.prepare(lab)
        self.made.append(lab)
        return lab


@pytest.fixture
def labs(tmp_path: Path) -> FreshLabs:
    return FreshLabs(tmp_path)


@pytest.fixture
def retry(labs: FreshLabs) -> Callable[..., tuple[RetryResult, list[str]]]:
    """Try a failed storm of one op of each kind again, and say what was told meanwhile."""

    def retry(seconds: float = 60.0) -> tuple[RetryResult, list[str]]:
        told: list[str] = []
        failure = Failure(number=3, example=Example(ops=OPS), broke=[violation("hops: it broke")], settled=True)
        retrial = confirm_and_shrink(failure, labs, seed=1, seconds=seconds, said=told.append)
        return retrial, told

    return retry


def test_a_storm_that_fails_every_time_is_shrunk_as_far_as_possible(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda _, op: isinstance(op, Flow)
    retry, told = retry()
    assert retry.example.ops == (Flow(frm="_cam", to="T", items=5, batch=2),)
    assert retry.sentence == "failed again 5 of 5 times on a fresh lab; shrunk from 4 steps to 1"
    assert told[:5] == [f"a storm failed; playing it again on a fresh lab, {n} of 5" for n in range(1, 6)]
    assert told[5:7] == ["it still fails with 2 steps", "it still fails with 1 step"]


def test_the_outcome_of_the_smallest_storm_is_kept(labs: FreshLabs, retry: Any) -> None:
    """Not of the last that was tried, if that held."""
    labs.is_broken = lambda _, op: isinstance(op, Flow)
    retrial, _ = retry()
    assert [broken.check for broken in retrial.shown.broke] == ["streams"]
    assert {entry.what for entry in retrial.shown.journal.entries} == {"item_made"}


def test_a_storm_that_never_failed_again_has_no_outcome(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda *_: False
    assert retry()[0].shown is None


def test_a_storm_that_fails_sometimes_is_reported_with_its_count(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda trial, op: op == FLOW and trial % 2 == 0
    retry, _ = retry()
    assert (retry.failed, retry.tried, retry.example.ops) == (3, 5, OPS)
    assert retry.sentence == "failed again 3 of 5 times on a fresh lab"
    assert len(labs.made) == 5, "nothing is shrunk that comes and goes"


def test_a_storm_that_cannot_be_shrunk_is_reported_as_it_was(labs: FreshLabs, retry: Any) -> None:
    labs.is_broken = lambda trial, op: op == TWICE and labs.made[trial].played[0].ops == OPS
    retry, _ = retry()
    assert retry.example.ops == OPS
    assert retry.sentence == "failed again 5 of 5 times on a fresh lab"


def test_no_lab_is_started_without_time(labs: FreshLabs, retry: Any) -> None:
    retry, told = retry(seconds=0.0)
    assert retry.sentence == "was not played again on a fresh lab: storm.shrink_s is 0"
    assert (labs.made, told, retry.example.ops) == ([], [], OPS)


def is_late(lab: PlayedLab) -> None:
    lab.settles = False


def is_silent(lab: PlayedLab) -> None:
    lab.missing = ["cam"]


def is_down(lab: PlayedLab) -> None:
    lab.start = falls  # type: ignore[method-assign]


def falls() -> None:
    raise LabError("not ready within 60 s: _cam")


@pytest.mark.parametrize("what", [is_late, is_silent, is_down])
def test_a_fresh_lab_that_does_not_settle_or_come_up_has_failed(
    labs: FreshLabs, retry: Any, what: Callable[[PlayedLab], object]
) -> None:
    labs.is_broken = lambda *_: False
    labs.prepare = what
    assert retry()[0].failed == 5


def test_each_retry_has_its_own_lab_and_stops_it(labs: FreshLabs, retry: Any) -> None:
    retry()
    assert len(labs.made) > 5
    assert not any(lab.is_up for lab in labs.made)


STEPS = [Twice(at="T", to="cam", times=2 + n) for n in range(12)]


def smallest(example: Example, fails: Callable[[Example], bool], *, deadline: float = math.inf) -> Example:
    *_, last = [example, *_shrink(example, fails, deadline)]
    return last


@given(st.integers(1, 12), st.data())
def test_shrinking_keeps_only_the_operations_that_are_needed_to_fail(size: int, data: st.DataObject) -> None:
    steps = STEPS[:size]
    culprits = data.draw(st.sets(st.sampled_from(steps), min_size=1))
    tried: Counter[Example] = Counter()

    def fails(example: Example) -> bool:
        tried[example] += 1
        return culprits <= set(example.ops)

    left = smallest(Example(ops=tuple(steps)), fails)
    assert left.ops == tuple(step for step in steps if step in culprits), "in the order they had"
    assert all(example.ops for example in tried), "a storm of nothing proves nothing"


@given(st.integers(0, 11))
def test_one_culprit_of_twelve_is_found_in_few_tries(culprit: int) -> None:
    tried = 0

    def fails(example: Example) -> bool:
        nonlocal tried
        tried += 1
        return STEPS[culprit] in example.ops

    assert smallest(Example(ops=tuple(STEPS)), fails).ops == (STEPS[culprit],)
    assert tried <= 12


def test_each_step_is_made_simpler_where_it_still_fails() -> None:
    plain = Send(frm="T", to="rig_1")
    assert smallest(Example(ops=OPS), lambda example: len(example.ops) == 4).ops == (
        plain,
        Flow(frm="_cam", to="T", items=5, batch=2),
        TWICE,
        OPAQUE,
    )
    assert smallest(Example(ops=OPS), lambda example: SEND in example.ops).ops == (SEND,)


def test_shrinking_ends_when_time_is_up() -> None:
    def fails(example: Example) -> bool:
        pytest.fail("there is no time to try anything")

    assert smallest(Example(ops=OPS), fails, deadline=0.0).ops == OPS
