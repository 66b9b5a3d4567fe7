"""The recorder journals what arrives at the terminal's program."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import Message
from sim.emulator.recorder import Recorder
from sim.emulator.sender import Sender
from tests.sim.emulator.made_up_lab import Journal


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def recorder(journal: Journal, told: list[tuple[Any, ...]]) -> Recorder:
    return Recorder(Sender(journal, lambda *_: None), lambda *words: told.append(words))


def message(key: str, value: Any, **facts: Any) -> Message:
    return Message(id="_rig_1_1", to="_T", sender="T", key=key, value=value, **facts)


def test_a_handshake_is_told_with_whether_the_program_itself_sent_it(
    recorder: Recorder, journal: Journal, told: list[tuple[Any, ...]]
) -> None:
    hear = recorder.listens()["HANDSHAKE"]
    hear(message("HANDSHAKE", {"pilot": "rig_1"}, origin={"sender": "_rig_1", "id": "a"}))
    hear(message("HANDSHAKE", {"pilot": "rig_1"}, origin={"sender": "rig_1", "id": "b"}))
    assert told == [("shook", "rig_1", True), ("shook", "rig_1", False)]
    assert [what for what, _ in journal.lines] == ["shook", "shook"]


def test_what_the_station_says_of_one_that_is_gone_is_no_state_of_it(recorder: Recorder, journal: Journal) -> None:
    hear = recorder.listens()["STATE"]
    hear(message("STATE", {"state": "DISCONNECTED", "pilot": "rig_1"}))
    hear(message("STATE", {"state": "IDLE", "pilot": "rig_1"}))
    assert [(what, facts["value"].get("state")) for what, facts in journal.lines] == [("gone", None), ("state", "IDLE")]


def test_an_item_is_the_same_with_what_stations_added_to_it(recorder: Recorder, journal: Journal) -> None:
    item = {"stream": "rig_1/wheel/0", "n": 4, "x": 0.5}
    recorder.on_item(message("CONTINUOUS", item))
    recorder.on_item(message("CONTINUOUS", {**item, "pilot": "rig_1", "continuous": True}))
    one, other = (facts for _, facts in journal.lines)
    assert (one["stream"], one["n"]) == ("rig_1/wheel/0", 4)
    assert one["print"] == other["print"]


def test_a_trial_that_is_redelivered_is_counted_once(recorder: Recorder, journal: Journal) -> None:
    hear = recorder.listens()["DATA"]
    trial = {"pilot": "rig_1", "subject": "a", "session": 0, "trial_num": 0, "stage": 0}
    for _ in range(2):
        hear(message("DATA", trial, origin={"sender": "_rig_1", "id": "same"}))
    assert [what for what, _ in journal.lines] == ["handled", "handled"]
    asked = {"pilot": "rig_1", "subject": "a", "session": 0, "count": 1, "digest": "unknown"}
    recorder.listens()["COHERE"](message("COHERE", asked))
    assert journal.lines[-1][1]["value"]["here"] == 1


def test_an_error_on_purpose_is_no_exception_of_the_lab(
    recorder: Recorder, journal: Journal, told: list[tuple[Any, ...]]
) -> None:
    hear = recorder.listens()["ERROR"]
    said = "OnPurposeError: raised on purpose, by the rehearsal, in the program"
    on_purpose = {"machine": "rig_1", "exception": said}
    hear(message("ERROR", on_purpose))
    hear(message("ERROR", {"machine": "rig_1", "exception": "OSError: encoder unplugged"}))
    assert [what for what, _ in journal.lines] == ["raised", "exception"]
    assert told[0] == ("raised", "rig_1", "program")


def test_the_terminals_own_answer_to_a_ping_is_no_state(recorder: Recorder, journal: Journal) -> None:
    recorder.listens()["STATE"](message("STATE", None))
    assert [what for what, _ in journal.lines] == ["pong"]
