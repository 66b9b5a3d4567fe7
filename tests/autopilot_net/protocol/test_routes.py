"""Hops that lead nowhere: who sent by them is told at once, and what it sends after that waits for nothing."""

import json
from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Dropped, Expired, Transmit
from autopilot_net.protocol.routes import Routes
from tests.autopilot_net.protocol.test_frames import station
from tests.autopilot_net.protocol.test_router import lab
from tests.autopilot_net.protocol.wire import Wire


@pytest.mark.parametrize("sender", ["_T", "T", "_rig_1", "cam"])
@pytest.mark.parametrize("hops", [("T", "rig_1", "rig_2"), ("T", "nobody", "rig_2"), ("T", "rig_1", "wheel", "rig_2")])
def test_siblings_are_no_way_and_hold_up_nothing(sender: str, hops: tuple[str, ...]) -> None:
    wire = lab()
    first = wire.send(sender, "rig_2", "by siblings", hops=hops)
    second = wire.send(sender, "rig_2", "by its id")
    wire.run()
    if hops[1:3] == ("rig_1", "wheel"):  # nobody on the way knows yet that this leads nowhere
        assert wire.of(sender, Expired) == []
        return
    (expired,) = wire.of(sender, Expired)
    assert (expired.id, expired.to) == (first, "rig_2")
    assert expired.reason.startswith(f"{hops[1]} does not lead to rig_2, which is a neighbour here: ")
    assert wire.got("rig_2") == ["by its id"]
    assert wire.of(sender, Confirmed) == [Confirmed(second, "rig_2")]


def test_who_sent_it_from_afar_is_told_by_the_way_it_came() -> None:
    wire = lab()
    for name in ("T", "rig_1", "wheel"):
        wire[name].routes.behind.pop("cam", None)
    sent = wire.send("cam", "wheel", hops=("wheel", "rig_1", "T", "rig_2", "wheel"))
    wire.run()
    (expired,) = wire.of("cam", Expired)
    assert expired.id == sent
    assert expired.reason.startswith("rig_2 does not lead to wheel, which is below rig_1: ")
    (dropped,) = wire.of("T", Dropped)
    assert dropped.reason == expired.reason


@pytest.mark.parametrize("hops", [("T", "rig_1", "wheel"), ("rig_1", "wheel"), ("wheel", "wheel"), ("wheel",)])
def test_what_leads_there_is_a_way_also_by_a_detour(hops: tuple[str, ...]) -> None:
    wire = lab()
    sent = wire.send("_rig_1", "wheel", hops=hops)
    wire.run()
    assert wire.of("_rig_1", Confirmed) == [Confirmed(sent, "wheel")]


def test_what_seeks_no_confirmation_goes_where_it_is_sent() -> None:
    wire = lab()
    wire.send("_T", "rig_2", hops=("rig_1", "rig_2"), repeat=False)
    wire.run()
    (dropped,) = wire.of("rig_1", Dropped)
    assert (dropped.recipient, wire.of("_T", Expired)) == ("rig_2", [])


UNNUMBERED = json.dumps({"id": "1", "to": "b", "sender": "n", "key": "K", "seq": 1, "inc": 5}).encode()


@pytest.mark.parametrize("odd", [b"{opaque", b"[]", b"{}", UNNUMBERED])
def test_what_nobody_could_be_told_of_goes_where_it_is_sent(odd: bytes) -> None:
    (effect,) = station(below=("n", "a", "b")).receive("n", [b"s", b"a", b"b", odd], now=0)
    assert isinstance(effect, Transmit)
    assert effect.peer == "a"


@pytest.mark.parametrize("at", ["somebody", ["rig_2"], None, 5, ""], ids=repr)
def test_a_failure_is_believed_of_whom_the_message_was_for_alone(at: Any) -> None:
    wire = Wire({"T": None}, {"n": "T"})
    sent = wire.send("n", "T")
    wire.flights.clear()
    said = Message(id="c", to="n", sender="x", key="CONFIRM", value=sent, re=["n#1", 1], failed=True, at=at)
    said.flags["NOREPEAT"] = True
    assert wire["n"].receive("T", [said.serialize()], now=0) == []
    said["at"] = "T"
    (expired,) = wire["n"].receive("T", [said.serialize()], now=0)
    assert isinstance(expired, Expired)
    wire.sought.clear()


def test_what_a_way_is_for_all_that_is_known() -> None:
    routes = Routes("me", "up")
    for peer in ("up", "a", "b"):
        routes.meet(peer)
    routes.learn("x", "a")
    for way in (["b"], ["a", "x"], ["a", "_x"], ["a", "a"], ["a", "_a"], ["up", "y"], ["above", "y"], ["a", "up"]):
        assert routes.wrong_turn(way) is None
    for way in (["b", "x"], ["a", "b"], ["a", "_b"], ["x", "b"], ["a", "b", "x"], ["up", "x"], ["above", "x"]):
        assert routes.wrong_turn(way)


def test_what_was_said_below_of_a_station_above_is_forgotten_once_that_is_known_to_be_above() -> None:
    routes = Routes("rig", "up")
    for peer in ("liar", "cam"):
        routes.meet(peer)
    for name in ("T", "_T"):
        routes.learn(name, "liar")
    routes.learn("wheel", "cam")
    assert routes.next_hop("T") == routes.next_hop("_T") == "liar", "nobody knows yet where it is"
    routes.rise(["up", "T"])
    assert routes.next_hop("T") == routes.next_hop("_T") == "up"
    assert routes.next_hop("wheel") == "cam"
    assert not routes.learn("T", "liar")
