"""A session under faults: states that the terminal need not have heard, copies that nobody can prove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.checks.session import trial_rows
from sim.evidence.index import Evidence, Index
from tests.sim.checks.healthy_run import again, broke, crossings, forget, found
from tests.sim.journal_builder import Tale, checked

Plot = Callable[[Tale], object]


def session(*, heard: bool = True, last: bool = True, proof: dict[str, Any] | None = None) -> Tale:
    """rig_1 runs from second 10 to 50; the terminal may not hear that it does, nor that it ended."""
    tale = Tale()
    tale.at(9).note("handled", "_rig_1", key="START", id="T_1", first="_T_1", value={"session": 0})
    state(tale, 10, "RUNNING", "_rig_1_0", heard=heard)
    state(tale, 50, "IDLE", "_rig_1_9", heard=last)
    told = {"pilot": "rig_1", "subject": "mouse", "session": "0", "count": 0, "agrees": True, "here": 0}
    tale.at(60).note("cohere", "_T", first_sender="_rig_1", value={**told, **(proof or {})})
    return tale


def state(tale: Tale, at: float, value: str, id: str, *, heard: bool = True, life: int = 0) -> None:
    """The program said a state, and the terminal heard it, or its sender was told that it could not."""
    tale.at(at).note("state", "_rig_1", value=value, life=life)
    tale.made(id, "_rig_1", "rig_1", "STATE", life=life)
    if heard:
        hear(tale, at + 0.1, value, id)
    how = "confirmed" if heard else "no confirmation came"
    tale.at(at + (0.2 if heard else 25)).settled(id, "_rig_1", how, key="STATE", life=life)


def hear(tale: Tale, at: float, value: str | None, id: str, *, sender: str = "_rig_1", **facts: Any) -> None:
    told = {"state": value, "pilot": "rig_1"}
    tale.at(at).note("state", "_T", id=f"T for {id}", sender="T", first=id, first_sender=sender, value=told, **facts)


def violations(tale: Tale) -> list[str]:
    return checked("session", tale, session=True).violations


def test_a_session_without_a_fault() -> None:
    assert violations(session()) == []


UNHEARD = ["rig_1 said ['RUNNING', 'IDLE'], and the terminal heard ['IDLE']"]


def test_a_state_that_expired_while_its_way_was_cut_need_not_be_known() -> None:
    tale = session(heard=False)
    assert violations(tale) == UNHEARD
    tale.struck("cut", "rig_1", since=9.5, until=33, end="heal")
    check = checked("session", tale, session=True)
    assert check.violations == []
    (sentence,) = check.explained
    assert sentence.startswith("that rig_1 said RUNNING is not known to the terminal: the link from rig_1 up to T")


@pytest.mark.parametrize(
    "plot",
    [
        lambda tale: tale.struck("cut", "rig_2", since=9.5, until=33, end="heal"),
        lambda tale: tale.struck("cut", "rig_1", since=9.5, until=12, end="heal"),
        lambda tale: tale.struck("cut", "rig_1", since=40, until=45, end="heal"),
    ],
    ids=["elsewhere", "short", "later"],
)
def test_a_state_is_not_lost_to_any_other_fault(plot: Plot) -> None:
    tale = session(heard=False)
    plot(tale)
    assert violations(tale) == UNHEARD


def test_the_last_state_is_known_whatever_the_fault() -> None:
    tale = session(last=False).struck("cut", "rig_1", since=49, until=74, end="heal")
    assert violations(tale) == ["rig_1 said ['RUNNING', 'IDLE'], and the terminal heard ['RUNNING']"]
    hear(tale, 79, "IDLE", "rig_1_20", sender="rig_1")
    assert violations(tale) == [], "its station told the terminal in its place"


@pytest.mark.parametrize(
    ("is_marked", "station", "broke"),
    [(True, "rig_1", False), (True, "T", False), (False, "rig_1", True), (True, "rig_2", True)],
)
def test_a_state_comes_again_only_from_a_station_that_was_killed_and_marked(
    is_marked: bool, station: str, broke: bool
) -> None:
    tale = session().struck("kill", station, since=10.1, until=15, end="restart", what="station")
    hear(tale, 16, "RUNNING", "_rig_1_0", redelivered=is_marked)
    said = ["rig_1 said ['RUNNING', 'IDLE'], and the terminal heard ['RUNNING', 'RUNNING', 'IDLE']"]
    assert violations(tale) == (said if broke else [])


def test_a_program_that_goes_on_after_its_death_says_so_and_began_nothing_anew() -> None:
    tale = session().struck("kill", "rig_1", since=20, until=25, end="restart", what="program")
    tale.at(25.5).begin_life("_rig_1")
    state(tale, 26, "RUNNING", "_rig_1_0.1", life=1)
    assert violations(tale) == []
    state(tale, 27, "RUNNING", "_rig_1_1.1", life=1)
    assert violations(tale) == ["rig_1 began 2 tasks in one life, and was to begin 0"]


def test_one_start_begins_one_task() -> None:
    tale = session()
    tale.at(30).note("handled", "_rig_1", key="START", id="T_1", first="_T_1", value={"session": 0})
    state(tale, 30, "RUNNING", "_rig_1_5")
    assert violations(tale) == ["rig_1 began 2 tasks in one life, and was to begin 1"]


STATION = ["the station rig_1 called its own state IDLE while its program's was RUNNING"]


def test_what_a_station_says_by_itself_is_excused_only_by_what_its_program_said() -> None:
    tale = session()
    hear(tale, 30, "IDLE", "rig_1_3", sender="rig_1")
    assert violations(tale) == STATION
    tale.struck("cut", "rig_1", since=25, until=29, end="heal")
    assert violations(tale) == STATION, "its program never said that by then"


def test_a_station_that_was_killed_does_not_know_its_programs_state() -> None:
    tale = session()
    hear(tale, 30, None, "rig_1_3", sender="rig_1")
    unknown = [STATION[0].replace("IDLE", "None")]
    assert violations(tale) == unknown
    tale.struck("kill", "rig_1", since=40, until=42, end="restart", what="station")
    assert violations(tale) == unknown, "it was killed later than that"
    tale.struck("kill", "rig_1", since=20, until=22, end="restart", what="station")
    assert violations(tale) == []


# -- proof -------------------------------------------------------------------------------------------------------------


def trials(tale: Tale, count: int, *, since: float = 12, life: int = 0, lost: int = 0) -> None:
    for n in range(count):
        id = f"_rig_1_{10 + n}" + (f".{life}" if life else "")
        tale.at(since + 0.1 * n).made(id, "_rig_1", "T", "DATA", life=life)
        if n >= lost:
            tale.handled(id, "_T", "DATA", first=id)
            tale.settled(id, "_rig_1", key="DATA", life=life)
        else:
            tale.at(since + 25 + 0.1 * n).settled(id, "_rig_1", "no confirmation came", key="DATA", life=life)


def test_what_a_program_counted_before_it_was_killed_is_counted_by_nobody() -> None:
    tale = session(proof={"count": 2, "here": 5, "agrees": False})
    trials(tale, 3)
    trials(tale, 2, since=30, life=1)
    broke = [
        "rig_1 counts 2 messages of session 0, and the terminal has 5",
        "rig_1 made 5 messages, and its proofs cover 2",
    ]
    assert violations(tale) == broke
    tale.struck("kill", "rig_1", since=20, until=25, end="restart", what="program")
    tale.at(26).begin_life("_rig_1")
    check = checked("session", tale, session=True)
    assert check.violations == []
    assert check.explained == [f"{broke[0]}: the program of rig_1 was killed at 20.0 s, back at 26.0 s"]


@pytest.mark.parametrize(
    ("victim", "here", "is_explained"),
    [("T", 1, True), ("T", 4, False), ("rig_1", 1, False), ("rig_2", 1, False)],
)
def test_the_terminal_lacks_only_what_it_had_before_its_own_death(victim: str, here: int, is_explained: bool) -> None:
    tale = session(proof={"count": 3, "here": here, "agrees": False})
    trials(tale, 3, since=30, life=1 if victim == "rig_1" else 0)
    tale.struck("kill", victim, since=20, until=25, end="restart", what="program")
    tale.at(26).begin_life("_" + victim)
    assert bool(violations(tale)) is not is_explained


def test_what_the_terminal_handled_after_its_death_it_has() -> None:
    tale = session(proof={"count": 3, "here": 2, "agrees": False})
    trials(tale, 3, since=30)
    for entry in tale.journal.of("handled"):
        entry.life = 1 if entry.key == "DATA" else entry.life
    tale.struck("kill", "T", since=20, until=25, end="restart", what="program")
    tale.at(26).begin_life("_T")
    assert violations(tale) == ["rig_1 counts 3 messages of session 0, and the terminal has 2"]


def test_what_was_lost_to_a_fault_is_not_at_the_terminal() -> None:
    tale = session(proof={"count": 3, "here": 2, "agrees": False})
    trials(tale, 3, lost=1)
    assert "rig_1 counts 3 messages of session 0, and the terminal has 2" in violations(tale)
    tale.struck("cut", "rig_1", since=11, until=36, end="heal")
    assert violations(tale) == []
    assert checked("trials", tale, session=True).figures == "0 lost, 0 twice, 1 explained by faults"


# -- who did nothing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plot", "is_explained"),
    [
        (lambda _: None, False),
        (lambda tale: tale.struck("kill", "rig_1", since=8, until=45, end="restart"), True),
        (lambda tale: tale.struck("cut", "rig_1", since=8, until=45, end="heal"), True),
        (lambda tale: tale.struck("kill", "rig_1", since=8, until=20, end="restart"), False),
        (lambda tale: tale.struck("kill", "rig_2", since=8, until=45, end="restart"), False),
    ],
    ids=["no fault", "it was dead", "it was cut off", "not for long", "another was dead"],
)
def test_who_did_nothing_all_session_is_excused_only_if_faults_left_it_no_time(plot: Plot, is_explained: bool) -> None:
    tale = Tale()
    tale.at(9).made("_T_0", "_T", "rig_2", "START")
    tale.at(50).made("_T_1", "_T", "rig_2", "STOP")
    plot(tale)
    silent = "whether trials of rig_1 arrive: it made none"
    check = checked("trials", tale, session=True)
    assert [sentence.startswith(silent) for sentence in check.explained] == ([True] if is_explained else [])
    assert (f"not known: {silent}" in check.violations) is not is_explained


def test_a_lost_trial_is_named_with_its_rig(run: Evidence) -> None:
    forget(run, "handled", first="_rig_1_1")
    found(run, "settled", id="_rig_1_1").value = "expired"
    assert broke(run) == {
        "trials": ["rig_1: 1 of 3 lost, first _rig_1_1"],
        "confirm": ["DATA _rig_1_1 from _rig_1 to T was never confirmed: expired"],
        "expect": ["trials lost: 1 > 0"],
    }


def test_a_trial_that_came_twice_is_told_with_its_rig(run: Evidence) -> None:
    again(run, "handled", first="_rig_1_1")
    assert broke(run) == {
        "trials": ["rig_1: 1 of 3 handled twice"],
        "confirm": ["DATA _rig_1_1 from _rig_1 to T was handled 2 times by _T in one life"],
        "expect": ["trials handled twice: 1 > 0"],
    }


def test_a_row_says_what_became_of_a_rigs_trials(run: Evidence) -> None:
    forget(run, "handled", first="_rig_1_2")
    forget(run, "settled", id="_rig_1_2")
    for trace in crossings(run, "_rig_1_2"):
        run.journal.traces.remove(trace)
    [row] = trial_rows(Index(run))
    assert (row.rig, row.made, row.sent, row.handled, row.confirmed, row.twice) == ("rig_1", 3, 2, 2, 2, 0)
    assert row.missing == ["_rig_1_2"]


def test_a_state_that_the_terminal_never_heard_is_told(run: Evidence) -> None:
    forget(run, "state", by="_T", value={"state": "IDLE", "pilot": "rig_1"})
    assert broke(run) == {"session": ["rig_1 said ['RUNNING', 'IDLE'], and the terminal heard ['RUNNING']"]}


def test_a_state_that_a_station_took_from_a_child_is_told(run: Evidence) -> None:
    found(run, "state", by="_T", first_sender="rig_1").value["state"] = "IDLE"
    sentence = "the station rig_1 called its own state IDLE while its program's was RUNNING"
    assert broke(run) == {"session": [sentence]}


def test_a_station_may_be_late_with_its_state_where_the_cpus_of_this_computer_were_full(run: Evidence) -> None:
    told = found(run, "state", by="_T", first_sender="rig_1")
    told.value["state"] = "IDLE"
    run.busy = [(told.t - 10**9, told.t - 10**8)]
    assert broke(run) == {}
    told.value["state"] = "LEARNING"
    assert list(broke(run)) == ["session"]


def test_a_rig_that_never_proved_its_data_is_named(run: Evidence) -> None:
    forget(run, "cohere")
    assert broke(run) == {
        "session": [
            "rig_1 never proved that the terminal has all of session 0",
            "rig_1 made 3 messages, and its proofs cover 0",
        ]
    }


def test_a_proof_that_does_not_agree_is_told_with_both_counts(run: Evidence) -> None:
    found(run, "cohere").value |= {"agrees": False, "here": 2}
    assert broke(run) == {"session": ["rig_1 counts 3 messages of session 0, and the terminal has 2"]}


def test_a_copy_of_as_many_messages_that_differs_is_told(run: Evidence) -> None:
    found(run, "cohere").value |= {"agrees": False}
    assert broke(run) == {"session": ["the 3 messages of session 0 are not the same at rig_1 and at the terminal"]}


def test_a_proof_that_another_copy_would_fit_is_no_proof(run: Evidence) -> None:
    found(run, "cohere").value |= {"blind": True}
    sentence = "the proof of rig_1 for session 0 would also fit a copy that differs, so it is none"
    assert broke(run) == {"session": [sentence]}


def test_a_rig_vouches_for_all_that_it_made(run: Evidence) -> None:
    found(run, "cohere").value |= {"count": 2, "here": 2}
    assert broke(run) == {"session": ["rig_1 made 3 messages, and its proofs cover 2"]}
