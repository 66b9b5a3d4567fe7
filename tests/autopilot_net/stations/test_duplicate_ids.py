"""A second machine under a live id, for real: it is told to the terminal with both addresses, and a reboot is not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import Pilot_Station, Station
from tests.conftest import eventually
from tests.harness import Lab, lab, shake_hands, started_by

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second address on loopback unasked")


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.fixture
def it() -> Iterator[Lab]:
    """A terminal whose program hears ERRORs."""
    with lab() as made:
        made.node("_T", made.terminal(), "ERROR", "HANDSHAKE", "STATE")
        yield made


def pilot(it: Lab, id: str, parent: Station, *, source: str = "127.0.0.1", **settings: Any) -> Pilot_Station:
    """A pilot below `parent` whose connection comes from the address `source`; zmq takes that before a semicolon."""
    settings = {"listen_port": 0, "ping_interval": None, "liveness_s": 0.1, "repeat_interval": 0.2, **settings}
    push_ip = f"{source}:0;127.0.0.1"
    return it.begin(Pilot_Station(id, push_ip=push_ip, push_port=parent.port, push_id=parent.id, **settings))


def test_two_machines_under_one_id_are_told_to_the_terminals_program_once_with_both_addresses(it: Lab) -> None:
    top = it.stations["T"]
    twins = [pilot(it, "rig_1", top, source=f"127.0.0.{n}", ping_interval=0.05) for n in (1, 2)]
    error = it.heard["_T"].until("ERROR")
    assert error.value["machine"] == "rig_1"
    assert error.value["traceback"] == ""
    sentence = error.value["exception"]
    assert sentence.startswith("two that run are both rig_1, one at 127.0.0.1, one at 127.0.0.2: T hears now")
    it.heard["_T"].until("STATE", times=60)  # meanwhile they have taken the id from one another some more times
    for twin in twins:
        twin.release()
    assert len(it.heard["_T"].of("ERROR")) == 1


def test_twins_of_a_child_are_told_by_its_parent_to_the_terminal(it: Lab) -> None:
    rig = it.pilot("rig_1", it.stations["T"])
    twins = [pilot(it, "cam", rig, source=source) for source in ("127.0.0.1", "127.0.0.3")]
    error = it.heard["_T"].until("ERROR")
    for twin in twins:
        twin.release()
    assert error.value["machine"] == "cam"
    assert "one at 127.0.0.1, one at 127.0.0.3: rig_1 hears" in error.value["exception"]


def test_a_machine_that_reboots_and_moves_is_no_twin_of_its_former_lives(it: Lab) -> None:
    top = it.stations["T"]
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.1"):
        rig = pilot(it, "rig_1", top, source=source)
        program = it.node("_rig_1", rig)
        shake_hands(program, "T")
        program.release()
        rig.kill()
        rig.join()
    assert it.look("T")["senders"].keys() >= {"_T"}
    assert it.heard["_T"].of("ERROR") == []


def test_a_machine_whose_ghost_is_silent_for_good_is_no_twin(it: Lab) -> None:
    """A stopped process is what is left of a machine that lost its power: its connection is there, and says nothing."""
    top = it.stations["T"]
    ghost = pilot(it, "rig_1", top)
    it.look_until("T", lambda facts: "rig_1" in facts["senders"])
    assert ghost.pid is not None
    os.kill(ghost.pid, signal.SIGSTOP)
    try:
        for source in ("127.0.0.2", "127.0.0.2"):
            rig = pilot(it, "rig_1", top, source=source)
            program = it.node("_rig_1", rig)
            shake_hands(program, "T")
            program.release()
            rig.release()
        assert it.heard["_T"].of("ERROR") == []
    finally:
        ghost.kill()
        ghost.join()


def test_the_counter_of_a_node_that_listens_itself_counts_twins(it: Lab) -> None:
    hub = it.node("hub", it.stations["T"], router_port=0)
    assert hub.router_port is not None
    settings: dict[str, Any] = {"listen_port": 0, "ping_interval": None, "liveness_s": 0.1}
    for source in ("127.0.0.1", "127.0.0.4"):
        push_ip = f"{source}:0;127.0.0.1"
        it.stations[source] = Pilot_Station("n", push_ip=push_ip, push_port=hub.router_port, push_id="hub", **settings)
        it.stations[source].start()
    eventually(lambda: hub.counters.get("twins"))
    assert it.heard["_T"].until("ERROR").value["machine"] == "n"
