"""Messages with a time of their own: given up when it is over, and only for a reason."""

from __future__ import annotations

from sim.scenario import Example, Send
from tests.sim.checks.healthy_run import check_of
from tests.sim.journal_builder import Tale, checked, evidence

UP = "no confirmation came, and its time is up"
NAME = "STORM cam.probe_0 from cam.probe to T"


def expiring(*, after: float = 2.0, settled: float = 2.0, how: str = UP) -> Tale:
    """One that was made at 20 s, to be given up after `after` seconds, and that ended `settled` seconds later."""
    tale = Tale()
    tale.at(20).made("cam.probe_0", "cam.probe", "T", example=0, expires_s=after)
    if how == "confirmed":
        tale.handled("cam.probe_0", "T", example=0)
    tale.at(20 + settled).settled("cam.probe_0", "cam.probe", how, example=0)
    return tale


def test_one_whose_time_was_up_for_no_reason_is_told() -> None:
    assert checked("confirm", expiring()).violations == [f"{NAME} was never confirmed: {UP}"]


def test_a_fault_on_its_way_explains_that() -> None:
    tale = expiring().struck("cut", "rig_1", since=19, until=25, end="heal")
    check = checked("confirm", tale)
    assert check.violations == []
    why = "the link from rig_1 up to T was cut at 19.0 s, whole again at 25.0 s"
    assert check.explained == [f"{NAME} was lost, and expired: {why}"]


def test_it_may_have_waited_behind_one_that_a_fault_took_before() -> None:
    tale = expiring().struck("cut", "rig_1", since=16, until=18, end="heal")
    assert checked("confirm", tale).violations == []


def test_one_that_is_given_up_late_is_told_also_if_it_came() -> None:
    tale = expiring(settled=9).struck("cut", "rig_1", since=19, until=25, end="heal")
    assert checked("confirm", tale).violations == [f"{NAME} was to be given up after 2 s, and was given up after 9.0 s"]
    late = checked("confirm", expiring(settled=9, how="confirmed"))
    assert late.violations == [f"{NAME} was to be given up after 2 s, and was confirmed after 9.0 s"]
    assert checked("confirm", expiring(how="confirmed")).violations == []


def test_one_that_is_given_up_before_its_time_is_told_whatever_the_fault() -> None:
    tale = expiring(settled=0.5).struck("cut", "rig_1", since=19, until=25, end="heal")
    assert checked("confirm", tale).violations == [f"{NAME} was to be given up after 2 s, and was given up after 0.5 s"]
    spent = expiring(settled=0.5, how="no confirmation came, and it may not be sent again")
    for n in range(6):
        spent.at(20 + n / 20).carry("cam.probe_0", "cam.probe", "cam", sending=str(n))
    spent.struck("cut", "rig_1", since=19, until=25, end="heal")
    assert checked("confirm", spent).violations == []


def test_a_sender_that_stood_still_gives_up_when_it_goes_on() -> None:
    tale = expiring(settled=9).struck("pause", "cam", since=19, until=29, end="resume")
    assert checked("confirm", tale).violations == []


def test_behind_a_slow_handler_it_may_expire() -> None:
    slow = Example(ops=(Send(frm="cam.probe", to="T", takes_ms=3_000),), at_s=20)
    run = evidence(expiring())
    run.examples = {0: slow}
    check = check_of(run, "confirm")
    assert check.violations == []
    assert check.explained == [f"{NAME} expired after 2 s: a handler or a link is slow"]


def test_behind_many_messages_of_its_storm_it_may_expire() -> None:
    for burst, violations in ((100, 0), (10, 1)):
        run = evidence(expiring())
        run.examples[0] = Example(ops=(Send(frm="rig_1", to="T", burst=burst),), at_s=20)
        assert len(check_of(run, "confirm").violations) == violations
