"""Tables: who is there, as the terminal says it when it is asked, is what its program was told last."""

from __future__ import annotations

from typing import Any

import pytest

from sim.checks.content.tables import wrong_tables
from sim.evidence.index import Index
from tests.sim.journal_builder import Tale, evidence

RUNS = {"online": True, "state": "RUNNING"}
IDLE = {"online": True, "state": "IDLE"}
BACK = {"online": True, "state": None}
GONE = {"online": False, "state": "DISCONNECTED"}


def heard(*states: str) -> Tale:
    """The program of the terminal is told these states of rig_1, a second apart, from second 1 on."""
    tale = Tale()
    for second, state in enumerate(states, 1):
        tale.at(second)
        if state == "DISCONNECTED":
            tale.note("gone", "_T", value={"machine": "rig_1"})
        else:
            tale.heard("rig_1", state, sender="_rig_1")
    return tale


def said(tale: Tale, row: dict[str, Any], *, at: float = 9.0) -> list[str]:
    tale.at(at).note("table", "_T", value={"rig_1": row})
    return [wrong.text for wrong in wrong_tables(Index(evidence(tale)))]


@pytest.mark.parametrize(
    ("states", "row"),
    [
        (("IDLE", "RUNNING"), RUNS),
        (("RUNNING", "DISCONNECTED"), GONE),
        (("DISCONNECTED", "RUNNING"), RUNS),
        ((), RUNS),
        (("DISCONNECTED",), BACK),
    ],
)
def test_a_table_says_what_was_told_last(states: tuple[str, ...], row: dict[str, Any]) -> None:
    assert said(heard(*states), row) == []


@pytest.mark.parametrize(
    ("states", "row", "words"),
    [
        (("IDLE", "RUNNING"), IDLE, "online, IDLE; the last that it told of it was RUNNING"),
        (
            ("RUNNING", "DISCONNECTED"),
            {**GONE, "online": True},
            "online, DISCONNECTED; the last that it told of it was DISCONNECTED",
        ),
        (("RUNNING",), GONE, "offline, DISCONNECTED; the last that it told of it was RUNNING"),
    ],
    ids=["its first state", "gone, and online", "there, and offline"],
)
def test_a_table_that_says_another_is_told(states: tuple[str, ...], row: dict[str, Any], words: str) -> None:
    assert said(heard(*states), row) == [f"asked who is there, T said that rig_1 is {words}"]


def test_what_the_terminal_missed_while_it_was_down_it_cannot_know() -> None:
    tale = heard("IDLE", "RUNNING").struck("kill", "T", since=3, until=5, end="restart")
    assert said(tale, IDLE) == []
    tale.at(40).heard("rig_1", "RUNNING", sender="_rig_1")
    assert len(said(tale, IDLE, at=60.0)) == 1


@pytest.mark.parametrize(("later", "is_right"), [(0.5, True), (5.0, False)])
def test_a_state_that_is_handled_soon_after_the_table_fits(later: float, is_right: bool) -> None:
    """Each listen of a program has a thread of its own."""
    tale = heard("IDLE")
    tale.at(9 + later).heard("rig_1", "RUNNING", sender="_rig_1")
    assert (said(tale, RUNS) == []) is is_right
