"""CONFIRM means handled: who is told what, along which way, and what is believed."""

import json
from typing import Any

import pytest

from autopilot_net.delivery import refused
from autopilot_net.errors import BadMessage
from autopilot_net.message import Message, refuse
from autopilot_net.protocol.effects import Confirmed, Deliver, Dropped, Effect, Expired, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.pending_relays import PendingRelays
from autopilot_net.trace_format import facts
from tests.autopilot_net.protocol.test_frames import node, station
from tests.autopilot_net.protocol.test_router import lab
from tests.autopilot_net.protocol.wire import TWICE, Wire


def pair() -> Wire:
    return Wire({"T": None, "rig_1": "T"})


def theirs(endpoint: Endpoint, **fields: Any) -> list[Effect]:
    """What `endpoint`, a station, does with a message of Autopilot's own pilot `old`."""
    message = Message(
        **{"id": "old_1", "to": endpoint.id, "sender": "old", "key": "DATA", "timestamp": "noon", **fields}
    )
    me = endpoint.id.encode()
    return endpoint.receive("old", [me, me, message.serialize()], now=0)


def told(effects: list[Effect]) -> list[Message]:
    return [Message(effect.frames[-1]) for effect in effects if isinstance(effect, Transmit)]


# -- when --------------------------------------------------------------------------------------------------------


def test_nothing_is_confirmed_before_its_handler_is_done() -> None:
    wire = pair()
    wire.handles_at_once = False
    sent = wire.send("rig_1", "T", "trial")
    wire.run(4)
    assert wire.got("T") == ["trial"]
    assert wire.of("rig_1", Confirmed) == []
    wire.handle_all()
    wire.run()
    assert wire.of("rig_1", Confirmed) == [Confirmed(sent, "T")]
    assert len(wire["rig_1"].outbox) == 0


def test_a_handler_that_is_done_twice_confirms_once() -> None:
    wire = pair()
    wire.send("rig_1", "T")
    wire.run()
    assert wire["T"].handled(wire.handlings[0].ticket, now=0) == []


def test_what_seeks_no_confirmation_gets_none() -> None:
    wire = pair()
    wire.send("rig_1", "T", "just so", repeat=False)
    wire.run(60)
    assert wire.got("T") == ["just so"]
    assert wire.carried("T", "rig_1") == []
    assert wire["T"].handled(0, now=0) == []


def test_noreepeat_among_the_flags_decides_where_the_caller_does_not() -> None:
    wire = pair()
    wire.send("rig_1", "T", repeat=None, flags={"NOREPEAT": False})
    assert len(wire["rig_1"].outbox) == 0
    wire.send("rig_1", "T", repeat=True, flags={"NOREPEAT": True})
    assert len(wire["rig_1"].outbox) == 1


def test_a_confirmation_seeks_none_and_names_the_message() -> None:
    wire = pair()
    sent = wire.send("rig_1", "T")
    wire.run()
    (confirm,) = wire.carried("T", "rig_1")
    assert (confirm.key, confirm.value, confirm.to, confirm.sender) == ("CONFIRM", sent, "rig_1", "T")
    assert "NOREPEAT" in confirm.flags


def test_a_relay_that_failed_ends_the_original_as_expired() -> None:
    wire = pair()
    wire.handles_at_once = False
    sent = wire.send("rig_1", "T")
    wire.run()
    wire.handle(wire.handlings[0], failed=True)
    wire.run()
    (expired,) = wire.of("rig_1", Expired)
    assert (expired.id, expired.to) == (sent, "T")
    assert "could not pass it on" in expired.reason


def test_a_repeat_of_what_failed_is_told_so_again() -> None:
    wire = pair()
    wire.handles_at_once = False
    wire.send("rig_1", "T")
    wire.run()
    wire.policy = lambda flight: () if flight.source == "T" else (0.0,)
    wire.handle(wire.handlings[0], failed=True)
    wire.policy = lambda _flight: (0.0,)
    wire.run(5)
    assert len(wire.of("rig_1", Expired)) == 1
    assert len(wire.handlings) == 1


# -- refused -------------------------------------------------------------------------------------------------------


def refuse_all(wire: Wire, why: str) -> None:
    for handling in wire.pending():
        refuse(handling.message, why)
        wire.handle(handling, failed=True)


def test_what_was_refused_says_why_to_its_sender() -> None:
    wire = pair()
    wire.handles_at_once = False
    sent = wire.send("rig_1", "T")
    wire.run()
    refuse_all(wire, "nobody listens")
    wire.run()
    assert wire.of("rig_1", Expired) == [Expired(sent, "T", "nobody listens")]
    (confirm,) = wire.carried("T", "rig_1")
    assert (confirm.failed, confirm.why) == (True, "nobody listens")


@pytest.mark.parametrize("durable", [(), ("T",)])
def test_a_repeat_of_what_was_refused_is_told_why_again_also_by_the_next_life_of_a_durable_one(
    durable: tuple[str, ...],
) -> None:
    wire = Wire({"T": None, "rig_1": "T"}, durable=durable)
    wire.handles_at_once = False
    for _ in range(2):
        wire.send("rig_1", "T")
    wire.run()
    wire.policy = lambda flight: () if flight.source == "T" else (0.0,)
    refuse_all(wire, "nobody listens")
    wire.policy = lambda _flight: (0.0,)
    if durable:
        wire.restart("T")
    again = wire["T"].receive("rig_1", [b"T", b"T", wire.handlings[0].message.serialize()], now=0)
    assert [(m.get("failed"), m.get("why")) for m in told(again)] == [(True, "nobody listens")]


def test_why_it_was_refused_is_forgotten_with_what_low_has_passed() -> None:
    terminal = station("T", upstream=None, below=("n",))
    for seq, low in ((1, 1), (2, 2)):
        raw = Message(id=f"n_{seq}", to="T", sender="n", key="K", inc="a", seq=seq, low=low).serialize()
        (deliver,) = terminal.receive("n", [b"T", b"T", raw], now=0)
        assert isinstance(deliver, Deliver)
        refuse(deliver.message, "no")
        terminal.handled(deliver.ticket, failed=True, now=0)
    (channel,) = terminal._reliable._inbox._lives["n", "T"].values()
    assert channel.whys == {2: "no"}


def test_a_relay_that_was_refused_says_why_all_the_way_back() -> None:
    wire = Wire({"T": None, "rig_1": "T", "cam": "rig_1"})
    wire.handles_at_once = False
    first = wire.send("cam", "rig_1")
    wire.run()
    second = wire.send("rig_1", "T")
    wire.handle(wire.pending()[0], relays=[second])
    wire.run()
    refuse_all(wire, "nobody listens")
    wire.run()
    assert wire.of("rig_1", Expired) == [Expired(second, "T", "nobody listens")]
    assert wire.of("cam", Expired) == [Expired(first, "rig_1", "nobody listens")]


def test_a_relay_of_which_one_part_was_refused_and_another_expires_says_why_when_both_are_settled() -> None:
    wire = Wire({"T": None, "rig_1": "T", "rig_2": "T"}, durable=("T",))
    wire.handles_at_once = False
    first = wire.send("rig_1", "T")
    wire.run()
    parts = [wire.send("T", "rig_2"), wire.send("T", "rig_1", expires_after=0.3)]
    wire.run()
    wire.handle(wire.pending()[0], relays=parts)
    refuse_all(wire, "nobody listens")
    wire.policy = lambda flight: () if flight.source == "rig_1" else (0.0,)
    wire.run(0.1)
    assert wire.saved["T"].handled["rig_1", "T", "rig_1#1"][1].why == "nobody listens"
    wire.run(0.4)
    assert [one.reason for one in wire.of("rig_1", Expired)] == ["nobody listens"]
    assert first


def test_a_relay_that_expired_before_another_was_refused_says_why() -> None:
    relays = PendingRelays()
    relays.wait(1, ["a", "b"])
    assert relays.settle("a", failed=True) == [(1, {"b"}, "")]
    assert relays.settle("b", failed=True, why="no") == [(1, set(), "no")]


def test_what_autopilots_own_sent_is_confirmed_also_where_it_was_refused() -> None:
    """They take every CONFIRM to mean that they may stop repeating, and nothing would come of a repeat."""
    terminal = station("T", upstream=None, below=("old",))
    (deliver,) = theirs(terminal)
    assert isinstance(deliver, Deliver)
    refuse(deliver.message, "nobody listens")
    (confirm,) = told(terminal.handled(deliver.ticket, failed=True, now=0))
    assert "failed" not in confirm
    assert "why" not in confirm
    assert [message.key for message in told(theirs(terminal))] == ["CONFIRM"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no", "no"),
        ("x" * 1_000, "x" * 199 + "…"),
        (" a\n\tb ", "a b"),
        ("a\0\x1b[31mb", "a??[31mb"),
        ("\ud800", "?"),
        ("", "its recipient could not pass it on"),
        (5, "its recipient could not pass it on"),
        (["no"], "its recipient could not pass it on"),
        (None, "its recipient could not pass it on"),
    ],
    ids=ascii,
)
def test_why_is_short_text_of_one_line_whatever_a_peer_says(said: Any, reason: str) -> None:
    fields = {"id": "c", "to": "n", "sender": "s", "key": "CONFIRM", "value": "n_1", "flags": {"NOREPEAT": True}}
    raw = json.dumps({**fields, "failed": True, "why": said}).encode()
    assert waiting_node().receive("s", [raw], now=0) == [Expired("n_1", "s", reason)]


def test_what_is_refused_at_length_is_told_in_short() -> None:
    message = Message(id="1", to="n", sender="s", key="K")
    assert len(refused(message, "word " * 100).reason) == 200
    assert facts(Expired("1", "n", refused(message, "no").reason))["reason"] == "no"


# -- along which way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "hops"),
    [
        ("T", ("rig_1", "wheel", "cam")),
        ("rig_2", ("T", "rig_1", "wheel", "cam")),
        ("_rig_2", ("rig_2", "T", "rig_1", "wheel", "cam")),
        ("_rig_2", ("T", "rig_1", "wheel", "cam")),
        ("_wheel", ("wheel", "cam")),
        ("wheel", ("wheel", "cam")),
        ("wheel", ("cam",)),
        ("_T", ("rig_1", "wheel", "cam")),
    ],
)
def test_what_came_along_hops_is_confirmed_along_the_same_hops_reversed(sender: str, hops: tuple[str, ...]) -> None:
    wire = lab()
    sent = wire.send(sender, "cam", hops=hops)
    wire.run()
    assert wire.of(sender, Confirmed) == [Confirmed(sent, "cam")]
    assert not [dropped for name in wire.endpoints for dropped in wire.of(name, Dropped)]


def test_the_way_back_needs_no_route() -> None:
    wire = lab()
    sent = wire.send("cam", "rig_2")  # and rig_2, T's neighbour, has never heard of cam, nor has T of a node
    for name in ("T", "rig_1", "rig_2"):
        wire[name].routes.behind.pop("cam", None)
    wire.run()
    assert wire.of("cam", Confirmed) == [Confirmed(sent, "rig_2")]


@pytest.mark.parametrize("hops", [(), ("rig_1",), ("rig_1", "_rig_1")], ids=["to", "one hop", "program"])
def test_a_node_is_confirmed_by_its_own_station(hops: tuple[str, ...]) -> None:
    wire = Wire({"T": None, "rig_1": "T"}, {"n": "rig_1"})
    for to in hops[-1:] or ("rig_1", "_rig_1"):
        wire.send("n", to, hops=hops)
    wire.run()
    assert None not in wire.sought.values()
    assert wire.carried("rig_1", "T") == []


def test_a_confirmation_for_a_program_is_passed_on_by_its_station() -> None:
    wire = lab()
    sent = [wire.send("_rig_1", "T"), wire.send("_rig_1", "rig_2"), wire.send("_rig_1", "rig_1")]
    wire.run()
    assert sorted(c.id for c in wire.of("_rig_1", Confirmed)) == sent
    assert wire.of("rig_1", Confirmed) == []


def test_a_confirmation_for_a_program_that_is_gone_is_dropped_and_said() -> None:
    confirm = Message(id="c", to="_s", sender="T", key="CONFIRM", value="_s_1", flags={"NOREPEAT": True})
    (effect,) = station().receive("parent", [b"_s", confirm.serialize()], now=0)
    assert isinstance(effect, Dropped)


# -- what is believed ----------------------------------------------------------------------------------------------


def confirm_of(message_id: Any, **fields: Any) -> bytes:
    said = {"id": "c", "to": "n", "sender": "s", "key": "CONFIRM", "value": message_id, "flags": {"NOREPEAT": True}}
    return Message(**{**said, **fields}).serialize()


def waiting_node() -> Endpoint:
    """A node that awaits the confirmation of `n_1` from its station."""
    waiting = node()
    waiting.send(Message(id="n_1", to="s", sender="n", key="K"), repeat=True, now=0)
    return waiting


def test_a_confirmation_of_theirs_bears_no_incarnation_and_is_believed() -> None:
    assert waiting_node().receive("s", [confirm_of("n_1")], now=0) == [Confirmed("n_1", "s")]


def test_a_confirmation_of_what_a_former_life_sent_confirms_nothing_of_this_one() -> None:
    waiting = waiting_node()
    assert waiting.receive("s", [confirm_of("n_1", re=["a former life", 1])], now=0) == []
    assert waiting.receive("s", [confirm_of("n_1", re=["a former life", 1], failed=True)], now=0) == []
    assert waiting.receive("s", [confirm_of("n_1", re=["1", 1])], now=0) == [Confirmed("n_1", "s")]


@pytest.mark.parametrize("re", ["1", [], {}, [2], 7], ids=repr)
def test_a_confirmation_about_an_odd_life_confirms_nothing(re: Any) -> None:
    assert waiting_node().receive("s", [confirm_of("n_1", re=re)], now=0) == []


def test_only_the_recipient_or_its_station_confirms() -> None:
    waiting = waiting_node()
    assert waiting.receive("s", [confirm_of("n_1", sender="somebody")], now=0) == []
    assert waiting.receive("s", [confirm_of("n_1", sender="_s")], now=0) == [Confirmed("n_1", "_s")]


@pytest.mark.parametrize("about", [None, 1, ["n_1"], {"n_1": 1}, "unknown"], ids=repr)
def test_a_confirmation_of_nothing_known_is_ignored(about: Any) -> None:
    assert waiting_node().receive("s", [confirm_of(about)], now=0) == []


def test_a_second_confirmation_is_no_news() -> None:
    waiting = waiting_node()
    waiting.receive("s", [confirm_of("n_1")], now=0)
    assert waiting.receive("s", [confirm_of("n_1")], now=0) == []


# -- once ----------------------------------------------------------------------------------------------------------


def test_a_duplicate_is_handled_once_and_confirmed_again() -> None:
    wire = pair()
    wire.policy = lambda _flight: TWICE
    wire.send("rig_1", "T", "trial")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert [message.key for message in wire.carried("T", "rig_1")] == ["CONFIRM", "CONFIRM"]


def test_a_duplicate_of_what_is_in_its_handler_is_told_received() -> None:
    wire = pair()
    wire.handles_at_once = False
    wire.policy = lambda _flight: TWICE
    wire.send("rig_1", "T", "trial")
    wire.run()
    assert wire.got("T") == ["trial"]
    assert [m.get("received") for m in wire.carried("T", "rig_1")] == [True]


def test_a_repeat_whose_confirmation_was_lost_is_confirmed_again_and_not_handled_again() -> None:
    wire = pair()
    wire.policy = lambda flight: () if flight.source == "T" and flight.frames[-1] else (0.0,)
    sent = wire.send("rig_1", "T", "trial")
    wire.run(4)
    wire.policy = lambda _flight: (0.0,)
    wire.run(2)
    assert wire.got("T") == ["trial"]
    assert wire.of("rig_1", Confirmed) == [Confirmed(sent, "T")]


def test_a_late_copy_of_what_its_sender_has_settled_is_dropped_and_said() -> None:
    wire = pair()
    late = 3.0
    wire.policy = lambda flight: (0.0, late) if flight.source == "rig_1" else (0.0,)
    wire.send("rig_1", "T", 1)
    wire.run(1)
    late = 0.0
    wire.send("rig_1", "T", 2)
    wire.run(10)
    assert wire.got("T") == [1, 2]
    assert "settled" in wire.of("T", Dropped)[0].reason


def test_a_message_of_theirs_that_comes_again_is_handled_once() -> None:
    terminal = station("T", upstream=None, below=("old",))
    first, again = theirs(terminal), theirs(terminal)
    assert [type(effect) for effect in first] == [Deliver]
    assert again == []  # it is not handled yet, and theirs would take any CONFIRM to mean that it is
    (deliver,) = first
    assert isinstance(deliver, Deliver)
    (confirm,) = told(terminal.handled(deliver.ticket, now=0))
    assert (confirm.key, confirm.value, confirm.to) == ("CONFIRM", "old_1", "old")
    assert [(m.key, m.value) for m in told(theirs(terminal))] == [("CONFIRM", "old_1")]


def test_a_restarted_sender_of_theirs_counts_anew_and_its_timestamps_tell() -> None:
    terminal = station("T", upstream=None, below=("old",))
    assert [type(e) for e in theirs(terminal, timestamp="noon")] == [Deliver]
    assert [type(e) for e in theirs(terminal, timestamp="one")] == [Deliver]


def test_theirs_are_not_told_that_a_relay_failed() -> None:
    terminal = station("T", upstream=None, below=("old",))
    (deliver,) = theirs(terminal)
    assert isinstance(deliver, Deliver)
    assert terminal.handled(deliver.ticket, failed=True, now=0) == []
    assert theirs(terminal) == []


def test_duplicates_of_theirs_are_remembered_for_a_bounded_count() -> None:
    terminal = station("T", upstream=None, below=("old",))
    (deliver,) = theirs(terminal, id="old_first")
    for n in range(10_000):
        theirs(terminal, id=f"old_{n}")
    assert isinstance(deliver, Deliver)
    assert told(terminal.handled(deliver.ticket, now=0))
    assert [type(e) for e in theirs(terminal, id="old_first")] == [Deliver]


# -- lives ---------------------------------------------------------------------------------------------------------


def test_a_restarted_sender_is_not_taken_for_its_former_life() -> None:
    wire = pair()
    wire.send("rig_1", "T", "first life")
    wire.run()
    wire.restart("rig_1")
    again = wire.send("rig_1", "T", "second life")
    wire.run()
    assert wire.got("T") == ["first life", "second life"]
    assert wire.sought["rig_1#2", again] == Confirmed(again, "T")


def test_a_confirmation_for_a_former_life_is_not_taken_for_this_one() -> None:
    wire = pair()
    wire.handles_at_once = False
    sent = wire.send("rig_1", "T", "first life")
    wire.run()
    wire.restart("rig_1")
    assert wire.send("rig_1", "T", "second life") == sent  # it counts from one again
    wire.run()
    wire.handle(wire.handlings[0])
    wire.run()
    assert wire.of("rig_1", Confirmed) == []
    wire.handle_all()
    wire.run()
    assert len(wire.of("rig_1", Confirmed)) == 1


def test_a_restarted_recipient_handles_again_what_was_not_confirmed_and_says_so() -> None:
    wire = pair()
    wire.handles_at_once = False
    sent = wire.send("rig_1", "T", "trial")
    wire.run()
    wire.restart("T")
    wire.run()
    assert [(h.life, h.message.get("redelivered")) for h in wire.handlings] == [(1, None), (2, True)]
    wire.handle_all()
    wire.run()
    assert wire.of("rig_1", Confirmed) == [Confirmed(sent, "T")]


def test_what_a_restarted_recipient_sees_for_the_first_time_is_not_marked() -> None:
    wire = pair()
    wire.send("rig_1", "T", "before")
    wire.run()
    wire.restart("T")
    wire.send("rig_1", "T", "after")
    wire.run()
    assert wire.handlings[-1].message.get("redelivered") is None


# -- whom to ask ---------------------------------------------------------------------------------------------------


def test_beyond_a_neighbour_nobody_unknown_is_asked_to_confirm_unless_the_caller_insists() -> None:
    terminal = station("T", upstream=None, below=("rig_1",))
    terminal.learn("wheel", "rig_1", now=0)
    polite = Message(id="1", to="wheel", sender="T", key="K")
    terminal.send(polite, now=0)
    assert "NOREPEAT" in polite.flags
    insisting = Message(id="2", to="wheel", sender="T", key="K")
    terminal.send(insisting, repeat=True, now=0)
    assert "NOREPEAT" not in insisting.flags
    assert list(terminal.outbox.messages()) == ["2"]


def test_beyond_a_neighbour_one_that_is_ours_is_asked_to_confirm() -> None:
    wire = lab()
    wire.send("wheel", "T", repeat=False)
    wire.run()
    wire.send("T", "wheel", repeat=None)
    wire.send("T", "_wheel", repeat=None)
    assert len(wire["T"].outbox) == 2


@pytest.mark.parametrize("to", ["rig_1", "_rig_1"])
def test_a_neighbour_is_asked_to_confirm_even_while_it_is_away(to: str) -> None:
    terminal = station("T", upstream=None, below=("rig_1",))
    terminal.lose("rig_1", now=0)
    terminal.send(Message(id="1", to=to, sender="T", key="START"), now=0)
    assert list(terminal.outbox.messages()) == ["1"]


@pytest.mark.parametrize("to", ["parent", "_parent"])
def test_the_parent_is_asked_to_confirm_before_it_is_met(to: str) -> None:
    pilot = Endpoint("s", upstream="parent", forwards=True, incarnation="1")
    pilot.send(Message(id="1", to=to, sender="s", key="DATA"), now=0)
    assert list(pilot.outbox.messages()) == ["1"]


def test_a_stations_own_program_is_asked_to_confirm_before_it_is_met() -> None:
    pilot = station("rig_1")
    pilot.send(Message(id="1", to="_rig_1", sender="rig_1", key="START"), now=0)
    assert list(pilot.outbox.messages()) == ["1"]


# -- what cannot be sent ---------------------------------------------------------------------------------------------


def test_hops_do_not_belong_in_to() -> None:
    with pytest.raises(BadMessage, match="hops are given apart"):
        node().send(Message(id="1", to=["s", "X"], sender="n", key="K"), now=0)


def test_an_id_that_awaits_its_confirmation_cannot_be_sent_anew() -> None:
    waiting = waiting_node()
    with pytest.raises(BadMessage, match="awaits its confirmation"):
        waiting.send(Message(id="n_1", to="s", sender="n", key="K"), repeat=True, now=0)


def test_a_message_that_cannot_be_sent_leaves_nothing_behind() -> None:
    sender = node()
    with pytest.raises(BadMessage, match="JSON cannot carry"):
        sender.send(Message(id="1", to="s", sender="n", key="K", value=object()), repeat=True, now=0)
    assert len(sender.outbox) == 0
    assert sender.next_timer() == 1.0  # its first probe


@pytest.mark.parametrize("repeat", [True, False])
def test_each_copy_of_a_message_that_was_made_by_hand_is_a_message(repeat: bool) -> None:
    """Autopilot's test of the bandwidth sends one message over and over, from a sender that nobody knows."""
    made = station("T", upstream=None, below=("n",))
    by_hand = Message(id="test_message", to="T", sender="test_sender", key="K", timestamp="then", repeat=repeat)
    for _ in range(3):
        (effect,) = made.receive("n", [b"T", b"T", by_hand.serialize()], now=0)
        assert isinstance(effect, Deliver)
        assert effect.ticket == 0
