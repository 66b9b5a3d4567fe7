"""Probes, neighbours whose pipes are full, and what may not stop a station."""

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Dropped, Lost, Met, Reconnect, Transmit
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.frames import PROBE
from autopilot_net.protocol.post import READY_AT_ONCE
from tests.protocol.test_frames import M, node, station
from tests.protocol.wire import LOSE, PASS, Wire


def probes(wire: Wire, source: str = "rig_1") -> int:
    return len([effect for effect in wire.of(source, Transmit) if effect.frames == PROBE])


def pair() -> Wire:
    return Wire({"T": None, "rig_1": "T"})


# -- probes --------------------------------------------------------------------------------------------------------


def test_a_router_sends_a_probe_back() -> None:
    assert station(below=("n",)).receive("n", PROBE, now=0) == [Transmit("n", PROBE)]


def test_a_probe_with_frames_before_it_is_one_too_and_comes_back_as_it_was() -> None:
    assert station(below=("n",)).receive("n", [b"s", b"X", b""], now=0) == [Transmit("n", (b"s", b"X", b""))]


@pytest.mark.parametrize("frames", [PROBE, (b"s", b"")], ids=["bare", "padded"])
def test_a_dealer_never_answers_a_probe(frames: tuple[bytes, ...]) -> None:
    assert node().receive("s", frames, now=0) == []


def test_each_pusher_sends_a_probe_every_liveness_s() -> None:
    wire = pair()
    wire.run(10)
    assert probes(wire) == 10
    assert wire.of("rig_1", Reconnect) == []


def test_after_three_unanswered_probes_the_socket_is_opened_anew() -> None:
    wire = pair()
    wire.run(10)
    wire.policy = lambda flight: LOSE if flight.source == "T" else PASS
    wire.run(3.5)
    assert wire.of("rig_1", Reconnect) == []
    wire.run(0.5)
    assert wire.of("rig_1", Reconnect) == [Reconnect("T")]
    wire.run(4)
    assert len(wire.of("rig_1", Reconnect)) == 2


def test_any_message_from_above_is_proof_of_life() -> None:
    wire = pair()
    wire.policy = lambda flight: LOSE if flight.frames == PROBE else PASS
    for _ in range(10):
        wire.send("T", "rig_1", repeat=False)
        wire.run(1)
    assert wire.of("rig_1", Reconnect) == []


def test_liveness_s_is_a_setting() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(liveness_s=0.25))
    wire.run(1)
    assert probes(wire) == 4


def test_while_the_parent_is_away_it_is_not_probed() -> None:
    wire = pair()
    wire.cut("rig_1")
    wire.run(100)
    assert probes(wire) == 0
    wire.connect("rig_1")
    wire.announce()
    wire.run(2)
    assert probes(wire) == 2


def test_one_that_has_never_answered_is_connected_to_once_more_and_then_left_alone() -> None:
    """Its first answer may have gone to a twin that came just then; or it is of a kind that never answers."""
    pilot = station()
    probe = Transmit("parent", PROBE)
    moves = [pilot.handle_timer(now=now) for now in range(1, 5)]
    assert moves == [[probe], [probe], [probe], [Reconnect("parent")]]
    pilot.lose("parent", now=5)
    pilot.meet("parent", now=5)
    assert [pilot.handle_timer(now=now) for now in range(6, 25)] == [[]] * 19
    pilot.receive("parent", PROBE, now=25)
    assert pilot.handle_timer(now=26) == [probe]


def test_a_full_pipe_is_no_deaf_one() -> None:
    """A probe would wait behind all that does; and to connect anew would throw that away."""
    pilot = station()
    pilot.receive("parent", PROBE, now=0)
    pilot.full("parent", [(b"parent", b"T", b"{}")])
    assert [pilot.handle_timer(now=now) for now in range(1, 20)] == [[]] * 19
    pilot.ready("parent")
    assert pilot.handle_timer(now=20) == [Transmit("parent", PROBE)]


def test_one_that_answers_is_probed_whosever_kind_it_is() -> None:
    pilot = station()
    pilot.receive("parent", PROBE, now=0)  # the answer to the one with which a socket of ours connects
    assert pilot.handle_timer(now=1) == [Transmit("parent", PROBE)]


def test_the_echo_of_a_probe_does_not_make_a_station_one_of_ours() -> None:
    pilot = station()
    pilot.receive("parent", PROBE, now=0)
    assert "parent" not in pilot.ours


def test_who_probes_is_one_of_ours() -> None:
    terminal = station("T", upstream=None)
    assert terminal.receive("rig_1", PROBE, now=0) == [Met("rig_1"), Transmit("rig_1", PROBE)]
    assert "rig_1" in terminal.ours
    terminal.lose("rig_1", now=1)
    assert "rig_1" not in terminal.ours


# -- has it been read? ---------------------------------------------------------------------------------------------


def stream() -> Endpoint:
    """A stream's endpoint, below a station that is there; what zmq sent when it connected is yet to come back."""
    made = Endpoint("n_s", upstream="s", incarnation="1")
    made.meet("s", now=0)
    return made


def test_what_was_sent_is_read_when_the_probe_behind_it_comes_back() -> None:
    endpoint = stream()
    assert endpoint.is_flushed()
    assert endpoint.flush() == [Transmit("s", (b"",))]
    assert not endpoint.is_flushed()
    endpoint.receive("s", [b""], now=1)
    assert not endpoint.is_flushed(), "that was the one that zmq had sent before"
    endpoint.receive("s", [b""], now=1)
    assert endpoint.is_flushed()


def test_a_probe_that_followed_is_not_waited_for() -> None:
    endpoint = stream()
    endpoint.receive("s", [b""], now=0)
    endpoint.flush()
    assert Transmit("s", (b"",)) in endpoint.handle_timer(now=5)
    endpoint.receive("s", [b""], now=6)
    assert endpoint.is_flushed()


def test_nobody_waits_for_an_upstream_that_is_not_there_to_have_read_anything() -> None:
    endpoint = stream()
    endpoint.flush()
    endpoint.lose("s", now=1)
    assert endpoint.is_flushed()
    assert endpoint.flush() == []
    assert endpoint.is_flushed()
    assert Endpoint("T", forwards=True, incarnation="1").flush() == []


# -- closing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["n", "parent"])
def test_closing_stops_nobody_whoever_says_it(peer: str) -> None:
    stubborn = station(below=("n",))
    (effect,) = stubborn.receive(peer, [b"s", b"CLOSING"], now=0)
    assert isinstance(effect, Dropped)
    assert "owner" in effect.reason


# -- full pipes ----------------------------------------------------------------------------------------------------


def unconfirmed(n: int, to: str = "rig_1") -> Message:
    return Message(id=f"T_{n}", to=to, sender="T", key="K", value=n)


def full(limit: int = 1 << 20) -> Endpoint:
    """A terminal whose pipe to its only neighbour has just refused message 0."""
    terminal = Endpoint("T", forwards=True, incarnation="1", settings=Settings(backlog_bytes=limit))
    terminal.meet("rig_1", now=0)
    (effect,) = terminal.send(unconfirmed(0), repeat=False, now=0)
    assert isinstance(effect, Transmit)
    terminal.full("rig_1", [effect.frames])
    return terminal


def numbers(effects: object) -> list[int]:
    assert isinstance(effects, list)
    return [Message(e.frames[-1]).value for e in effects if isinstance(e, Transmit)]


def test_what_goes_to_a_full_neighbour_waits_behind_what_it_refused() -> None:
    terminal = full()
    assert terminal.post.waiting_peers() == ["rig_1"]
    assert terminal.send(unconfirmed(1), repeat=False, now=0) == []
    assert terminal.send(unconfirmed(2), repeat=False, now=0) == []
    assert numbers(terminal.ready("rig_1")) == [0, 1, 2]
    assert terminal.post.waiting_peers() == []
    assert numbers(terminal.send(unconfirmed(3), repeat=False, now=0)) == [3]


def test_what_is_refused_again_keeps_its_place() -> None:
    terminal = full()
    terminal.send(unconfirmed(1), repeat=False, now=0)
    first, second = (e.frames for e in terminal.ready("rig_1") if isinstance(e, Transmit))
    terminal.full("rig_1", [first, second])
    terminal.send(unconfirmed(2), repeat=False, now=0)
    assert numbers(terminal.ready("rig_1")) == [0, 1, 2]


def test_a_long_backlog_is_tried_a_part_at_a_time_in_its_order() -> None:
    """A pipe that takes a little each time would otherwise be offered all of it each time."""
    terminal = full(limit=64 << 20)
    for n in range(1, 2_500):
        terminal.send(unconfirmed(n), repeat=False, now=0)
    tried = terminal.ready("rig_1")
    assert numbers(tried) == list(range(READY_AT_ONCE))
    terminal.full("rig_1", [e.frames for e in tried[600:] if isinstance(e, Transmit)])
    terminal.send(unconfirmed(2_500), repeat=False, now=0)
    came = []
    while terminal.post.waiting_peers():
        part = numbers(terminal.ready("rig_1"))
        assert 0 < len(part) <= READY_AT_ONCE
        came += part
    assert came == list(range(600, 2_501))


def test_what_a_part_of_the_backlog_has_left_behind_can_wait_again() -> None:
    """What was tried is out of the count, and what is refused is back in it."""
    terminal = full(limit=200_000)
    sent = 1
    while not terminal.send(unconfirmed(sent), repeat=False, now=0):
        sent += 1
    tried = terminal.ready("rig_1")
    assert terminal.send(unconfirmed(sent), repeat=False, now=0) == []
    terminal.full("rig_1", [e.frames for e in tried if isinstance(e, Transmit)])
    assert terminal.send(unconfirmed(sent + 1), repeat=False, now=0) != []


def test_one_full_neighbour_does_not_slow_another() -> None:
    terminal = full()
    terminal.meet("rig_2", now=0)
    assert numbers(terminal.send(unconfirmed(1, "rig_2"), repeat=False, now=0)) == [1]


def test_beyond_its_bound_in_bytes_what_waits_is_dropped_and_said() -> None:
    terminal = full(limit=250)
    effects = [effect for n in range(1, 5) for effect in terminal.send(unconfirmed(n), repeat=False, now=0)]
    assert {effect.reason for effect in effects if isinstance(effect, Dropped)} == {"its neighbour takes no more"}
    kept = numbers(terminal.ready("rig_1"))
    assert kept == list(range(len(kept)))
    assert len(kept) + len(effects) == 5


def test_what_waits_for_a_neighbour_that_goes_away_is_dropped_and_counted() -> None:
    terminal = full()
    terminal.send(unconfirmed(1), repeat=False, now=0)
    lost, dropped = terminal.lose("rig_1", now=0)
    assert lost == Lost("rig_1")
    assert isinstance(dropped, Dropped)
    assert dropped.count == 2
    assert terminal.post.waiting_peers() == []


def test_a_forwarder_keeps_what_it_forwards_within_the_same_bound() -> None:
    terminal = full()
    terminal.meet("rig_2", now=0)
    assert terminal.receive("rig_2", [b"T", b"rig_1", M], now=0) == []
    assert terminal.ready("rig_1")[-1] == Transmit("rig_1", (M,))


def test_a_pipe_that_is_ready_with_nothing_to_take_takes_nothing() -> None:
    assert station().ready("parent") == []


def test_while_the_way_up_is_down_what_seeks_no_confirmation_is_dropped_and_said() -> None:
    pilot = station()
    pilot.lose("parent", now=0)
    (dropped,) = pilot.send(unconfirmed(1, "parent"), repeat=False, now=0)
    assert isinstance(dropped, Dropped)
    assert "down" in dropped.reason


def test_before_the_first_meeting_what_waits_is_bounded_too() -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1", settings=Settings(backlog_bytes=200))
    assert pilot.send(unconfirmed(0, "parent"), repeat=False, now=0) == []
    assert pilot.post.waiting_peers() == []
    (dropped,) = pilot.send(unconfirmed(1, "parent"), repeat=False, now=0)
    assert isinstance(dropped, Dropped)
    assert numbers(pilot.meet("parent", now=1)) == [0]


def test_who_is_lost_before_it_was_met_changes_nothing() -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1")
    pilot.send(unconfirmed(0, "parent"), repeat=False, now=0)
    assert pilot.lose("parent", now=0) == []
    assert numbers(pilot.meet("parent", now=1)) == [0]
