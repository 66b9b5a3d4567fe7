"""What waits for a full pipe: bounded in bytes, each neighbour's in order, and fair to those it came from."""

import pytest

from autopilot_net.protocol.effects import Traffic, Transmit
from autopilot_net.protocol.send_queue import CONTROLS, SendQueue


def one(name: str, *, size: int = 10, kind: Traffic = Traffic.DATA) -> Transmit:
    return Transmit("n", (name.encode().ljust(size, b"."),), kind)


def names(effects: list[Transmit]) -> list[str]:
    return [effect.frames[-1].decode().rstrip(".") for effect in effects]


def test_neighbours_take_turns_each_in_its_order() -> None:
    queue = SendQueue(1_000)
    for name in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.put(one(name), name[0])
    assert names(queue.drain()) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert len(queue) == 0


def test_the_librarys_own_goes_first_and_then_what_the_pipe_refused() -> None:
    queue = SendQueue(1_000)
    queue.put(one("data"), "a")
    queue.put(one("own", kind=Traffic.CONTROL), "me")
    queue.put_back([one("refused 1"), one("own refused", kind=Traffic.CONTROL), one("refused 2")])
    assert names(queue.drain()) == ["own refused", "own", "refused 1", "refused 2", "data"]


def test_a_flood_costs_the_one_that_floods_its_newest() -> None:
    queue = SendQueue(30)
    dropped = [queue.put(one(name), name[0]) for name in ("a1", "a2", "a3", "b1", "a4")]
    assert names([effect for effect in dropped if effect is not None]) == ["a3", "a4"]
    assert names(queue.drain()) == ["a1", "b1", "a2"]


def test_what_alone_is_larger_than_the_limit_is_dropped_and_leaves_nothing() -> None:
    queue = SendQueue(5)
    large = one("large")
    assert queue.put(large, "a") is large
    assert (len(queue), queue.drain()) == (0, [])
    assert queue.put(one("x", size=5), "a") is None


def test_room_is_given_back_by_what_is_taken() -> None:
    queue = SendQueue(20)
    for name in ("a1", "a2"):
        queue.put(one(name), "a")
    assert names(queue.take(1)) == ["a1"]
    assert queue.put(one("a3"), "a") is None


@pytest.mark.parametrize(("at_most", "taken"), [(0, 0), (2, 2), (3, 3), (64, 3)])
def test_no_more_is_taken_than_asked_for_or_there_is(at_most: int, taken: int) -> None:
    queue = SendQueue(1_000)
    for name in ("a1", "b1", "a2"):
        queue.put(one(name), name[0])
    assert len(queue.take(at_most)) == taken
    assert len(queue) == 3 - taken


def test_of_too_many_of_the_librarys_own_the_oldest_is_dropped() -> None:
    queue = SendQueue(1_000)
    queue.put(one("oldest", kind=Traffic.CONTROL), "me")
    dropped = [queue.put(one(str(n), kind=Traffic.CONTROL), "me") for n in range(CONTROLS)]
    assert dropped[:-1] == [None] * (CONTROLS - 1)
    assert dropped[-1] == one("oldest", kind=Traffic.CONTROL)
    assert len(queue) == CONTROLS
