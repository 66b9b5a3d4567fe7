"""A pilot's station: who may end it, and what its parent process is told."""

from __future__ import annotations

import pytest

from tests.autopilot_net.roles.lone_roles import PilotRole


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
