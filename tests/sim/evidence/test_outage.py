"""Outages are read from the journal: which process or link, from when to when, and in which words."""

from __future__ import annotations

import pytest

from sim.evidence.outages import Outages
from tests.sim.evidence.outage_words import outages, words
from tests.sim.journal_builder import Tale, small_lab


def test_a_machine_that_is_killed_is_back_when_its_processes_have_begun_again() -> None:
    tale = Tale().struck("kill", "rig_2", since=15, until=35, end="restart")
    tale.at(35.5).begin_life("rig_2")
    tale.at(36).begin_life("_rig_2")
    assert [(o.kind, o.begins / 1e9, (o.ends or 0) / 1e9) for o in outages(tale).all] == [
        ("program", 15, 36),
        ("station", 15, 35.5),
    ]
    assert "rig_2 was killed at 15.0 s, back at 35.5 s" in words(tale)


def test_a_station_or_a_program_may_be_struck_alone() -> None:
    tale = Tale().struck("pause", "rig_2", since=1, until=2, end="resume", what="program")
    tale.struck("kill", "rig_1", since=3, until=4, end="restart", what="station")
    assert words(tale) == [
        "the program of rig_2 was paused at 1.0 s, on again at 2.0 s",
        "the station of rig_1 was killed at 3.0 s, back at 4.0 s",
    ]


def test_what_is_killed_again_before_it_had_begun_was_dead_twice() -> None:
    tale = Tale().struck("kill", "rig_2", since=1, until=2, end="restart", what="station")
    tale.struck("kill", "rig_2", since=3, until=4, end="restart", what="station")
    tale.at(5).begin_life("rig_2", life=2)
    assert words(tale) == [
        "the station of rig_2 was killed at 1.0 s, back at 2.0 s",
        "the station of rig_2 was killed at 3.0 s, back at 5.0 s",
    ]


def test_what_is_killed_does_not_stand_still_in_its_next_life() -> None:
    tale = Tale()
    tale.at(1).fault("pause", "rig_2", what="program")
    tale.struck("kill", "rig_2", since=2, until=3, end="restart", what="program")
    assert words(tale) == [
        "the program of rig_2 was paused at 1.0 s, on again at 2.0 s",
        "the program of rig_2 was killed at 2.0 s, back at 3.0 s",
    ]


def test_who_was_paused_when_he_was_dead_does_not_stand_still_in_his_next_life() -> None:
    tale = Tale().struck("kill", "rig_2", since=1, until=3, end="restart", what="station")
    tale.struck("pause", "rig_2", since=2, until=30, end="resume", what="station")
    tale.at(4).begin_life("rig_2")
    assert words(tale) == [
        "the station of rig_2 was killed at 1.0 s, back at 4.0 s",
        "the station of rig_2 was paused at 2.0 s, on again at 4.0 s",
    ]


def test_a_restart_of_who_lives_is_not_the_end_of_a_later_death() -> None:
    tale = Tale()
    tale.at(3).fault("restart", "rig_2", what="program")
    tale.at(10).fault("kill", "rig_2", what="program")
    tale.at(11).fault("kill", "rig_2", what="program")
    assert words(tale) == ["the program of rig_2 was killed at 10.0 s, never back"]


def test_a_fault_that_nobody_ended_ends_when_the_healing_begins_but_for_a_death() -> None:
    tale = Tale()
    tale.at(1).fault("cut", "rig_1")
    tale.at(2).fault("kill", "rig_2")
    tale.at(3).note("healed", "parent")
    assert words(tale) == [
        "the link from rig_1 up to T was cut at 1.0 s, whole again at 3.0 s",
        "rig_2 was killed at 2.0 s, never back",
    ]


def test_a_link_may_be_cut_one_way() -> None:
    tale = Tale().struck("cut", "cam", since=1, until=2, end="heal", way="up")
    found = outages(tale)
    cut, reset = found.all
    assert found.on(["cam", "rig_1"]) == [cut]
    assert found.on(["rig_1", "cam"]) == [reset], "with a cut its connections end, both ways"
    assert (reset.verb, reset.begins, reset.ends) == ("reset", cut.ends, cut.ends)
    assert found.on(["rig_1", "cam"], both_ways=True) == found.all


@pytest.mark.parametrize(
    ("verb", "end", "words_of_it"),
    [
        ("hold", "release", "the link from cam up to rig_1 was held at 1.0 s, released at 2.0 s"),
        ("shape", "heal", "the link from cam up to rig_1 was slow from 1.0 s to 2.0 s"),
        ("drop", "heal", "the link from cam up to rig_1 lost messages from 1.0 s to 2.0 s"),
        ("duplicate", "heal", "the link from cam up to rig_1 doubled messages from 1.0 s to 2.0 s"),
    ],
)
def test_each_fault_has_its_words(verb: str, end: str, words_of_it: str) -> None:
    assert words(Tale().struck(verb, "cam", since=1, until=2, end=end)) == [words_of_it]


def test_a_link_that_lost_its_connections_did_so_in_a_moment() -> None:
    tale = Tale()
    tale.at(1).fault("reset", "cam")
    (one, other) = outages(tale).all
    assert (one.begins, one.ends, one.words) == (10**9, 10**9, other.words)
    assert one.words == "the link from cam up to rig_1 lost its connections at 1.0 s"


@pytest.mark.parametrize(("paused", "waits_s"), [((), 8), ((0.5, 1.0), 8 * 1.5), ((0.5, 3.5), 8 * 4)])
def test_a_pause_before_makes_a_lower_end_wait_longer_for_a_connection_that_fell_silent(
    paused: tuple[float, ...], waits_s: float
) -> None:
    """It has learnt a slow round trip from the pause, as far as a rehearsal can tell."""
    tale = Tale()
    if paused:
        tale.struck("pause", "rig_2", since=paused[0], until=paused[1], end="resume")
    tale.at(4).fault("mute", "rig_2")
    muted = next(o for o in outages(tale).all if o.verb == "mute")
    assert muted.notice / 1e9 == waits_s + 2
    tale.struck("pause", "rig_1", since=1, until=3, end="resume")
    assert next(o for o in outages(tale).all if o.verb == "mute").notice == muted.notice, "that is another machine"


def test_where_a_few_messages_fill_a_pipe_a_silent_connection_is_waited_for_longer() -> None:
    tale = Tale()
    tale.at(4).fault("mute", "rig_2")
    found = Outages(tale.journal.entries, small_lab(), small_pipes=True).all
    assert {o.notice / 1e9 for o in found if o.verb == "mute"} == {32}
