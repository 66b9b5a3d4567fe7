"""Connections of one id: how they are named, how long to wait for the next, and who may not have one."""

from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.backoff import FIRST_S, LASTED_S, LONGEST_S, Backoff
from autopilot_net.protocol.connections import DEEP
from autopilot_net.protocol.effects import Dropped, Expired, Transmit
from autopilot_net.protocol.endpoint import TAKEN, Endpoint, Settings
from autopilot_net.protocol.identity import connection_of, id_of, identity_of
from autopilot_net.protocol.outbox_channel import REPEAT_FLOOR, REPEAT_SHARE, Window
from autopilot_net.protocol.probes import ProbeState
from tests.autopilot_net.protocol.test_frames import M, station
from tests.autopilot_net.protocol.wire import LOSE, PASS, Flight, Wire

# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["rig_1", "ü", "a" * 100])
@pytest.mark.parametrize("connection", ["", "1f3a.2"])
def test_an_identity_says_whose_it_is_whatever_the_connection(id: str, connection: str) -> None:
    assert id_of(identity_of(id, connection)) == id
    assert connection_of(identity_of(id, connection)) == connection


def test_the_first_connection_has_the_id_itself_as_autopilots_have() -> None:
    assert identity_of("rig_1") == b"rig_1"


@pytest.mark.parametrize("identity", [b"", b"\xff\xfe", b"\x1f1"])
def test_a_name_that_is_no_id_is_nobodys(identity: bytes) -> None:
    assert id_of(identity) is None


def test_a_connection_has_a_name_where_the_upstream_tells_them_apart() -> None:
    pilot = station()
    assert pilot.next_connection() == ""
    pilot.receive("parent", ProbeState("parent", "p").frames(), now=0)
    names = set()
    for now in range(1, 4):
        names.add(pilot.next_connection())
        pilot.lose("parent", now=now)
        pilot.meet("parent", now=now)
    assert len(names) == 3


def test_the_lives_of_a_durable_endpoint_name_their_connections_apart() -> None:
    names = set()
    for life in ("one", "two"):
        made = Endpoint("n", upstream="s", incarnation="kept", life=life)
        made.receive("s", ProbeState("s", "s1").frames(), now=0)
        names.add(made.next_connection())
    assert len(names) == 2


# -- waits ---------------------------------------------------------------------------------------------------------


def test_each_connection_that_does_not_last_is_followed_by_a_longer_wait() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(12):
        backoff.connected(now=0.0)
        waits.append(backoff.lost(now=1.0, chance=0.0))
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S


def test_one_that_lasted_is_followed_by_a_short_one() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.lost(now=0.0, chance=0.0)
    backoff.connected(now=0.0)
    assert backoff.lost(now=LASTED_S, chance=0.0) == FIRST_S


def test_chance_makes_a_wait_up_to_twice_as_long() -> None:
    assert Backoff().lost(now=0.0, chance=0.5) == 1.5 * FIRST_S


# -- who is where --------------------------------------------------------------------------------------------------


def below_mid() -> Endpoint:
    """The station `low`, which has heard from its parent `mid` that `T` is above that."""
    low = Endpoint("low", upstream="mid", forwards=True, incarnation="1")
    low.meet("mid", now=0)
    low.receive("mid", ProbeState("mid", "m", above=("T",)).frames(), now=0)
    return low


def test_a_station_learns_who_is_above_it() -> None:
    low = below_mid()
    assert low.routes.above == ("mid", "T")
    answer = low.receive("cam", ProbeState("cam", "c", number=1).frames(), now=0)[-1]
    assert isinstance(answer, Transmit)
    assert b'"above":["mid","T"]' in answer.frames[0]
    low.receive("mid", ProbeState("mid", "m", above=tuple(f"s{n}" for n in range(200))).frames(), now=0)
    assert len(low.routes.above) == DEEP + 1


@pytest.mark.parametrize("name", ["low", "_low", "mid", "_mid", "T", "_T"])
def test_nobody_below_says_where_a_station_itself_or_those_above_it_are(name: str) -> None:
    low = below_mid()
    low.meet("cam", now=0)
    facts: dict[str, Any] = {"to": "low", "key": "PING", "flags": {"NOREPEAT": True}, "inc": "x"}
    spoof = Message(id="1", sender=name, **facts)
    low.receive("cam", [b"low", b"low", spoof.serialize()], now=1)
    via = Message(id="2", sender="wheel", via=[name, "cam", "low"], **facts)
    low.receive("cam", [b"low", b"low", via.serialize()], now=2)
    back = Message(id="3", sender="cam", **{**facts, "key": "BACK"}, value=name)
    low.receive("cam", [b"low", b"low", back.serialize()], now=3)
    low.learn(name, "cam", now=4)
    assert name not in low.routes.behind
    low.lose("cam", now=5)
    assert not low.routes.is_away(name)


def test_a_neighbour_below_that_has_the_id_of_one_above_is_not_heard() -> None:
    low = below_mid()
    assert low.receive("T", [b"low", b"low", M], now=0) == [Dropped(TAKEN, "T", "")]
    assert not low.routes.has("T")


def test_a_station_is_reached_when_it_is_there_and_is_who_it_was_said_to_be() -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1")
    assert not pilot.is_reached()
    pilot.meet("parent", now=0)
    assert pilot.is_reached()
    pilot.receive("parent", ProbeState("another", "a").frames(), now=0)
    assert not pilot.is_reached()
    assert Endpoint("T", forwards=True, incarnation="1").is_reached()


def test_an_upstream_is_late_while_it_has_not_answered_for_two_intervals() -> None:
    pilot = station()
    pilot.receive("parent", [M], now=0)
    pilot.handle_timer(now=1)
    assert not pilot.is_late("parent", now=3)
    assert pilot.is_late("parent", now=3.5)
    assert not pilot.is_late("n", now=3.5)
    pilot.receive("parent", [M], now=4)
    assert not pilot.is_late("parent", now=4)


def test_what_is_sent_before_the_first_meeting_goes_out_in_its_order_confirmed_or_not() -> None:
    node = Endpoint("n", upstream="s", incarnation="1")
    effects = []
    for number in range(6):
        message = Message(id=f"n_{number}", to="s", sender="n", key="K", value=number)
        effects += node.send(message, repeat=number % 2 == 0, now=0)
    assert effects == []
    met = [effect for effect in node.meet("s", now=0) if isinstance(effect, Transmit)]
    assert [Message(effect.frames[-1]).value for effect in met] == list(range(6))


# -- repeats have a budget -----------------------------------------------------------------------------------------


def deaf(flight: Flight) -> tuple[float, ...]:
    return LOSE if flight.target == "T" and flight.frames[-1] else PASS


def repeats(wire: Wire) -> int:
    return len([message for message in wire.carried("rig", "T") if message.get("again")])


def test_what_the_clock_sends_again_is_a_share_of_what_is_new_and_a_few_in_any_case() -> None:
    count = 4 * REPEAT_FLOOR
    wire = Wire({"T": None, "rig": "T"}, settings=Settings(window=Window(messages=count)))
    wire.policy = deaf
    for number in range(count):
        wire.send("rig", "T", number)
    wire.run(5)
    assert repeats(wire) <= 1 + REPEAT_FLOOR + REPEAT_SHARE * count
    wire.run(5)
    assert repeats(wire) <= 2 + 2 * REPEAT_FLOOR + REPEAT_SHARE * count
    assert wire.of("rig", Expired) == [], "what was not sent again has spent no patience"
    wire.policy = lambda _: PASS
    wire.run(60)
    assert wire.got("T") == list(range(count))


def test_the_oldest_of_a_channel_is_sent_again_whatever_the_budget() -> None:
    wire = Wire({"T": None, "rig": "T"})
    wire.policy = deaf
    while wire["rig"].outbox._budget.take(now=0.0):
        pass
    wire.send("rig", "T", "oldest")
    wire.run(5)
    assert repeats(wire) == 1


def test_how_many_messages_await_their_confirmation_can_be_asked() -> None:
    wire = Wire({"T": None, "rig": "T"}, settings=Settings(window=Window(messages=1)))
    wire.policy = deaf
    assert wire["rig"].outbox.count("T") == 0
    for number in range(3):
        wire.send("rig", "T", number)
    assert wire["rig"].outbox.count("T") == 3


def test_a_recipient_whose_answers_are_late_is_given_longer() -> None:
    """It spends the patience of nobody, and is given nothing to read twice."""
    wire = Wire({"T": None, "rig": "T"})
    for late in (4.0, 7.0, 13.0, 25.0):
        wire.policy = lambda flight, late=late: (late,) if flight.source == "T" and flight.frames[-1] else PASS  # type: ignore[misc]
        for _ in range(3):
            wire.send("rig", "T")
            wire.run(late)
    before = repeats(wire)
    wire.send("rig", "T")
    wire.run(26)
    assert repeats(wire) == before
    wire.policy = lambda _: PASS
    for _ in range(40):
        wire.send("rig", "T")
        wire.run(1)
    wire.policy = deaf
    wire.send("rig", "T")
    wire.run(5)
    assert repeats(wire) == before + 1, "and it is forgotten when they are no longer late"
