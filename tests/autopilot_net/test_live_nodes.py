"""One id belongs to one node of a process at a time, on one station."""

from __future__ import annotations

import threading

import pytest

from autopilot_net import AutopilotNetError, Net_Node
from tests.autopilot_net.node_pair import Pair


def test_a_second_node_of_a_live_id_is_refused_when_it_is_made_and_the_first_goes_on(pair: Pair) -> None:
    """As a notebook's cell that is run again makes one."""
    leaf = pair.both()
    before = set(threading.enumerate())
    told = r"a node leaf on hub at 127\.0\.0\.1:\d+ already.* release\(\) it first"
    with pytest.raises(AutopilotNetError, match=told):
        Net_Node("leaf", "hub", leaf.port)
    assert set(threading.enumerate()) == before
    pair.reaches("X", None)
    leaf.release()
    pair.both()
    pair.reaches("X", None)


def test_one_id_on_two_stations_is_two_nodes(pair: Pair) -> None:
    pair.both()
    pair.nodes.append(Net_Node("leaf", "elsewhere", 1))


def test_a_node_that_could_not_be_made_keeps_its_id_from_nobody(pair: Pair) -> None:
    port = int(pair.hub.router_port or 0)
    with pytest.raises(AutopilotNetError):
        Net_Node("leaf", "hub", port, router_port=port)
    pair.both()
