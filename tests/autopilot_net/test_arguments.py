"""Wrong names and ports are told at once, by the call that was given them, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, BadMessage, Message, Net_Node, Pilot_Station, Station, Terminal_Station

NO_IDS = ["", "\ud800", "a\0b", "x" * 101, 5, None, b"rig"]
NO_PORTS = [-1, 65_536, 70_000, True, 5560.5, "rig", "-1", "5560.0", "٣", b"5560", [5560]]


@pytest.fixture(scope="module")
def node() -> Iterator[Net_Node]:
    """A node that nobody listens to."""
    made = Net_Node("n", "nobody", 1)
    yield made
    made.release()


@pytest.fixture
def _no_thread_stays(no_thread_stays: None) -> None:
    """What was refused has started nothing."""


ID_CALLS: list[Callable[[Any], object]] = [
    lambda id: Net_Node(id, "T", 1),
    lambda id: Net_Node("n", id, 1),
    Station,
    Pilot_Station,
    lambda id: Terminal_Station(id=id),
    lambda id: Terminal_Station([id]),
    lambda id: Terminal_Station({id: {}}),
    lambda id: Pilot_Station("rig", children=[id]),
    lambda id: Pilot_Station("rig", terminal_id=id),
]


@pytest.mark.parametrize("id", NO_IDS, ids=ascii)
@pytest.mark.parametrize("call", ID_CALLS)
@pytest.mark.usefixtures("_no_thread_stays")
def test_an_id_that_is_none_is_refused_where_it_is_given(call: Callable[[Any], object], id: Any) -> None:
    with pytest.raises(AutopilotNetError, match=r"cannot be .*an id is text of 1 to 100 bytes"):
        call(id)


@pytest.mark.parametrize("id", ["", "\ud800", "x" * 101, 5], ids=ascii)
def test_a_push_id_that_is_none_is_refused(id: Any) -> None:
    with pytest.raises(AutopilotNetError, match=r"cannot be|needs push_ip"):
        Station("s", "localhost", 5560, id, pusher=True)


PORT_CALLS: list[Callable[[Any], object]] = [
    lambda port: Net_Node("n", "T", port),
    lambda port: Net_Node("n", "T", 1, router_port=port),
    lambda port: Station("s", listen_port=port),
    lambda port: Station("s", "localhost", port, "T", pusher=True),
    lambda port: Terminal_Station(listen_port=port),
    lambda port: Pilot_Station("rig", push_port=port),
]


@pytest.mark.parametrize("port", NO_PORTS, ids=ascii)
@pytest.mark.parametrize("call", PORT_CALLS)
@pytest.mark.usefixtures("_no_thread_stays")
def test_a_port_that_is_none_is_refused_where_it_is_given(call: Callable[[Any], object], port: Any) -> None:
    with pytest.raises(AutopilotNetError, match=r"cannot be .*a whole number from 0 to 65535"):
        call(port)


def test_a_port_may_be_given_in_digits_as_autopilots_prefs_do() -> None:
    made = Station("s", "localhost", "5560", "T", True, "5561")  # type: ignore[arg-type]
    assert (made.push_port, made.listen_port) == (5560, 5561)


@pytest.mark.parametrize("how", [{"port": 70_000}, {"port": True}, {"upstream": "\ud800"}, {"to": "\ud800"}], ids=str)
def test_a_stream_is_refused_what_a_node_is(node: Net_Node, how: dict[str, Any]) -> None:
    with pytest.raises(AutopilotNetError, match=r"cannot (be|go)"):
        node.get_stream("s", "X", **how)


@pytest.mark.parametrize("id", ["x" * 200, "a\0b", "\ud800"], ids=ascii)
def test_a_stream_whose_identity_zmq_could_not_carry_is_refused(node: Net_Node, id: str) -> None:
    with pytest.raises(AutopilotNetError, match=r"the identity of a stream of n would be .*choose"):
        node.get_stream(id, "X")


NOBODY = ["", [], (), {}, ["T", ""], "\ud800", ["\ud800"], "a\0b", "x" * 201, 5, [5], b"T"]


@pytest.mark.parametrize("to", NOBODY, ids=ascii)
def test_a_recipient_that_is_none_is_refused_whoever_sends(node: Net_Node, to: Any) -> None:
    for send in (
        lambda: node.send(to, "X"),
        lambda: node.send(to, msg=node.prepare_message("T", "X", None)),
        lambda: node.prepare_message(to, "X", None),
        lambda: node.send(msg=Message(id="1", to=to, sender="n", key="X")),
    ):
        with pytest.raises(BadMessage, match="a recipient is an id, or a list of ids"):
            send()
    assert not node.outbox


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "x", True])
def test_an_interval_that_is_none_is_refused_at_once(seconds: Any) -> None:
    with pytest.raises(AutopilotNetError, match="it is a number of seconds"):
        Net_Node("n", "T", 1, repeat_interval=seconds)
    with pytest.raises(AutopilotNetError, match="it is a number of seconds"):
        Pilot_Station("rig", ping_interval=seconds)


@pytest.mark.parametrize("listens", [{"A": 5}, {"A": None}, {5: print}, {"": print}, [1], 5])
def test_listens_that_could_not_be_called_are_refused_at_once(listens: Any) -> None:
    with pytest.raises(AutopilotNetError):
        Net_Node("n", "T", 1, listens)
    if isinstance(listens, dict):
        for kind in (Terminal_Station, Station, Pilot_Station):
            with pytest.raises(AutopilotNetError):
                kind(id="s", listens=listens)


def test_nobody_is_below_itself() -> None:
    with pytest.raises(AutopilotNetError, match="cannot be below itself"):
        Net_Node("T", "T", 1)
    with pytest.raises(AutopilotNetError, match="cannot be below itself"):
        Pilot_Station("rig", push_id="rig")
