"""Steps take a situation further: what is sent arrives, and what breaks, is lost and noticed."""

from __future__ import annotations

from sim.exhaustive.play import after, begin, fair_step
from sim.exhaustive.promises import unsettled
from sim.exhaustive.situation import Situation, SmallStep
from sim.exhaustive.small_labs import BOUNDS, SmallLab
from tests.sim.exhaustive.planted import DURABLE, ONE


def fairly(lab: SmallLab, at: Situation) -> Situation:
    while (step := fair_step(lab, at)) is not None:
        at = after(lab, at, step)
    return at


def taken(lab: SmallLab, *steps: str) -> Situation:
    at = begin(lab)
    for step in steps:
        what, *way, where = step.split()
        at = after(lab, at, SmallStep(what, where, *way))
    return at


def test_in_every_lab_all_is_confirmed_where_nothing_goes_wrong() -> None:
    for lab in (lab for labs in BOUNDS.values() for lab in labs):
        assert set(fairly(lab, begin(lab)).ledger.ends) == {"confirmed"}


def test_what_is_lost_is_sent_again_when_its_timer_fires() -> None:
    at = taken(ONE, "send rig", "drop up rig")
    ended = fairly(ONE, at)
    assert ended.ledger.ends == ("confirmed",)
    assert ended.now > at.now


def test_both_ends_notice_that_a_connection_broke_and_the_lower_one_connects_again() -> None:
    at = taken(ONE, "break rig")
    assert (at.cables["rig"].is_up, at.cables["rig"].is_broken) == (True, True)
    at = after(ONE, at, SmallStep("deliver", "rig", "down"))
    assert not at.cables["rig"].is_up
    ended = fairly(ONE, at)
    assert (ended.cables["rig"].conn, ended.cables["rig"].known) == (2, 2)


def test_the_death_of_a_sender_ends_what_it_sent_unless_it_is_durable() -> None:
    assert taken(ONE, "send rig", "restart rig").ledger.ends == ("its sender died",)
    durable = taken(DURABLE, "send rig", "restart rig")
    assert unsettled(durable) == [1]
    assert fairly(DURABLE, durable).ledger.ends == ("confirmed",)
