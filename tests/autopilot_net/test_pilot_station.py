"""A pilot's station: who may end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.autopilot_net.roles.lone_roles import PilotRole
from tests.harness import Lab, confirmed
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.usefixtures("by_forkserver")


@pytest.mark.parametrize(
    ("sender", "came_from", "obeyed"),
    [
        ("T", "rig_1", True),
        ("_T", "rig_1", True),
        ("rig_1", "rig_1", True),
        ("_cam", "_cam", True),
        ("_rig_2", "rig_1", False),
        ("wheel_0", "rig_1", False),
        ("stranger", "stranger", False),
        ("lamp", "lamp", False),
        ("T", "lamp", False),
        ("_T", "stranger", False),
        ("rig_1", "lamp", False),
        ("_cam", "lamp", False),
        ("_cam", "rig_1", False),
        ("cam", "rig_1", False),
    ],
)
def test_kill_is_obeyed_from_the_terminal_the_parent_and_our_own_program_by_the_way_each_comes(
    sender: str, came_from: str, obeyed: bool
) -> None:
    cam = PilotRole("cam", "rig_1")
    cam.hear(sender, "KILL", came_from=came_from)
    assert cam.station.closing.is_set() is obeyed


@pytest.mark.parametrize("posing_as", ["stranger", "T", "_T", "_rig_1"])
def test_a_stranger_cannot_kill_a_station_whoever_it_says_it_is(small: Lab, posing_as: str) -> None:
    pid = small.look("rig_1")["pid"]
    stranger = small.node("stranger", small.stations["rig_1"])
    words = stranger.prepare_message("rig_1", "KILL", None)
    words.sender = posing_as
    stranger.send(msg=words)
    # What one sender sends to one recipient is handled in that order.
    assert stranger.send("rig_1", "STATE", "IDLE", repeat=True).wait(DEADLINE_S)
    assert small.look("rig_1")["pid"] == pid


@pytest.mark.parametrize("killer", ["_rig_1", "_T"])
def test_a_pilot_is_killed_by_its_own_program_and_by_the_terminals_and_confirms_it(
    small: Lab, tmp_path: Path, killer: str
) -> None:
    delivery = small.nodes[killer].send("rig_1", "KILL", repeat=True)
    small.stations["rig_1"].join(DEADLINE_S)
    assert small.stations["rig_1"].exitcode == 0
    assert delivery.id in confirmed(tmp_path / "rig_1.jsonl")
