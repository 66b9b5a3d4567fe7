"""Who is there: a machine that goes is told to the terminal's program within seconds, and so is its return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import DISCONNECTED, Terminal
from tests.harness import FakeHost, Lab, lab, message, shake_hands, started_by
from tests.patience import DEADLINE_S


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def terminal(*ways: list[str]) -> tuple[Terminal, FakeHost]:
    """A terminal with whom machines have shaken hands, each on its way."""
    host = FakeHost("T", neighbours=["rig_1", "rig_2"])
    role = Terminal(host)
    for way in ways:
        role.handshake(message(way[0], "HANDSHAKE", {"pilot": way[-1], "state": "IDLE"}, way=way))
    host.take()
    return role, host


def told(host: FakeHost) -> list[tuple[str, str]]:
    """The states that the program was told."""
    return [(sent.value["pilot"], sent.value["state"]) for sent in host.take() if sent.to == "_T"]


def test_all_machines_that_were_reached_by_a_neighbour_go_with_it() -> None:
    role, host = terminal(["rig_1"], ["rig_1", "cam"], ["rig_2"])
    role.neighbour("rig_1", is_there=False)
    assert told(host) == [("rig_1", DISCONNECTED), ("cam", DISCONNECTED)]
    assert role.online == {"rig_1": False, "cam": False, "rig_2": True}
    role.neighbour("rig_1", is_there=False)
    assert told(host) == [], "which is no news"


def test_one_that_is_back_says_so_by_a_handshake_or_by_its_state() -> None:
    role, host = terminal(["rig_1"])
    for back in ("HANDSHAKE", "STATE"):
        role.neighbour("rig_1", is_there=False)
        assert told(host) == [("rig_1", DISCONNECTED)]
        role.neighbour("rig_1", is_there=True)
        assert host.take() == []
        assert (role.online["rig_1"], role.pilots["rig_1"]["state"]) == (True, None)
        if back == "STATE":
            role.state(message("rig_1", "STATE", "RUNNING"))
        else:
            role.handshake(message("rig_1", "HANDSHAKE", {"pilot": "rig_1", "state": "RUNNING"}))
        assert [(one.to, one.key, one.value["state"]) for one in host.take() if one.to == "_T"] == [
            ("_T", back, "RUNNING")
        ]
        assert role.online["rig_1"]


def test_programs_and_strangers_that_come_and_go_are_no_machines() -> None:
    role, host = terminal(["rig_1"])
    for name in ("_T", "P_rig_1", "stranger"):
        role.neighbour(name, is_there=True)
        role.neighbour(name, is_there=False)
    assert host.take() == []
    assert set(role.pilots) == {"rig_1"}


def test_a_parent_tells_of_its_children_that_went() -> None:
    host = FakeHost("rig_1", "T", neighbours=["T"])
    role = Pilot(host, terminal="T")
    for way in (["cam"], ["wheel"], ["wheel", "lamp"]):
        role.handshake(message(way[0], "HANDSHAKE", {"pilot": way[-1]}, way=way))
    host.take()
    role.neighbour("wheel", is_there=False)
    sent = host.take()
    assert [(one.to, one.key, one.value, one.extra["origin"]["sender"]) for one in sent] == [
        ("T", "STATE", DISCONNECTED, "wheel"),
        ("T", "STATE", DISCONNECTED, "lamp"),
    ]
    assert set(role.children) == {"cam"}
    above, over = terminal(["rig_1"], ["rig_1", "wheel"])
    above.state(sent[0].arrived("rig_1"))
    assert told(over) == [("wheel", DISCONNECTED)]


def test_a_parent_whose_own_way_up_is_down_tells_nobody() -> None:
    host = FakeHost("rig_1", "T")
    role = Pilot(host, terminal="T")
    role.handshake(message("cam", "HANDSHAKE", {"pilot": "cam"}, way=["cam"]))
    host.take()
    role.neighbour("cam", is_there=False)
    assert host.take() == []


def states(it: Lab, machine: str) -> list[Any]:
    return [one.value["state"] for one in it.heard["_T"].of("STATE") if one.value["pilot"] == machine]


def test_a_machine_that_is_killed_is_told_and_so_is_its_return() -> None:
    with lab() as it:
        top = it.terminal()
        program = it.node("_T", top, "HANDSHAKE", "STATE", "MACHINES")
        rig = it.pilot("rig_1", top)
        cam = it.pilot("cam", rig)
        for machine, station in (("rig_1", rig), ("cam", cam)):
            shake_hands(it.node("_" + machine, station), station.push_id or "")
            it.heard["_T"].until("HANDSHAKE", lambda one, machine=machine: one.value["pilot"] == machine)  # type: ignore[misc]
        cam.kill()
        it.heard["_T"].until("STATE", lambda one: one.value == {"pilot": "cam", "state": DISCONNECTED})
        rig.kill()
        it.heard["_T"].until("STATE", lambda one: one.value == {"pilot": "rig_1", "state": DISCONNECTED})
        program.send("T", "MACHINES", repeat=True).wait(DEADLINE_S)
        table = it.heard["_T"].until("MACHINES").value
        assert {name: (known["online"], known["state"]) for name, known in table.items()} == {
            "rig_1": (False, DISCONNECTED),
            "cam": (False, DISCONNECTED),
        }
        assert table["cam"]["way"] == ["rig_1", "cam"]
        before = len(it.heard["_T"].of("HANDSHAKE"))
        it.pilot("rig_1", top, listen_port=rig.port)
        it.heard["_T"].until("HANDSHAKE", times=before + 1)
        program.send("T", "MACHINES", repeat=True).wait(DEADLINE_S)
        assert it.heard["_T"].until("MACHINES", times=2).value["rig_1"]["online"]


def test_a_parent_that_is_late_is_not_told_by_every_beat_that_a_machine_is_there() -> None:
    host = FakeHost("rig_1", "T", neighbours=["T"])
    role = Pilot(host, terminal="T", ping_interval=1.0)
    role.begin()
    host.wait(2.5)
    assert len(host.take()) == 2
    host.late = {"T"}
    host.wait(3)
    assert host.take() == []
    host.late = set()
    host.wait(1)
    assert len(host.take()) == 1
