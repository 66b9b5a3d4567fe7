"""Steps are taken again, without those that cannot be."""

from __future__ import annotations

from sim.exhaustive.shorten import again
from sim.exhaustive.situation import SmallStep
from tests.sim.exhaustive.planted import ONE


def test_steps_that_break_nothing_find_nothing_and_impossible_ones_are_left_out() -> None:
    assert again(ONE, [SmallStep("handle", "T"), SmallStep("send", "rig"), SmallStep("restart", "T")]) is None
