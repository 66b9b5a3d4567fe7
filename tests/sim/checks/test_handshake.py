"""The check `handshake`: every program shook hands, and the terminal knows the path to it."""

from __future__ import annotations

from typing import Any

import pytest

from sim.evidence.index import Evidence
from tests.sim.checks.healthy_run import again, broke, forget, found


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
