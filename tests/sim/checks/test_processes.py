"""The check `programs`: no process ended by itself, and no program raised."""

from __future__ import annotations

from typing import Any

import pytest

from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.evidence.journal import Entry
from sim.scenario import Example, Send
from tests.sim.checks.healthy_run import again, broke, forget
from tests.sim.journal_builder import Tale, checked, evidence


def test_a_process_that_ended_by_itself_is_named(run: Evidence) -> None:
    run.died = ["_rig_1"]
    died = {"how": "SIGSEGV", "log": "logs/rig_1.program.log", "tail": ["Fatal Python error"]}
    run.journal.entries.append(Entry(t=0, by="parent", what="died", to="_rig_1", value=died))
    said = "the program of rig_1 ended by itself: SIGSEGV; its log is logs/rig_1.program.log"
    assert broke(run) == {"programs": [said]}


def test_what_may_follow_from_it_is_no_finding_of_its_own_and_what_happened_stands(run: Evidence) -> None:
    forget(run, "settled", id="_rig_1_1")
    again(run, "handled", first="_rig_1_2")
    found = broke(run)
    assert found["confirm"]
    run.died = ["rig_1"]
    checks = {check.name: check for check in check_all(run)}
    assert checks["programs"].violations == ["the station of rig_1 ended by itself: it is not known how"]
    (twice,) = checks["confirm"].violations
    assert "was handled 2 times" in twice
    assert [wrong.text for wrong in checks["confirm"].follows] == [
        "not known: whether DATA _rig_1_1 from _rig_1 to T was handled: it has not settled"
    ]
    assert checks["order"].result == "pass"


def test_an_exception_stands_there_once_however_often_it_was_told(run: Evidence) -> None:
    told = {"machine": "rig_1", "exception": "ValueError: no pin 7", "traceback": "…"}
    for by in ("_rig_1", "_T", "_T"):
        run.journal.entries.append(Entry(t=0, by=by, what="exception", value=dict(told)))
    assert broke(run) == {"programs": ["rig_1: ValueError: no pin 7"]}


@pytest.mark.parametrize(
    "words",
    [
        "tone: nothing of it came from T for 30 s",
        "tone: the terminal was asked for it, and its recipient could not pass it on",
    ],
)
def test_a_start_whose_file_a_cut_took_is_explained_and_where_nothing_was_cut_it_is_not(words: str) -> None:
    value = {"machine": "rig_1", "exception": f"START was not begun on rig_1: {words}", "traceback": ""}
    tale = Tale()
    tale.at(12).note("exception", "_T", first_sender="rig_1", value=value)
    assert checked("programs", tale).violations == [f"rig_1: {value['exception']}"]
    check = checked("programs", tale.struck("cut", "rig_1", since=10, until=20, end="heal"))
    assert (check.violations, len(check.explained)) == ([], 1)


@pytest.mark.parametrize("value", ["the lever is stuck", None, ["?"], {"why": "the lever is stuck"}])
def test_an_error_that_a_program_words_itself_is_told_too(run: Evidence, value: Any) -> None:
    """Anybody may send ERROR to the terminal, with whatever in it."""
    run.journal.entries.append(Entry(t=0, by="_T", what="exception", first_sender="_rig_1", value=value))
    assert broke(run) == {"programs": [f"rig_1: {value}"]}


@pytest.mark.parametrize(
    ("name", "at", "sentences"),
    [
        ("_rig_2", 20.1, []),
        ("rig_2", 20.1, []),
        ("_rig_2", 40.0, ["the program of rig_2 ended by itself: it is not known how"]),
        ("_rig_1", 20.1, ["the program of rig_1 ended by itself: it is not known how"]),
    ],
)
def test_a_process_that_a_fault_killed_did_not_end_by_itself(name: str, at: float, sentences: list[str]) -> None:
    tale = Tale().struck("kill", "rig_2", since=20, until=25, end="restart")
    tale.at(at).note("died", "parent", to=name)
    run = evidence(tale)
    run.died = [name]
    assert next(check.violations for check in check_all(run) if check.name == "programs") == sentences


@pytest.mark.parametrize(("returned", "sentences"), [(40.0, 1), (29.9, 0), (31.0, 1)])
def test_a_start_that_sleeps_through_its_session_is_named(returned: float, sentences: int) -> None:
    """Also on a child, whose STOP is sent to the rig above it."""
    tale = Tale()
    tale.at(30).made("_T_1", "_T", "rig_1", "STOP")
    begun = tale.at(20).note("began", "_cam").t
    tale.at(returned).note("listened", "_cam", key="START", value={"begun": begun})
    tale.at(30.5).note("listened", "_rig_1", key="START", value={"begun": int(29e9)})  # a short one, as it is
    found = next(check.violations for check in check_all(evidence(tale)) if check.name == "programs")
    assert len(found) == sentences
    assert all(text.startswith(f"the START of cam was handled for {returned - 20:.1f} s, until") for text in found)


def test_a_listen_that_hangs_is_the_cause_and_its_machine_alone_is_named(run: Evidence) -> None:
    forget(run, "settled", id="_rig_1_1")
    value = {"begun": 1_000_000_000, "stack": "…", "where": "cam.py, line 9, in l_start"}
    run.journal.entries.append(Entry(t=12_000_000_000, by="_rig_1_cam", what="hangs", key="l_start", value=value))
    first = min(entry.t for entry in run.journal.entries)
    since = f"called {(10**9 - first) / 1e9:.1f} s into the run, it had not returned 11.0 s later"
    said = f"l_start of rig_1_cam hangs: {since}, and was in cam.py, line 9, in l_start"
    assert broke(run) == {"programs": [said]}


@pytest.mark.parametrize(("takes_ms", "explained"), [(1_000, 0), (35_000, 1)])
def test_a_start_whose_file_waited_behind_handlers_of_storms_is_explained(takes_ms: int, explained: int) -> None:
    value = {"machine": "rig_1", "exception": "START was not begun: tone: nothing of it came from T for 30 s"}
    tale = Tale()
    tale.at(12).note("exception", "_T", first_sender="rig_1", value={**value, "traceback": ""})
    storm = Example(ops=(Send(frm="_rig_1", to="_T", takes_ms=takes_ms),))
    run = evidence(tale)
    run.examples[0] = storm
    check = next(check for check in check_all(run) if check.name == "programs")
    assert (len(check.violations), len(check.explained)) == (1 - explained, explained)
