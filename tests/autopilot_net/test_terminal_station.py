"""A terminal's station: who may end it, and what its parent process is told."""

from __future__ import annotations

import pytest

from autopilot_net import Terminal_Station
from tests.harness import message


@pytest.mark.parametrize(
    ("sender", "came_from", "obeyed"), [("_T", "_T", True), ("_T", "rig_1", False), ("T", "rig_1", False)]
)
def test_a_terminal_is_killed_by_its_own_program_alone(sender: str, came_from: str, obeyed: bool) -> None:
    station = Terminal_Station(listen_port=0)
    station.listens["KILL"](message(sender, "KILL", came_from=came_from))
    assert station.closing.is_set() is obeyed
