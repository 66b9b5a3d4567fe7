"""Machines whose clocks differ know by how much, and the terminal knows it of each: with roles alone, and for real."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Message, Pilot_Station, Terminal_Station
from autopilot_net.protocol.clock import ClockOffset
from tests.autopilot_net.roles.lone_roles import PilotRole, TerminalRole
from tests.conftest import eventually
from tests.harness import Lab, lab, shake_hands, started_by

KNOWN = ClockOffset(-3.5, 0.25)
TOLD = {"offset": -3.5, "uncertainty": 0.25}


# -- roles -------------------------------------------------------------------------------------------------------------


def pilot(id: str = "rig_1", parent: str = "T", **settings: Any) -> PilotRole:
    """One that knows its clock."""
    made = PilotRole(id, parent, **settings)
    made.host.offset = KNOWN
    return made


@pytest.mark.parametrize("key", ["STATE", "HANDSHAKE"])
def test_what_a_pilot_passes_up_of_its_own_program_tells_of_its_clock(key: str) -> None:
    value: Any = {"pilot": "rig_1"} if key == "HANDSHAKE" else "RUNNING"
    (passed,) = pilot().answers("_rig_1", key, value, clock={"offset": 99.0})
    assert (passed.key, passed.value, passed.extra["clock"]) == (key, value, TOLD)


def test_what_a_pilot_says_by_itself_tells_of_its_clock() -> None:
    rig = pilot(ping_interval=5.0)
    rig.pilot.begin()
    rig.host.wait(5.0)
    rig.hear("T", "PING")
    rig.pilot.neighbour("T", is_there=True)
    assert [(one.key, one.extra["clock"]) for one in rig.host.take()] == [
        *[("STATE", TOLD)] * 2,
        ("HANDSHAKE", TOLD),
    ]


def test_a_pilot_that_does_not_know_its_clock_says_nothing_of_it() -> None:
    (passed,) = PilotRole().answers("_rig_1", "STATE", "RUNNING")
    assert "clock" not in passed.extra


@pytest.mark.parametrize(("key", "value"), [("STATE", "IDLE"), ("HANDSHAKE", {"pilot": "cam"})])
def test_what_a_child_tells_of_its_clock_is_passed_on_as_the_childs(key: str, value: Any) -> None:
    told = {"offset": 7.0, "uncertainty": 0.5}
    (passed,) = pilot().answers("cam", key, value, clock=told, origin={"sender": "_cam", "id": "_cam_1"})
    assert passed.extra["clock"] == told
    (passed,) = pilot().answers("cam", key, value)
    assert "clock" not in passed.extra


@pytest.mark.parametrize(("key", "value"), [("STATE", "IDLE"), ("HANDSHAKE", {"pilot": "rig_1"})])
def test_the_terminal_keeps_what_each_machine_tells_of_its_clock(key: str, value: Any) -> None:
    terminal = TerminalRole()
    terminal.hear("rig_1", key, value, clock=TOLD)
    terminal.hear("rig_1", "STATE", "RUNNING")
    assert terminal.role.pilots["rig_1"]["clock"] == TOLD


@pytest.mark.parametrize(
    "clock",
    [
        *(None, 3.5, [], {}, {"offset": 1.0}, {"offset": "1", "uncertainty": 0.0}),
        *({"offset": 1.0, "uncertainty": None}, {"offset": 1.0, "uncertainty": math.inf}),
        {"offset": math.nan, "uncertainty": 0.0},
    ],
)
def test_what_is_no_clock_is_not_kept(clock: Any) -> None:
    terminal = TerminalRole()
    terminal.hear("rig_1", "STATE", "IDLE", clock=clock)
    assert terminal.role.pilots["rig_1"] == {"state": "IDLE"}


# -- stations ----------------------------------------------------------------------------------------------------------


class Ahead(Pilot_Station):
    """A pilot whose machine's wall clock is an hour ahead of everybody's."""

    def run(self) -> None:
        """Set the clock, in the station's process alone."""
        true = time.time
        time.time = lambda: true() + 3_600.0
        super().run()


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.fixture
def chain() -> Iterator[Lab]:
    """T, below it rig, an hour ahead, and below that cam."""
    with lab() as it:
        top = it.terminal()
        rig = it.begin(Ahead("rig", push_port=top.port, listen_port=0, ping_interval=0.05))
        cam = it.pilot("cam", rig, ping_interval=0.05)
        it.node("_T", top, "HANDSHAKE", "STATE")
        for station, parent in ((rig, "T"), (cam, "rig")):
            shake_hands(it.node("_" + station.id, station), parent)
        yield it


def is_within(told: dict[str, float], offset: float) -> bool:
    return abs(told["offset"] - offset) <= told["uncertainty"] < 1.0


def tells_its_clock(machine: str) -> Callable[[Message], bool]:
    return lambda one: bool(one.value["pilot"] == machine) and "clock" in one


def test_stations_know_how_far_their_clocks_are_from_the_terminals(chain: Lab) -> None:
    assert chain.look("T")["clock"] == {"offset": 0.0, "uncertainty": 0.0}
    assert is_within(chain.look_until("rig", lambda facts: bool(facts["clock"]))["clock"], -3_600.0)
    assert is_within(chain.look_until("cam", lambda facts: bool(facts["clock"]))["clock"], 0.0)


def test_the_terminal_is_told_of_every_clock_and_tells_its_program(chain: Lab) -> None:
    facts = chain.look_until("T", lambda facts: all("clock" in facts["pilots"].get(id, {}) for id in ("rig", "cam")))
    assert is_within(facts["pilots"]["rig"]["clock"], -3_600.0)
    assert is_within(facts["pilots"]["cam"]["clock"], 0.0)
    for machine, offset in (("rig", -3_600.0), ("cam", 0.0)):
        assert is_within(chain.heard["_T"].until("STATE", tells_its_clock(machine)).clock, offset)


def test_a_program_knows_it_of_its_own_machine(chain: Lab) -> None:
    chain.look_until("cam", lambda facts: bool(facts["clock"]))
    node = chain.node("late", chain.stations["cam"])
    assert node.send("cam", "PING", repeat=True).wait()
    told = eventually(lambda: node.clock_offset)
    assert told is not None
    assert is_within({"offset": told.offset, "uncertainty": told.uncertainty}, 0.0)


def test_a_stations_clock_is_asked_for_in_its_own_process() -> None:
    with pytest.raises(AutopilotNetError, match="its own process"):
        _ = Terminal_Station(listen_port=0).clock_offset
