"""A terminal's station: who may end it, and what it says of where it listens."""

from __future__ import annotations

import re

import pytest

from tests.autopilot_net.roles.lone_roles import TerminalRole
from tests.harness import said_by


@pytest.mark.parametrize(
    ("sender", "came_from", "obeyed"), [("_T", "_T", True), ("_T", "rig_1", False), ("T", "rig_1", False)]
)
def test_a_terminal_is_killed_by_its_own_program_alone(sender: str, came_from: str, obeyed: bool) -> None:
    terminal = TerminalRole()
    terminal.hear(sender, "KILL", came_from=came_from)
    assert terminal.station.closing.is_set() is obeyed


def test_a_terminal_on_loopback_with_pilots_elsewhere_says_so_once() -> None:
    code = (
        "from autopilot_net import Terminal_Station\n"
        "station = Terminal_Station({'rig_1': {'ip': '192.0.2.7'}, 'rig_2': {}}, listen_port=0)\n"
        "station.start(); station.release()"
    )
    _, complaints = said_by(code)
    assert re.findall(r"terminal T .*", complaints) == [
        "terminal T listens on loopback alone, so rig_1 cannot reach it; give it listen_ip='*'"
    ]


def test_a_terminal_whose_pilots_are_all_here_says_nothing() -> None:
    code = (
        "from autopilot_net import Terminal_Station\n"
        "station = Terminal_Station({'rig_1': {'ip': '127.0.0.1'}, 'rig_2': {}}, listen_port=0)\n"
        "station.start(); station.release()"
    )
    _, complaints = said_by(code)
    assert "loopback" not in complaints
