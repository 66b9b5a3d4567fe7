"""What awaits confirmation from one recipient: how much may be under way, what may be repeated, and what each says."""

from typing import Any

import pytest

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox_channel import (
    FADES,
    REPEAT_FLOOR,
    OutboxEntry,
    RecipientChannel,
    RepeatBudget,
    Window,
)
from tests.autopilot_net.protocol.wire import First, Wire


def small(**window: int) -> Wire:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(window=Window(**window)))
    wire.handles_at_once = False
    return wire


def test_the_window_bounds_how_many_are_under_way() -> None:
    wire = small(messages=3)
    rooms = []
    for n in range(5):
        rooms.append(wire["rig_1"].outbox.room("T"))
        wire.send("rig_1", "T", n)
    wire.run()
    assert rooms == [True, True, True, False, False]
    assert wire.got("T") == [0, 1, 2]
    wire.handle(wire.handlings[0])
    wire.run()
    assert wire.got("T") == [0, 1, 2, 3]


def test_the_window_bounds_how_many_bytes_are_under_way() -> None:
    wire = small(size_bytes=2_500)
    for n in range(4):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert [value[0] for value in wire.got("T")] == ["0", "1", "2"]
    wire.handle_all()
    wire.run()
    assert len(wire.got("T")) == 4


def test_the_bytes_of_what_was_under_way_are_given_back_when_it_is_settled() -> None:
    wire = small(size_bytes=2_500)
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000)
        wire.run()
        wire.handle_all()
        wire.run()
    before = len(wire.got("T"))
    for n in range(3):
        assert wire["rig_1"].outbox.room("T")
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert len(wire.got("T")) == before + 3
    assert not wire["rig_1"].outbox.room("T")


def test_the_bytes_of_what_waited_are_given_back_when_it_is_sent() -> None:
    wire = small(size_bytes=2_500)
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    for _ in range(6):
        wire.run()
        wire.handle_all()
    wire.run()
    wire.send("rig_1", "T", "short")
    assert wire["rig_1"].outbox.room("T")


def test_the_bytes_of_what_waited_are_given_back_when_its_time_is_up() -> None:
    wire = small(size_bytes=2_500)
    wire.cut("rig_1")
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000, expires_after=1.0)
    wire.send("rig_1", "T", "short")
    assert not wire["rig_1"].outbox.room("T")
    wire.run(2.0)
    assert len(wire["rig_1"].outbox) == 1
    assert wire["rig_1"].outbox.room("T")


@pytest.mark.parametrize("window", [{"size_bytes": 10}, {"messages": 0}])
def test_one_message_may_always_be_under_way(window: dict[str, int]) -> None:
    wire = small(**window)
    wire.handles_at_once = True
    for n in range(3):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert len(wire.got("T")) == 3


def test_each_recipient_has_a_window_of_its_own() -> None:
    wire = Wire({"T": None, "rig_1": "T", "rig_2": "T"}, settings=Settings(window=Window(messages=1)))
    wire.handles_at_once = False
    for to in ("rig_1", "rig_1", "rig_2"):
        wire.send("T", to, to)
    wire.run()
    assert wire.got("rig_1") + wire.got("rig_2") == ["rig_1", "rig_2"]


def test_what_waits_for_the_window_goes_out_in_order_through_any_storm() -> None:
    wire = small(messages=2)
    wire.handles_at_once = True
    wire.policy = First("rig_1", 7, ())
    for n in range(20):
        wire.send("rig_1", "T", n)
    wire.run(100)
    assert wire.got("T") == list(range(20))


# -- what may be repeated ----------------------------------------------------------------------------------------------


def test_a_budget_of_repeats_is_used_up_and_fills_again_within_an_interval() -> None:
    budget = RepeatBudget(5.0)
    assert [budget.take(now=0) for _ in range(REPEAT_FLOOR + 1)] == [True] * REPEAT_FLOOR + [False]
    assert budget.take(now=2.5)
    assert sum(budget.take(now=10) for _ in range(2 * REPEAT_FLOOR)) == REPEAT_FLOOR


def test_what_is_sent_the_first_time_earns_repeats_up_to_a_limit() -> None:
    budget = RepeatBudget(5.0)
    for _ in range(100 * REPEAT_FLOOR):
        budget.earn()
    assert sum(budget.take(now=0) for _ in range(10 * REPEAT_FLOOR)) == 4 * REPEAT_FLOOR


def test_time_that_goes_back_earns_nothing() -> None:
    budget = RepeatBudget(5.0)
    while budget.take(now=100):
        pass
    assert not budget.take(now=0)


# -- one recipient -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [-1, 1.0, "5", True, None])
def test_a_message_whose_ttl_is_no_count_is_refused(ttl: Any) -> None:
    message = Message(id="n_1", to="T", sender="n", key="K")
    message["ttl"] = ttl
    with pytest.raises(BadMessage, match="how often it may be repeated is a whole number"):
        OutboxEntry(message, (), pack=False)


def test_what_is_kept_says_when_it_is_sent_again_that_it_may_have_been_sent_before() -> None:
    entry = OutboxEntry(Message(id="n_1", to="T", sender="n", key="K", value=7, ttl=3), ("s", "T"), pack=False)
    entry.seq = 4
    again = OutboxEntry.kept(entry.record(until=None))
    again.channel = RecipientChannel("T", is_open=True)
    sent = Message(again.wire())
    assert (sent.id, sent.value, sent.ttl, sent.seq, sent.again) == ("n_1", 7, 3, 4, True)
    assert (again.hops, again.target) == (("s", "T"), "s")


def test_the_lowest_number_that_is_not_settled_is_told_and_the_next_one_when_all_are() -> None:
    channel = RecipientChannel("T", is_open=True)
    assert channel.low() == 1
    entry = OutboxEntry(Message(id="n_1", to="T", sender="n", key="K"), (), pack=False)
    channel.seqs.extend([1, 2, 3])
    channel.in_flight, channel.next_seq = {3: entry}, 4
    assert channel.low() == 3
    channel.in_flight.clear()
    assert channel.low() == 4


def test_the_slowest_confirmation_fades_and_of_a_repeated_message_not_much_is_concluded() -> None:
    channel = RecipientChannel("T", is_open=True)
    entry = OutboxEntry(Message(id="n_1", to="T", sender="n", key="K"), (), pack=False)
    channel.confirmed(entry, now=2.0)
    assert channel.slowest == 2.0
    channel.confirmed(entry, now=0.0)
    assert channel.slowest == FADES * 2.0
    entry.is_resend, channel.doubted = True, 5.0
    channel.confirmed(entry, now=100.0)
    assert channel.slowest == 5.0
