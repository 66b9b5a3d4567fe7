"""The fate of one message: handled once, confirmed after that, or lost to a fault."""

from __future__ import annotations

import pytest

from sim.evidence.index import Evidence
from tests.sim.checks.healthy_run import again, broke, check_of, forget, found, violations_by_check
from tests.sim.evidence.test_outages import Plot
from tests.sim.journal_builder import Tale, checked


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


def unsought(*, at: float = 20.0) -> Tale:
    """One from the cam's probe to the terminal, that did not arrive."""
    tale = Tale()
    tale.at(at).made("cam.probe_0", "cam.probe", "T", sought=False)
    return tale


def test_a_message_that_nobody_repeats_must_arrive_where_no_fault_is() -> None:
    check = checked("confirm", unsought())
    assert check.violations == ["STORM cam.probe_0 from cam.probe to T was never handled"]
    assert check.explained == []


EXPLAINED: dict[str, Plot] = {
    "cut": lambda tale: tale.struck("cut", "rig_1", since=15, until=25, end="heal"),
    "cut below": lambda tale: tale.struck("cut", "cam", since=15, until=25, end="heal", way="up"),
    "held, and then the terminal died": lambda tale: tale.struck(
        "hold", "rig_1", since=15, until=30, end="release"
    ).struck("kill", "T", since=31, until=40, end="restart"),
    "late, and then the terminal died": lambda tale: tale.struck(
        "shape", "rig_1", since=15, until=30, end="heal"
    ).struck("kill", "T", since=31, until=40, end="restart"),
    "a station between": lambda tale: tale.struck("kill", "rig_1", since=19, until=21, end="restart"),
    "killed a moment later": lambda tale: tale.struck("kill", "T", since=21, until=30, end="restart"),
    "not back to what it was": lambda tale: tale.struck("cut", "rig_1", since=2, until=14, end="heal"),
    "the sender": lambda tale: tale.struck("kill", "cam", since=20.2, until=30, end="restart", what="program"),
    "stood still": lambda tale: tale.struck("pause", "T", since=15, until=25, end="resume", what="station"),
    "connections": lambda tale: tale.at(20.1).fault("reset", "cam"),
}


@pytest.mark.parametrize("plot", EXPLAINED.values(), ids=EXPLAINED)
def test_what_was_under_way_when_a_fault_struck_is_explained_by_it(plot: Plot) -> None:
    tale = unsought()
    plot(tale)
    check = checked("confirm", tale)
    assert check.violations == []
    (sentence,) = check.explained
    assert sentence.startswith("STORM cam.probe_0 from cam.probe to T was lost: ")
    assert check.figures == "0 repeated, 1 explained by faults"


NOT_EXPLAINED: dict[str, Plot] = {
    "elsewhere": lambda tale: tale.struck("cut", "rig_2", since=15, until=25, end="heal"),
    "another machine": lambda tale: tale.struck("kill", "rig_2", since=15, until=25, end="restart"),
    "the other way": lambda tale: tale.struck("cut", "rig_1", since=15, until=17, end="heal", way="down"),
    "the other way of a hold": lambda tale: tale.struck("hold", "rig_1", since=19, until=21, end="release", way="down"),
    "long before": lambda tale: tale.struck("cut", "rig_1", since=1, until=5, end="heal"),
    "long after": lambda tale: tale.struck("cut", "rig_1", since=30, until=35, end="heal"),
    "a program it does not meet": lambda tale: tale.struck(
        "kill", "rig_1", since=15, until=25, end="restart", what="program"
    ),
    "only slow": lambda tale: tale.struck("shape", "rig_1", since=15, until=25, end="heal"),
    "only doubled": lambda tale: tale.struck("duplicate", "rig_1", since=15, until=25, end="heal"),
    "lossy, and it took another": lambda tale: (
        tale.struck("drop", "rig_1", since=15, until=25, end="heal").at(20.1).frame("drop", "rig_1", "cam.probe_1")
    ),
    "connections, too early": lambda tale: tale.at(12).fault("reset", "cam"),
}


@pytest.mark.parametrize("plot", NOT_EXPLAINED.values(), ids=NOT_EXPLAINED)
def test_a_fault_explains_nothing_off_its_way_or_out_of_its_time(plot: Plot) -> None:
    tale = unsought()
    plot(tale)
    check = checked("confirm", tale)
    assert check.violations == ["STORM cam.probe_0 from cam.probe to T was never handled"]
    assert check.explained == []


def test_what_a_link_took_by_its_id_is_explained_by_that() -> None:
    tale = unsought().struck("drop", "rig_1", since=15, until=25, end="heal")
    tale.at(20.1).frame("drop", "rig_1", "cam.probe_0")
    (sentence,) = checked("confirm", tale).explained
    assert sentence.endswith("the link from rig_1 up to T lost messages from 15.0 s to 25.0 s")


def test_a_probe_that_a_link_took_explains_no_message_until_the_connection_is_taken_for_deaf() -> None:
    tale = unsought().struck("drop", "rig_1", since=15, until=25, end="heal")
    for at in (20.1, 21.1):
        tale.at(at).frame("drop", "rig_1")
    assert checked("confirm", tale).violations == ["STORM cam.probe_0 from cam.probe to T was never handled"]
    tale.at(22.1).frame("drop", "rig_1")
    assert checked("confirm", tale).violations == []


def test_what_was_past_a_fault_was_not_lost_to_it() -> None:
    """It had crossed the cam's link when that was cut, and came as far as the terminal."""
    tale = unsought().struck("cut", "cam", since=20.5, until=25, end="heal")
    tale.at(20).carry("cam.probe_0", "cam.probe", "cam", "rig_1", "T")
    assert checked("confirm", tale).violations == ["STORM cam.probe_0 from cam.probe to T was never handled"]


def test_what_was_on_its_way_to_a_fault_was_lost_to_it() -> None:
    tale = unsought().struck("cut", "rig_1", since=20.5, until=25, end="heal")
    tale.at(20).carry("cam.probe_0", "cam.probe", "cam", "rig_1", "T")
    assert checked("confirm", tale).violations == []


def test_what_nobody_repeats_comes_twice_only_over_a_link_that_doubled_it() -> None:
    tale = unsought().struck("duplicate", "rig_1", since=15, until=25, end="heal")
    for _ in range(2):
        tale.at(20.5).handled("cam.probe_0", "T")
    sentence = "STORM cam.probe_0 from cam.probe to T was handled 2 times by T in one life"
    assert checked("confirm", tale).violations == [sentence]
    tale.at(20.1).frame("duplicate", "rig_1", "cam.probe_0")
    check = checked("confirm", tale)
    assert (check.violations, len(check.explained)) == ([], 1)


def sought(*, expired: float = 45.0) -> Tale:
    """One from the cam's probe to the terminal that expired, which takes 25 s."""
    tale = Tale()
    tale.at(20).made("cam.probe_0", "cam.probe", "T")
    tale.at(expired).settled("cam.probe_0", "cam.probe", "no confirmation came")
    return tale


NEVER = "STORM cam.probe_0 from cam.probe to T was never confirmed: no confirmation came"


def test_what_expired_where_no_fault_is_breaks_the_promise() -> None:
    assert checked("confirm", sought()).violations == [NEVER]


def test_what_expired_while_its_way_was_cut_is_explained() -> None:
    tale = sought().struck("cut", "rig_1", since=19, until=40, end="heal")
    check = checked("confirm", tale)
    assert check.violations == []
    assert check.explained == [
        "STORM cam.probe_0 from cam.probe to T was lost, and expired: "
        "the link from rig_1 up to T was cut at 19.0 s, whole again at 40.0 s"
    ]


def test_what_was_handled_and_never_confirmed_is_explained_by_the_way_back() -> None:
    tale = sought().struck("cut", "cam", since=20.5, until=40, end="heal", way="down")
    tale.at(20.1).handled("cam.probe_0", "T")
    check = checked("confirm", tale)
    assert check.violations == []
    assert check.explained[0].startswith("STORM cam.probe_0 from cam.probe to T was never confirmed: the link from cam")


def test_a_way_that_was_only_slow_is_no_reason_to_give_up() -> None:
    tale = sought().struck("shape", "rig_1", since=19, until=44, end="heal")
    tale.at(20.1).handled("cam.probe_0", "T")
    assert checked("confirm", tale).violations == [NEVER]


NOT_EXPIRED: dict[str, Plot] = {
    "a short cut, and time for repeats": lambda tale: tale.struck("cut", "rig_1", since=19, until=24, end="heal"),
    "a cut at the very end": lambda tale: tale.struck("cut", "rig_1", since=35, until=50, end="heal"),
    "elsewhere": lambda tale: tale.struck("cut", "rig_2", since=19, until=44, end="heal"),
    "a slow link": lambda tale: tale.struck("shape", "rig_1", since=19, until=44, end="heal"),
    "a lossy link that did not take it": lambda tale: tale.struck("drop", "rig_1", since=19, until=44, end="heal"),
}


@pytest.mark.parametrize("plot", NOT_EXPIRED.values(), ids=NOT_EXPIRED)
def test_a_repeat_on_a_whole_way_ends_what_a_fault_excuses(plot: Plot) -> None:
    tale = sought()
    plot(tale)
    assert checked("confirm", tale).violations == [NEVER]


def test_what_was_confirmed_is_handled_whatever_the_fault() -> None:
    tale = Tale().struck("kill", "T", since=19, until=25, end="restart")
    tale.at(20).made("cam.probe_0", "cam.probe", "T")
    tale.at(30).settled("cam.probe_0", "cam.probe")
    sentence = "STORM cam.probe_0 from cam.probe to T was confirmed, and never handled"
    assert checked("confirm", tale).violations == [sentence]


def test_a_start_that_was_not_begun_and_said_so_is_no_start_that_was_lost() -> None:
    tale = Tale()
    tale.at(20).made("_T_0", "_T", "rig_1", "START")
    tale.at(30).settled("_T_0", "_T", key="START")
    assert checked("confirm", tale).violations == ["START _T_0 from _T to rig_1 was confirmed, and never handled"]
    said = "START was not begun on rig_1: L.wav: the terminal was asked for it, and no confirmation came"
    tale.at(31).note("exception", "_T", value={"machine": "rig_1", "exception": said, "traceback": ""})
    assert checked("confirm", tale).violations == []
    assert checked("programs", tale).result == "fail"


def orphan(*, life: float = 5.0) -> Tale:
    """One that never settled, since its sender was killed so many seconds after it was made, and started again."""
    tale = Tale().struck("kill", "cam", since=20 + life, until=30, end="restart", what="program")
    tale.at(20).made("cam_0", "_cam", "T", "DATA")
    tale.carry("cam_0", "_cam", "cam")
    tale.at(31).begin_life("_cam")
    return tale


def test_what_was_under_way_may_be_lost_with_its_sender() -> None:
    check = checked("confirm", orphan())
    assert (check.result, check.violations) == ("pass", [])
    assert check.explained == [
        "DATA cam_0 from _cam to T was lost with its sender: the program of cam was killed at 25.0 s, back at 31.0 s"
    ]


def test_what_was_lost_long_before_its_sender_died_did_not_die_with_him() -> None:
    tale = orphan(life=9.0)
    sentence = (
        "DATA cam_0 from _cam to T was never handled, long before its sender died: "
        "the program of cam was killed at 29.0 s, back at 31.0 s"
    )
    assert checked("confirm", tale).violations == [sentence]
    tale.struck("cut", "rig_1", since=22, until=27, end="heal")
    assert checked("confirm", tale).violations == []


def test_what_never_settled_is_unknown_where_its_sender_lives() -> None:
    tale = Tale().struck("kill", "cam", since=10, until=15, end="restart", what="program")
    tale.at(20).made("cam_0", "_cam", "T", "DATA")
    assert checked("confirm", tale).result == "unknown"
    tale.struck("kill", "cam", since=25, until=30, end="restart", what="station")  # which is not its sender
    assert checked("confirm", tale).result == "unknown"


def test_what_a_durable_sender_promised_is_handled_in_spite_of_its_death() -> None:
    sentence = (
        "DATA cam_0 from _cam to T is promised by a durable sender, and was never handled: "
        "the program of cam was killed at 25.0 s, back at 31.0 s"
    )
    assert checked("confirm", orphan(), durable=True).violations == [sentence]
    tale = orphan()
    tale.at(32).handled("cam_0", "_T", "DATA", first="cam_0")
    assert checked("confirm", tale, durable=True).violations == []


def test_what_a_durable_sender_was_killed_over_before_it_had_promised_may_be_lost() -> None:
    tale = orphan(life=0.1)
    assert len(checked("confirm", tale, durable=True).violations) == 1, "it was sent, so it was on the disk"
    tale.journal.traces.clear()
    assert checked("confirm", tale, durable=True).violations == []


def twice(**facts: object) -> Tale:
    """A trial that the terminal's program handled at 20 s, and again at 28 s."""
    tale = Tale()
    tale.at(20).made("_rig_1_0", "_rig_1", "T", "DATA")
    tale.at(20.5).handled("_rig_1_0", "_T", "DATA", first="_rig_1_0")
    tale.at(28).handled("_rig_1_0", "_T", "DATA", first="_rig_1_0", **facts)
    tale.at(29).settled("_rig_1_0", "_rig_1", key="DATA")
    return tale


TWICE = "DATA _rig_1_0 from _rig_1 to T was handled 2 times by _T in one life"


def test_a_station_that_was_killed_may_pass_on_again_what_it_had_passed_on_if_it_is_marked() -> None:
    tale = twice(redelivered=True).struck("kill", "T", since=21, until=25, end="restart", what="station")
    check = checked("confirm", tale)
    assert check.violations == []
    assert check.explained[0].startswith("DATA _rig_1_0 from _rig_1 to T was handled again by _T, marked redelivered")
    assert checked("trials", tale, session=True).figures == "0 lost, 0 twice"


@pytest.mark.parametrize(
    ("plot", "is_marked"),
    [
        (lambda _: None, True),
        (lambda tale: tale.struck("kill", "T", since=21, until=25, end="restart", what="station"), False),
        (lambda tale: tale.struck("kill", "T", since=2, until=5, end="restart", what="station"), True),
        (lambda tale: tale.struck("kill", "T", since=30, until=35, end="restart", what="station"), True),
        (lambda tale: tale.struck("kill", "rig_1", since=21, until=25, end="restart", what="station"), True),
        (lambda tale: tale.struck("cut", "rig_1", since=21, until=25, end="heal"), True),
        (lambda tale: tale.struck("pause", "T", since=21, until=25, end="resume"), True),
    ],
    ids=["no fault", "not marked", "before it", "after it", "one that passes on bytes", "a cut", "a pause"],
)
def test_nothing_else_is_handled_twice_in_one_life(plot: Plot, is_marked: bool) -> None:
    tale = twice(redelivered=is_marked)
    plot(tale)
    assert checked("confirm", tale).violations == [TWICE]
    assert checked("trials", tale, session=True).violations == ["rig_1: 1 of 1 handled twice"]


@pytest.mark.parametrize("is_marked", [True, False])
def test_what_is_handled_again_in_a_next_life_is_marked(is_marked: bool) -> None:
    tale = twice(life=1, redelivered=is_marked).struck("kill", "T", since=21, until=25, end="restart", what="program")
    sentence = "DATA _rig_1_0 from _rig_1 to T was handled again in a next life, and not marked redelivered"
    assert checked("confirm", tale).violations == ([] if is_marked else [sentence])
