"""Storms are drawn and played until one fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.scenario import Example, Flow, Op
from sim.search.draw_storms import draw_storms
from sim.storms import Failure, play_storm
from sim.world import LabError
from tests.sim.search.played_lab import LAB, PlayedLab


@pytest.fixture
def lab(tmp_path: Path) -> PlayedLab:
    return PlayedLab(LAB, seed=1, folder=tmp_path / "lab")


@pytest.fixture
def draw(lab: PlayedLab) -> Callable[..., tuple[dict[int, Example], Failure | None]]:
    """Draw storms over the lab."""

    def draw(count: int = 8, *, seed: int = 1) -> tuple[dict[int, Example], Failure | None]:
        told: dict[int, Example] = {}
        before = len(lab.played)

        def play(number: int, example: Example) -> Failure | None:
            told[number] = example
            stormed = play_storm(lab, example, number, seed)  # type: ignore[arg-type]
            if stormed.settled and not stormed.broke:
                return None
            return Failure(number=number, example=example, broke=stormed.broke, settled=stormed.settled)

        try:
            failure = draw_storms(LAB, play, seed=seed, count=count)
        finally:
            assert list(told) == list(range(len(lab.played) - before)), "each is told as it begins"
        return told, failure

    return draw


def test_the_asked_number_of_storms_is_played(lab: PlayedLab, draw: Any) -> None:
    played, failure = draw(8)
    assert failure is None
    assert list(played) == list(range(8))
    assert list(played.values()) == lab.played


def test_storms_differ_and_the_same_seed_draws_them_again(lab: PlayedLab, draw: Any) -> None:
    one, again, other = (list(draw(8, seed=seed)[0].values()) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one)) > 5


def test_no_storm_is_drawn_if_none_was_asked_for(lab: PlayedLab, draw: Any) -> None:
    assert draw(0) == ({}, None)
    assert lab.played == []


def test_the_first_storm_that_breaks_something_ends_it_and_is_not_played_again(lab: PlayedLab, draw: Any) -> None:
    """The lab is bent by then: whatever it did on a second try would say nothing."""
    lab.breaks = lambda op: isinstance(op, Flow) and op.items > 2
    played, failure = draw(100)
    assert failure is not None
    assert 0 < len(lab.played) < 100
    assert lab.played == list(played.values())
    assert (failure.number, failure.example, failure.settled) == (len(played) - 1, lab.played[-1], True)
    assert all("items missing at" in broken.text for broken in failure.broke)


def test_a_storm_that_does_not_settle_ends_the_drawing(lab: PlayedLab, draw: Any) -> None:
    lab.settles = False
    played, failure = draw()
    assert failure == Failure(number=0, example=played[0], broke=[], settled=False)
    assert len(lab.played) == 1


def test_a_storm_in_which_a_process_died_has_not_settled(lab: PlayedLab, draw: Any) -> None:
    lab.died = ["_rig_1"]
    assert draw()[1].settled is False


def test_a_lab_that_falls_in_a_storm_is_not_stormed_again(lab: PlayedLab, draw: Any) -> None:
    def falls(op: Op) -> bool:
        raise LabError("the station rig_1 does not answer a bare zmq peer")

    lab.breaks = falls
    with pytest.raises(LabError, match="rig_1 does not answer"):
        draw()
    assert len(lab.played) == 1


def test_a_lab_that_falls_once_is_not_stormed_again(lab: PlayedLab, draw: Any) -> None:
    """Hypothesis tries again what raised, and calls it flaky if it then does not."""

    def falls(op: Op) -> bool:
        if len(lab.played) == 3:
            raise LabError("the station rig_1 does not answer a bare zmq peer")
        return False

    lab.breaks = falls
    with pytest.raises(LabError, match="rig_1 does not answer"):
        draw()
    assert len(lab.played) == 3


def test_an_interrupt_ends_the_drawing_at_once(lab: PlayedLab, draw: Any) -> None:
    def interrupts(op: Op) -> bool:
        raise KeyboardInterrupt

    lab.breaks = interrupts
    with pytest.raises(KeyboardInterrupt):
        draw()
    assert len(lab.played) == 1
