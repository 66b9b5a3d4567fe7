"""What a fault excuses, and what it does not: off its way, out of its time, or what it cannot have done."""

from __future__ import annotations

from collections.abc import Callable

from sim.evidence.journal import Entry
from sim.evidence.outages import Outages
from tests.sim.evidence.outage_words import outages
from tests.sim.journal_builder import Tale, small_lab

Plot = Callable[[Tale], object]


def test_a_link_that_was_cut_one_way_for_long_is_taken_for_deaf_and_costs_the_other_way_too() -> None:
    found = outages(Tale().struck("cut", "cam", since=1, until=9, end="heal", way="up"))
    assert found.on(["rig_1", "cam"]) == found.all


def test_a_link_that_is_held_one_way_while_its_connection_is_to_be_made_anew_costs_the_other_way_too() -> None:
    tale = Tale()
    tale.at(1).fault("reset", "cam")
    tale.struck("hold", "cam", since=1.5, until=3, end="release", way="down")
    assert [outage.verb for outage in outages(tale).on(["cam", "rig_1"])] == ["reset", "hold"]
    calm = outages(Tale().struck("hold", "cam", since=1.5, until=3, end="release", way="down"))
    assert calm.on(["cam", "rig_1"]) == []


def test_the_kill_that_a_storm_on_a_calm_lab_asks_for_excuses_nothing() -> None:
    tale = Tale()
    tale.at(1).note("kill", "parent", to="rig_1")
    tale.at(2).note("restart", "parent", to="rig_1")
    found = Outages(tale.journal.entries, small_lab(faults=()))
    assert not found
    assert found.is_dead("rig_1", 15 * 10**8)
    assert not found.is_dead("rig_2", 15 * 10**8)
    assert Outages(tale.journal.entries, small_lab(faults=()), calm=False).all
    tale.journal.entries.insert(0, Entry(t=0, by="parent", what="healed"))
    assert not Outages(tale.journal.entries, small_lab(), calm=False), "the faults are over by then"
