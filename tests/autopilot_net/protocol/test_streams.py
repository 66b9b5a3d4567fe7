"""Items into batches, and the gaps of streams that nobody repeats."""

from typing import Any

import pytest

from autopilot_net.message import Message
from autopilot_net.protocol.effects import Deliver, Dropped, Effect, Gap
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.streams import Batcher, GapWatch
from tests.autopilot_net.protocol.test_frames import station


def batcher(min_size: int = 3) -> Batcher:
    return Batcher(min_size=min_size, max_delay=0.5)


# -- batches -------------------------------------------------------------------------------------------------------


def test_a_batch_is_due_when_it_is_large_enough() -> None:
    items = batcher()
    for n in range(3):
        assert not items.due(now=0)
        items.append(n, now=0)
    assert items.due(now=0)
    assert items.take() == (0, [0, 1, 2])
    assert len(items) == 0


def test_a_batch_is_due_when_its_oldest_item_is_old_enough() -> None:
    items = batcher()
    items.append("old", now=1.0)
    items.append("new", now=1.4)
    assert items.next_timer() == 1.5
    assert not items.due(now=1.4)
    assert items.due(now=1.5)
    assert items.take() == (0, ["old", "new"])


def test_what_is_left_at_the_end_is_sent() -> None:
    items = batcher()
    for item in (1, 2, 3, 4, "END"):
        items.append(item, now=0)
    assert [items.take(), items.take()] == [(0, [1, 2, 3]), (3, [4])]
    assert items.ended
    assert not items.due(now=100)


def test_the_end_alone_makes_no_batch() -> None:
    items = batcher()
    items.append("END", now=0)
    assert items.ended
    assert not items.due(now=100)


def test_only_the_text_end_ends_a_stream() -> None:
    items = batcher()
    for item in (b"END", ["END"], "end"):
        items.append(item, now=0)
    assert not items.ended


def test_an_idle_stream_wants_no_timer() -> None:
    items = batcher()
    assert items.next_timer() is None
    assert not items.due(now=1e9)


def test_items_are_numbered_through_all_batches() -> None:
    items = batcher(min_size=2)
    for n in range(5):
        items.append(n, now=0)
    assert [items.take()[0] for _ in range(3)] == [0, 2, 4]
    assert items.sent == 5


def test_an_item_that_is_dropped_leaves_its_number_as_a_gap() -> None:
    items = batcher(min_size=2)
    for n in range(3):
        items.append(n, now=0)
    items.drop_oldest()
    assert items.take() == (1, [1, 2])


# -- gaps ----------------------------------------------------------------------------------------------------------


def test_a_gap_is_counted_in_items() -> None:
    watch = GapWatch()
    assert watch.arrive(("cam", "life"), 0, 5) == 0
    assert watch.arrive(("cam", "life"), 15, 5) == 10
    assert watch.arrive(("cam", "life"), 20, 5) == 0


def test_what_came_before_the_first_batch_is_missing() -> None:
    assert GapWatch().arrive(("cam", "life"), 7, 5) == 7


def test_a_batch_that_comes_late_or_twice_is_less_than_no_gap() -> None:
    watch = GapWatch()
    watch.arrive(("cam", "life"), 0, 5)
    watch.arrive(("cam", "life"), 10, 5)
    assert watch.arrive(("cam", "life"), 5, 5) < 0
    assert watch.arrive(("cam", "life"), 10, 5) < 0
    assert watch.arrive(("cam", "life"), 15, 5) == 0


def test_each_stream_and_each_life_of_it_is_watched_by_itself() -> None:
    watch = GapWatch()
    for stream in (("cam", "a"), ("cam", "b"), ("lick", "a")):
        assert watch.arrive(stream, 0, 5) == 0


def test_the_streams_heard_last_are_watched() -> None:
    watch = GapWatch(limit=2)
    for name in ("a", "b"):
        watch.arrive((name, ""), 0, 5)
    watch.arrive(("a", ""), 5, 5)
    watch.arrive(("c", ""), 0, 5)
    assert watch.arrive(("a", ""), 10, 5) == 0
    assert watch.arrive(("b", ""), 5, 5) == 5


# -- at an endpoint ------------------------------------------------------------------------------------------------


def batch(to: Endpoint, first: Any, items: Any, *, inc: Any = "life") -> list[Effect]:
    message = Message(id=f"b{first}", to=to.id, sender="cam", key="STREAM", flags={"NOREPEAT": True}, inc=inc)
    message["first"], message["items"] = first, items
    me = to.id.encode()
    return [e for e in to.receive("cam", [me, me, message.serialize()], now=0)]


def test_every_gap_of_an_unreliable_stream_is_told() -> None:
    receiver = station(below=("cam",))
    assert [type(e) for e in batch(receiver, 0, 5)] == [Deliver]
    gap, deliver = batch(receiver, 15, 5)
    assert gap == Gap("cam", 5, 10)
    assert isinstance(deliver, Deliver)


def test_a_batch_of_an_unreliable_stream_that_comes_again_is_not_handled_again() -> None:
    receiver = station(below=("cam",))
    batch(receiver, 0, 5)
    (dropped,) = batch(receiver, 0, 5)
    assert isinstance(dropped, Dropped)


@pytest.mark.parametrize(("first", "items"), [(None, 5), (0, None), ("0", 5), (0, [1]), (0.0, 5)])
def test_a_batch_without_readable_numbers_is_handled_as_any_message(first: Any, items: Any) -> None:
    receiver = station(below=("cam",))
    for _ in range(2):
        assert [type(e) for e in batch(receiver, first, items)] == [Deliver]


@pytest.mark.parametrize("inc", [["a", "list"], {"an": "object"}, None, 1.5])
def test_a_batch_from_an_odd_life_breaks_nothing(inc: Any) -> None:
    assert [type(e) for e in batch(station(below=("cam",)), 0, 5, inc=inc)] == [Deliver]
