"""All of a small lab is visited: the core as it is keeps its promises, and each planted bug is found and made short."""

from __future__ import annotations

import time

import pytest

from sim.exhaustive.explore import Explored, explore, reduced
from sim.exhaustive.play import begin
from sim.exhaustive.shorten import again, shorten
from sim.exhaustive.situation import steps_from
from tests.sim.exhaustive.planted import BUGS, LABS, PAIR, plant, planting

__all__ = ["planting"]


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_the_core_as_it_is_keeps_its_promises_in_every_situation(lab) -> None:  # type: ignore[no-untyped-def]
    explored = explore(lab)
    assert explored.found is None
    assert explored.is_whole
    assert explored.states > explored.ends > 5


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_and_made_short(planting: pytest.MonkeyPatch, name: str) -> None:
    module, old, new, lab, promises = BUGS[name]
    plant(planting, module, old, new)
    found = explore(lab).found
    assert found is not None
    least = shorten(lab, found)
    assert least.check == found.check
    assert least.check in promises
    assert len(least.steps) <= min(len(found.steps), 30)
    assert again(lab, least.steps) == least


def test_a_search_whose_time_is_up_says_that_it_is_not_whole() -> None:
    explored = explore(PAIR, until=time.monotonic())
    assert not explored.is_whole
    assert explored.found is None


def test_what_need_not_be_tried_changes_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the reduction more situations are visited, and they end in the same ways."""
    with_it = explore(PAIR)
    monkeypatch.setattr("sim.exhaustive.explore.reduced", steps_from)
    without = explore(PAIR)
    assert (without.found, without.ends) == (None, with_it.ends)
    assert without.states > with_it.states


def test_while_something_may_go_wrong_every_step_is_tried() -> None:
    at = begin(PAIR)
    assert reduced(PAIR, at) == steps_from(PAIR, at)


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.exhaustive.explore.SAY_EVERY", 100)
    told: list[int] = []
    explored = explore(PAIR, say=lambda so_far: told.append(so_far.steps), into=Explored())
    assert told == list(range(100, explored.steps + 1, 100))
