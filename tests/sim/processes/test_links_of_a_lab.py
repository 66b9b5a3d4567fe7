"""Stations and nodes of the library over links that are cut, reset and held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autopilot_net import Delivery
from sim.processes.relay_process import RelayedLink
from tests.conftest import eventually
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S
from tests.sim.processes.cable import Cable, linked

REPEAT_S = 1.0
LIVENESS_S = 0.6


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@dataclass
class Above:
    """What a pilot takes for its parent: the relay."""

    id: str
    port: int


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Lab, Cable]]:
    """A terminal, and rig_1 below it through a relay, with their programs. The terminal knows rig_1."""
    with lab() as it:
        top = it.terminal(repeat_interval=REPEAT_S)
        with linked(tmp_path, RelayedLink(name="rig_1", port=top.port)) as links:
            trace = tmp_path / "journal" / "rig_1.trace.jsonl"
            above = Above("T", links.ports["rig_1"])
            rig = it.pilot("rig_1", above, repeat_interval=REPEAT_S, liveness_s=LIVENESS_S, trace=trace)
            it.node("_T", top, "HANDSHAKE", "DATA")
            it.node("_rig_1", rig, repeat_interval=REPEAT_S)
            shake_hands(it.nodes["_rig_1"], "T")
            yield it, Cable(links, tmp_path, {})


def send_trials(it: Lab, count: int) -> list[Delivery]:
    return [it.nodes["_rig_1"].send("T", "DATA", {"pilot": "rig_1", "n": n}, repeat=True) for n in range(count)]


def numbers(it: Lab) -> list[int]:
    """Of the trials that the terminal's program has handled so far."""
    return [one.value["n"] for one in it.heard["_T"].of("DATA")]


def test_a_station_gives_a_mute_connection_up_and_what_was_sent_on_it_arrives_once(small: tuple[Lab, Cable]) -> None:
    it, cable = small
    cable.do("mute")
    handles = send_trials(it, 3)
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert any(trace.do == "Reconnect" for trace in cable.traces())
    assert numbers(it) == [0, 1, 2]


def test_a_station_notices_a_cut_by_its_probes_and_what_was_sent_meanwhile_arrives_once(
    small: tuple[Lab, Cable],
) -> None:
    it, cable = small
    cable.do("cut")
    handles = send_trials(it, 3)
    eventually(lambda: any(trace.do == "Reconnect" for trace in cable.traces()))
    assert numbers(it) == []
    assert not any(handle.confirmed for handle in handles)
    cable.do("heal")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == [0, 1, 2]


def test_a_burst_whose_connection_is_reset_arrives_once_and_in_order(small: tuple[Lab, Cable]) -> None:
    it, cable = small
    cable.do("shape", rate_mbit=4, way="up")  # so that most of it is under way
    handles = send_trials(it, 500)
    it.heard["_T"].until("DATA", times=50)
    cable.do("reset")
    assert len(numbers(it)) < 400
    cable.do("heal")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == list(range(500))
    assert cable.words() == ["connected", "shape", "reset", "reset", "heal", "connected"]


@pytest.mark.parametrize("is_given_up", [False, True], ids=["repeats", "connects anew"])
def test_messages_held_longer_than_a_repeat_or_a_connection_arrive_once_and_in_order(
    small: tuple[Lab, Cable], is_given_up: bool
) -> None:
    it, cable = small
    cable.do("hold")
    handles = send_trials(it, 100)
    last = handles[-1].id

    def tries() -> int:
        return sum(trace.do == "Transmit" and trace.peer == "T" and last in trace.head for trace in cable.traces())

    eventually(lambda: cable.words().count("connected") == 2 if is_given_up else tries() >= 3)
    assert numbers(it) == []
    cable.do("release")
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert numbers(it) == list(range(100))
    assert cable.words()[:3] == ["connected", "hold", "connected" if is_given_up else "release"]
