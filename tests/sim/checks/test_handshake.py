"""The check `handshake`: every program shook hands, and the terminal knows the path to it."""

from __future__ import annotations

from typing import Any

import pytest

from sim.evidence.index import Evidence
from tests.sim.checks.healthy_run import again, broke, forget, found
from tests.sim.journal_builder import Tale, checked


def test_a_program_that_never_shook_hands_is_named_though_its_station_did(run: Evidence) -> None:
    forget(run, "shook", first_sender="_rig_1")
    assert broke(run) == {"handshake": ["rig_1 never shook hands with the terminal"]}


@pytest.mark.parametrize("told", [["rig_9", "rig_1"], [], None])
def test_a_way_that_the_graph_has_not_is_told_beside_the_right_one(run: Evidence, told: Any) -> None:
    found(run, "shook", first_sender="rig_1").value["way"] = told
    assert broke(run) == {"handshake": [f"rig_1 is on the way rig_1, and the terminal was told {told or []}"]}


def test_a_machine_that_is_not_in_the_lab_is_named(run: Evidence) -> None:
    again(run, "shook").value = {"machine": "rig_9", "way": ["rig_9"]}
    assert broke(run) == {"handshake": ["rig_9 shook hands, and is not in the lab"]}


def test_a_program_that_was_started_again_shakes_hands_again() -> None:
    tale = Tale()
    for machine, *way in (("rig_1", "rig_1"), ("rig_2", "rig_2"), ("cam", "rig_1", "cam")):
        tale.at(1).shook(machine, *way)
    tale.struck("kill", "rig_2", since=20, until=25, end="restart")
    tale.at(26).begin_life("rig_2", "_rig_2")
    sentence = "rig_2 never shook hands again after its program was started again"
    assert checked("handshake", tale).violations == [sentence]
    tale.at(27).shook("rig_2", "rig_2")
    assert checked("handshake", tale).violations == []
