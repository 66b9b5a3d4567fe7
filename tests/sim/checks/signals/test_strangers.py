"""What strangers are obeyed in, given or believed, a twin that is not told, a machine that is not served."""

from __future__ import annotations

from sim.evidence.journal import Entry, Trace
from tests.sim.checks.healthy_run import forget, found
from tests.sim.checks.signals.signalled import answered, signals_of


def test_a_station_that_ends_at_a_strangers_kill_is_told() -> None:
    run = answered()
    said = found(run, "stranger", to="rig_1", key="kill")
    run.journal.entries.append(Entry(t=said.t + 1, by="parent", what="died", to="rig_1"))
    run.died.append("rig_1")  # which is told too, and is not the cause of this
    assert signals_of(run).violations == ["the station of rig_1 obeyed a KILL from a stranger"]


def test_a_station_that_ended_before_obeyed_nobody() -> None:
    run = answered()
    run.journal.entries.insert(0, Entry(t=0, by="parent", what="died", to="rig_1"))
    assert signals_of(run).result == "pass"


def test_of_a_station_that_does_not_answer_nothing_is_known() -> None:
    run = answered()
    found(run, "stranger answered", id="actor.rig_1.kill.own").value = False
    check = signals_of(run)
    assert check.result == "unknown"
    assert check.violations == [
        "not known: whether rig_1 refuses a KILL from a stranger: it did not answer",
    ]


def test_a_machine_that_comes_back_and_is_not_served_is_told() -> None:
    run = answered()
    found(run, "stranger answered", id="actor.rig_1.reboot.b1").value = False
    text = "rig_1 does not serve a machine that reboots, as long as its old connection is open"
    assert signals_of(run).violations == [text]


def test_it_is_not_told_of_a_station_that_serves_nobody() -> None:
    run = answered()
    for end in ("kill.own", "reboot.b1"):
        found(run, "stranger answered", id=f"actor.rig_1.{end}").value = False
    assert signals_of(run).result == "unknown"


def test_a_station_that_handles_what_comes_under_its_own_id_is_told() -> None:
    run = answered()
    said = found(run, "stranger", id="actor.rig_1.double")
    run.journal.traces.append(Trace(t=said.t + 1, at="rig_1", life="", do="Deliver", peer="rig_1", id=said.id))
    text = "rig_1 handled a message of a stranger that came under the id rig_1 itself"
    assert signals_of(run).violations == [text]


def test_a_file_that_was_given_to_a_thief_is_told() -> None:
    run = answered()
    found(run, "stranger answered", id="actor.T.thief.own").value = "gave it"
    text = "T was asked for ../outside.txt, which lies outside of its folder of files, and sent it"
    assert signals_of(run).violations == [text]


def test_whether_a_file_would_be_given_is_not_known_where_nobody_answered() -> None:
    run = answered()
    found(run, "stranger answered", id="actor.T.thief.own").value = False
    assert signals_of(run).violations == [
        "not known: whether T keeps ../outside.txt to itself: it did not answer",
    ]


def test_a_terminal_that_takes_the_confirmation_of_another_life_is_told() -> None:
    run = answered()
    found(run, "stranger answered", id="actor.T.thief.again").value = False
    text = "T sent a message that was confirmed to another life of T, and never sent it again"
    assert signals_of(run).violations == [text]


def test_twins_that_are_not_told_are_a_fault() -> None:
    run = answered()
    forget(run, "twin told")
    assert signals_of(run).violations == ["two machines of one id took turns at T, and the program of T was not told"]


def test_twins_that_were_not_heard_cannot_be_told() -> None:
    run = answered()
    forget(run, "twin told")
    found(run, "stranger answered", id="actor.T.twin.a2").value = False
    assert signals_of(run).violations == ["not known: whether T notices two machines of one id: it has not settled"]


def test_twins_whose_error_is_under_way_may_yet_be_told() -> None:
    run = answered()
    told = forget(run, "twin told")
    sent = next(trace for trace in run.journal.traces if trace.key == "ERROR" and trace.at == "T")
    sent.t, sent.id = told.t, "T_error_2"
    assert signals_of(run).result == "unknown"
