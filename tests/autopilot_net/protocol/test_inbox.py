"""Order: what is held back, what closes a gap, how much may be under way."""

from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Confirmed, Deliver, Dropped, Effect
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.inbox import Inbox, Verdict, receipt_of
from tests.autopilot_net.protocol.test_frames import station
from tests.autopilot_net.protocol.test_reliable import pair, told
from tests.autopilot_net.protocol.wire import First, Wire


def numbered(seq: Any, low: Any = 1, *, life: str = "a", to: str = "T", **more: Any) -> Message:
    return Message(id=f"n_{life}{seq}", to=to, sender="n", key="K", value=seq, inc=life, seq=seq, low=low, **more)


def arrive(endpoint: Endpoint, message: Message) -> list[Effect]:
    me = endpoint.id.encode()
    return endpoint.receive("n", [me, me, message.serialize()], now=0)


def terminal() -> Endpoint:
    return station("T", upstream=None, below=("n",))


def delivered(effects: list[Effect]) -> list[Any]:
    return [effect.message.value for effect in effects if isinstance(effect, Deliver)]


# -- gaps --------------------------------------------------------------------------------------------------------------


def test_what_overtakes_on_the_way_is_handled_in_its_turn() -> None:
    wire = pair()
    wire.policy = First("rig_1", 1, (0.5,))
    for n in range(3):
        wire.send("rig_1", "T", n)
    wire.handles_at_once = False
    wire.run(1)
    assert wire.got("T") == [0, 1, 2]


def test_a_gap_is_told_at_once_and_filled_at_once() -> None:
    wire = pair()
    wire.policy = First("rig_1", 2, ())
    for n in range(5):
        wire.send("rig_1", "T", n)
    wire.run()
    assert wire.now == 0
    assert wire.got("T") == [0, 1, 2, 3, 4]
    assert [m.missing for m in wire.carried("T", "rig_1") if "missing" in m] == [[1, 2]]
    assert len(wire.of("rig_1", Confirmed)) == 5


def test_a_gap_is_told_once() -> None:
    receiver = terminal()
    assert told(arrive(receiver, numbered(3)))[0].missing == [1, 2]
    assert "missing" not in told(arrive(receiver, numbered(4)))[0]
    assert told(arrive(receiver, numbered(7)))[0].missing == [5, 6]


def test_what_is_held_behind_a_gap_is_told_received_and_not_handled() -> None:
    receiver = terminal()
    effects = arrive(receiver, numbered(2))
    assert delivered(effects) == []
    assert told(effects)[0].received is True
    assert told(arrive(receiver, numbered(2)))[0].received is True
    assert delivered(arrive(receiver, numbered(1))) == [1, 2]


def test_a_gap_below_low_is_passed_over_for_its_sender_has_given_it_up() -> None:
    receiver = terminal()
    assert delivered(arrive(receiver, numbered(1))) == [1]
    assert delivered(arrive(receiver, numbered(3))) == []
    assert delivered(arrive(receiver, numbered(5, low=3))) == [3]
    assert delivered(arrive(receiver, numbered(6, low=6))) == [5, 6]
    (late,) = arrive(receiver, numbered(2))
    assert isinstance(late, Dropped)


def test_low_hands_on_what_is_below_it_and_above_it_in_order() -> None:
    receiver = terminal()
    for seq in (2, 4, 5):
        arrive(receiver, numbered(seq))
    assert delivered(arrive(receiver, numbered(6, low=4))) == [2, 4, 5, 6]


def test_what_was_held_in_disorder_behind_a_gap_that_is_given_up_is_handed_on_in_number_order() -> None:
    receiver = terminal()
    for seq in (6, 4, 5, 2):
        assert delivered(arrive(receiver, numbered(seq))) == []
    assert delivered(arrive(receiver, numbered(8, low=7))) == [2, 4, 5, 6]


def test_low_goes_by_what_is_in_its_handler() -> None:
    receiver = terminal()
    (deliver,) = arrive(receiver, numbered(1))
    assert isinstance(deliver, Deliver)
    assert delivered(arrive(receiver, numbered(2, low=2))) == [2]
    assert told(receiver.handled(deliver.ticket, failed=True, now=0))[0].failed is True


def test_what_expired_does_not_hold_up_what_follows_it() -> None:
    wire = pair()
    wire.policy = First("rig_1", 1, ())
    wire.send("rig_1", "T", "lost", ttl=0)
    wire.run(4)
    wire.send("rig_1", "T", "next")
    wire.run(10)
    assert wire.got("T") == ["next"]


def test_what_is_far_ahead_of_what_is_missing_is_not_held() -> None:
    receiver = terminal()
    (dropped,) = arrive(receiver, numbered(4_001))
    assert isinstance(dropped, Dropped)
    assert "ahead" in dropped.reason
    assert told(arrive(receiver, numbered(4_000)))


@pytest.mark.parametrize(("seq", "low"), [(1, 2), (1, 0), (1, -1), (1, "1"), (1, None), (3, 2.0)])
def test_numbers_that_make_no_order_are_dropped_and_said(seq: int, low: Any) -> None:
    (dropped,) = arrive(terminal(), numbered(seq, low))
    assert isinstance(dropped, Dropped)
    assert "cannot" in dropped.reason or "not so" in dropped.reason


@pytest.mark.parametrize("missing", [None, [], [1], [1, "2"], "1", [1, 2, 3], {"1": 2}], ids=repr)
def test_a_gap_that_cannot_be_read_is_ignored(missing: Any) -> None:
    sender = station()
    sender.send(Message(id="1", to="parent", sender="s", key="K"), now=0)
    said = Message(id="c", to="s", sender="parent", key="CONFIRM", value="1", re=["1", 1], received=True)
    said["missing"] = missing
    assert sender.receive("parent", [said.serialize()], now=0) == []


@pytest.mark.parametrize(("sender", "re"), [("parent", ["a former life", 1]), ("somebody", ["1", 1])])
def test_a_gap_that_is_not_in_what_we_sent_is_ignored(sender: str, re: list[Any]) -> None:
    mine = station()
    mine.send(Message(id="1", to="parent", sender="s", key="K"), now=0)
    said = Message(id="c", to="s", sender=sender, key="CONFIRM", value="x", re=re, received=True, missing=[1, 1])
    assert mine.receive("parent", [said.serialize()], now=0) == []


def test_a_gap_told_while_the_path_is_down_waits_for_the_path() -> None:
    wire = Wire({"T": None, "rig_1": "T"}, {"n": "rig_1"})
    wire.send("n", "T", "lost")
    wire.flights.clear()
    wire.cut("n")
    said = Message(id="c", to="n", sender="T", key="CONFIRM", value="x", re=["n#1", 1], received=True, missing=[1, 1])
    assert wire["n"].outbox.missing("T", said.re, 1, 1, now=0) == []


# -- lives -------------------------------------------------------------------------------------------------------------


def test_what_a_former_life_left_behind_a_gap_goes_before_the_new_life() -> None:
    receiver = terminal()
    assert delivered(arrive(receiver, numbered(2))) == []
    assert delivered(arrive(receiver, numbered(4))) == []
    assert delivered(arrive(receiver, numbered(1, life="b"))) == [2, 4, 1]


def test_what_a_former_life_left_in_disorder_behind_a_gap_is_handed_on_in_number_order() -> None:
    receiver = terminal()
    for seq in (5, 2, 4):
        assert delivered(arrive(receiver, numbered(seq))) == []
    assert delivered(arrive(receiver, numbered(1, life="b"))) == [2, 4, 5, 1]


def test_what_a_former_life_passed_on_is_left_to_the_new_one_that_passes_it_on_again_in_order() -> None:
    """Else STOP is handled before START, where START was lost on the way from a station that was then killed."""
    receiver = terminal()
    stop, trial = numbered(2, origin={"sender": "T", "id": "T_2"}), numbered(3)
    for message in (stop, trial):
        arrive(receiver, message)
    assert delivered(arrive(receiver, numbered(1, life="b"))) == [3, 1]
    assert [type(effect) for effect in arrive(receiver, stop)] == [Dropped]


@pytest.mark.parametrize("seq", [1, 3])
def test_what_fills_the_gap_of_a_former_life_too_late_is_dropped(seq: int) -> None:
    receiver = terminal()
    for message in (numbered(2), numbered(4), numbered(1, life="b")):
        arrive(receiver, message)
    (dropped,) = arrive(receiver, numbered(seq))
    assert isinstance(dropped, Dropped)
    assert "too late" in dropped.reason
    assert delivered(arrive(receiver, numbered(5, low=4))) == [5]
    (dropped,) = arrive(receiver, numbered(seq, low=1))
    assert isinstance(dropped, Dropped)
    assert "settled" in dropped.reason


def test_four_lives_of_a_sender_are_remembered() -> None:
    receiver = terminal()
    for life in "abcd":
        (deliver,) = arrive(receiver, numbered(1, life=life))
        assert isinstance(deliver, Deliver)
        receiver.handled(deliver.ticket, now=0)
    assert delivered(arrive(receiver, numbered(1, life="a"))) == []
    assert delivered(arrive(receiver, numbered(1, life="e"))) == [1]
    assert delivered(arrive(receiver, numbered(1, life="a"))) == [1]  # bounded memory: it was forgotten for "e"


def test_what_failed_is_remembered_until_low_has_passed_it() -> None:
    receiver = terminal()
    for seq in (1, 2):
        (deliver,) = arrive(receiver, numbered(seq))
        assert isinstance(deliver, Deliver)
        receiver.handled(deliver.ticket, failed=True, now=0)
    assert told(arrive(receiver, numbered(2, low=2)))[0].failed is True
    assert delivered(arrive(receiver, numbered(3, low=3))) == [3]
    (dropped,) = arrive(receiver, numbered(2))
    assert isinstance(dropped, Dropped)


def test_what_failed_does_not_keep_a_life_that_is_over() -> None:
    receiver = terminal()
    for life in "abcde":
        (deliver,) = arrive(receiver, numbered(1, life=life))
        assert isinstance(deliver, Deliver)
        receiver.handled(deliver.ticket, failed=True, now=0)
    assert delivered(arrive(receiver, numbered(1, life="a"))) == [1]


def test_a_life_with_a_message_in_its_handler_is_not_forgotten() -> None:
    receiver = terminal()
    (first,) = arrive(receiver, numbered(1, life="a"))
    for life in "bcdef":
        arrive(receiver, numbered(1, life=life))
    assert isinstance(first, Deliver)
    assert told(receiver.handled(first.ticket, now=0))[0].value == "n_a1"
    assert delivered(arrive(receiver, numbered(1, life="a"))) == []


def one(inbox: Inbox, sender: str, *, done: bool = True, again: bool = False) -> int:
    """How many messages `inbox` hands on when the first one of `sender` comes."""
    message = Message(id="1", to="T", sender=sender, key="K", inc="a", seq=1, low=1, again=again)
    arrival = inbox.arrive(message, receipt_of(message))
    for ticket, _ in arrival.deliver if done else []:
        inbox.handled(ticket, Verdict.HANDLED)
    return len(arrival.deliver)


def test_of_too_many_senders_those_heard_longest_ago_are_forgotten() -> None:
    inbox = Inbox(senders=2)
    assert [one(inbox, name) for name in ("a", "b", "a", "c")] == [1, 1, 0, 1]
    assert one(inbox, "a", again=True) == 0  # heard after "b", which went
    assert one(inbox, "b") == 1


def test_a_sender_with_a_message_in_its_handler_is_never_forgotten() -> None:
    inbox = Inbox(senders=1)
    one(inbox, "busy", done=False)
    one(inbox, "idle")
    one(inbox, "other")
    assert one(inbox, "busy") == 0
