"""The fate of one message: handled once, confirmed after that, or lost to a fault."""

from __future__ import annotations

from sim.evidence.index import Evidence
from tests.sim.checks.healthy_run import again, broke, check_of, forget, found, violations_by_check


def test_a_message_that_expired_was_never_confirmed(run: Evidence) -> None:
    found(run, "settled", id="rig_1.probe_0").value = "expired after 5 repeats"
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was never confirmed: expired after 5 repeats"
    assert broke(run) == {"confirm": [sentence]}
    forget(run, "handled", id="rig_1.probe_0")
    assert broke(run) == {"confirm": [sentence]}, "that it was not handled either needs no second sentence"


def test_a_message_that_was_confirmed_and_never_handled_is_named(run: Evidence) -> None:
    forget(run, "handled", first="_T_1")
    assert broke(run) == {"confirm": ["STOP _T_1 from _T to rig_1 was confirmed, and never handled"]}


def test_a_message_that_nobody_asked_about_must_still_be_handled(run: Evidence) -> None:
    forget(run, "handled", id="T_5")
    assert broke(run) == {"confirm": ["STORM T_5 from T to rig_1 was never handled"]}


def test_a_confirmation_before_the_handler_was_done_is_told(run: Evidence) -> None:
    found(run, "settled", id="rig_1.probe_0").t = found(run, "handled", id="rig_1.probe_0").t - 1
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was confirmed before it was handled"
    assert broke(run) == {"confirm": [sentence]}


def test_a_message_that_was_handled_twice_in_one_life_is_named(run: Evidence) -> None:
    again(run, "handled", id="rig_1.probe_0")
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe was handled 2 times by T.probe in one life"
    assert broke(run) == {"confirm": [sentence]}


def test_a_message_may_be_handled_once_in_each_life(run: Evidence) -> None:
    again(run, "handled", id="T_9").life = 2
    assert broke(run) == {}


def test_other_content_than_was_sent_is_told(run: Evidence) -> None:
    found(run, "handled", id="rig_1.probe_0").print = "another"
    sentence = "STORM rig_1.probe_0 from rig_1.probe to T.probe arrived with another content than it was sent with"
    assert broke(run) == {"confirm": [sentence]}


def test_what_is_handled_again_after_a_crash_must_be_marked(run: Evidence) -> None:
    found(run, "handled", id="T_9").redelivered = False
    sentence = "CRASH T_9 from T to rig_1 was handled again in a next life, and not marked redelivered"
    assert broke(run) == {"confirm": [sentence]}


def test_what_has_not_settled_is_unknown(run: Evidence) -> None:
    forget(run, "settled", id="rig_1.probe_0")
    forget(run, "handled", id="rig_1.probe_0")
    assert broke(run) == {}
    assert violations_by_check(run, "unknown") == {
        "confirm": [
            "not known: whether STORM rig_1.probe_0 from rig_1.probe to T.probe was handled: it has not settled"
        ]
    }


def test_what_broke_comes_before_what_is_unknown(run: Evidence) -> None:
    forget(run, "settled", id="rig_1.probe_0")
    forget(run, "handled", id="T_5")
    check = check_of(run, "confirm")
    assert (check.result, [sentence[:9] for sentence in check.violations]) == ("fail", ["STORM T_5", "not known"])
