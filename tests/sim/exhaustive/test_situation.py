"""Which steps may be next."""

from __future__ import annotations

from msgspec.structs import replace

from sim.exhaustive.play import after, begin
from sim.exhaustive.situation import SmallStep, is_calm, steps_from
from tests.sim.exhaustive.planted import ONE


def test_at_first_the_message_may_be_sent_and_a_fault_may_happen() -> None:
    at = begin(ONE)
    assert [str(step) for step in steps_from(ONE, at)] == ["send rig", "break rig", "restart T", "restart rig"]
    assert not is_calm(ONE, at)


def test_what_is_under_way_may_arrive_be_lost_or_come_twice_and_no_timer_fires_early() -> None:
    at = after(ONE, begin(ONE), SmallStep("send", "rig"))
    told = [str(step) for step in steps_from(ONE, at)]
    assert told[:3] == ["deliver up rig", "drop up rig", "copy up rig"]
    assert "timer" not in told
    assert "timer" in [step.what for step in steps_from(ONE, replace(at, early=1))]
    assert [str(step) for step in steps_from(ONE, replace(at, faults=0))] == ["deliver up rig"]
