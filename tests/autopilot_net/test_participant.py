"""What a node and a station have in common, for whoever uses them."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Message, Net_Node, Pilot_Station
from autopilot_net.participant import Participant, own_ip
from tests.autopilot_net.node_pair import Pair


def test_the_counters_are_a_copy_that_nobody_can_spoil(pair: Pair) -> None:
    counters: Any = pair.hub.counters
    counters["dropped"] = 7
    assert "dropped" not in pair.hub.counters


def test_where_nobody_is_above_that_knows_the_time_it_is_not_known(pair: Pair) -> None:
    assert pair.hub.clock_offset is None


def test_a_station_is_asked_in_its_own_process() -> None:
    for name in ("clock_offset", "counters"):
        with pytest.raises(AutopilotNetError, match="own process"):
            getattr(Pilot_Station("rig_1"), name)


def test_a_participant_of_nobodys_has_no_core() -> None:
    with pytest.raises(NotImplementedError):
        _ = Participant().counters


def test_a_listen_runs_beside_others_where_it_says_so_itself() -> None:
    def beside(value: object) -> None: ...

    beside.concurrent = True  # type: ignore[attr-defined]
    with Net_Node("n", "nobody", 1, {"BESIDE": beside, "ALONE": print}) as node:
        said = [
            node.is_concurrent(Message(id="1", to="n", sender="x", key=key)) for key in ("BESIDE", "ALONE", "UNKNOWN")
        ]
    assert said == [True, False, False]


def test_nodes_and_stations_log_under_one_name(pair: Pair) -> None:
    assert pair.hub.logger is Pilot_Station("rig_1").logger
    assert pair.hub.logger.name == "autopilot_net"


def test_the_own_address_is_an_address_also_where_no_way_leads_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ipaddress.ip_address(own_ip())

    def nowhere(*_: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", nowhere)
    assert own_ip() == "127.0.0.1"
