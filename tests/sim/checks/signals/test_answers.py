"""PINGs that nobody answers, and ERRORs that never reach the terminal."""

from __future__ import annotations

import pytest

from tests.sim.checks.healthy_run import forget, found
from tests.sim.checks.signals.signalled import answered, signals_of


def test_a_ping_that_a_rig_does_not_answer_is_told() -> None:
    run = answered()
    forget(run, "state", first_sender="rig_1")
    assert signals_of(run).violations == ["rig_1 answered 1 of 2 PINGs"]


def test_a_ping_that_the_terminal_does_not_answer_is_told() -> None:
    run = answered()
    for _ in range(2):
        forget(run, "pong")
    assert signals_of(run).violations == ["T answered 0 of 2 PINGs"]


def test_an_answer_that_comes_after_the_error_counts_as_none() -> None:
    run = answered()
    late = forget(run, "state", first_sender="rig_1")
    late.t = run.journal.entries[-1].t + 1
    run.journal.entries.append(late)
    assert signals_of(run).violations == ["rig_1 answered 1 of 2 PINGs"]


def test_an_answer_may_be_lost_with_a_connection() -> None:
    run = answered()
    gone = forget(run, "state", first_sender="rig_1")
    trace = run.journal.traces[0]
    trace.do, trace.at, trace.peer, trace.t = "PeerDown", "T", "rig_1", gone.t
    check = signals_of(run)
    assert check.result == "unknown"
    assert check.violations == ["not known: whether rig_1 answers a PING: a connection broke meanwhile"]


def test_a_ping_that_was_not_confirmed_needs_no_answer_since_that_is_told_elsewhere() -> None:
    run = answered()
    for n in range(2):
        forget(run, "state", first_sender="rig_1")
        forget(run, "settled", id=f"_T_ping_rig_1_{n}")
    assert signals_of(run).result == "pass"


@pytest.mark.parametrize(("machine", "part"), [("rig_1", "station"), ("rig_1", "program"), ("T", "program")])
def test_an_error_that_was_confirmed_and_did_not_come_is_told(machine: str, part: str) -> None:
    run = answered()
    by = machine if part == "station" else "_" + machine
    forget(run, "raised", first=f"{by}_error")
    text = f"the {part} of {machine} raised, and the ERROR never reached the program of T"
    assert signals_of(run).violations == [text]


def test_an_error_that_was_never_sent_is_told() -> None:
    run = answered()
    forget(run, "raised", first="_rig_1_error")
    run.journal.traces = [trace for trace in run.journal.traces if trace.id != "_rig_1_error"]
    assert signals_of(run).result == "fail"


def test_of_an_error_that_is_still_under_way_nothing_is_known() -> None:
    run = answered()
    forget(run, "raised", first="_rig_1_error")
    run.journal.traces = [t for t in run.journal.traces if (t.do, t.id) != ("Confirmed", "_rig_1_error")]
    check = signals_of(run)
    assert check.result == "unknown"
    assert check.violations == [
        "not known: whether the ERROR that the program of rig_1 sent will reach the program of T: it has not settled"
    ]


def test_a_message_that_no_program_got_is_told() -> None:
    run = answered()
    forget(run, "raised", first="_rig_1_error")
    forget(run, "raising", by="_rig_1")
    assert signals_of(run).violations == ["a message for the program of rig_1 was confirmed, and never handled"]


def test_an_error_without_a_traceback_is_told() -> None:
    run = answered()
    found(run, "raised", first="rig_1_error").value["traceback"] = ""
    assert signals_of(run).violations == ["the ERROR of the station of rig_1 has no traceback"]


def test_an_item_behind_one_that_raised_is_handled_too() -> None:
    run = answered()
    forget(run, "raising", id="_T_batch_rig_1.1")
    text = "rig_1 handled a batch, and left 1 of 2 items out, where it raised at the first"
    assert signals_of(run).violations == [text]
    forget(run, "settled", id="_T_batch_rig_1")
    assert signals_of(run).result == "pass", "whether it came is told elsewhere"


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("confirmed", "a message for which the program of rig_1 has no listen was confirmed as handled"),
        ("no reason", "nobody listens at the program of rig_1, and the sender was told: no reason"),
    ],
)
def test_whoever_sends_what_nobody_listens_for_is_told_so(told: str, text: str) -> None:
    run = answered()
    found(run, "settled", id="_T_nobody_rig_1").value = told
    assert signals_of(run).violations == [text]
