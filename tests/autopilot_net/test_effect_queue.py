"""What the threads of one driver share: effects in their order, and attachments that close once all has left."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest

from autopilot_net import AutopilotNetError
from autopilot_net.attachment import Attachment
from autopilot_net.effect_queue import EffectQueue
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Effect, PeerUp, Transmit
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import Sockets
from autopilot_net.wakeup import Wakeup
from tests.conftest import Context
from tests.patience import DEADLINE_S


class Bell(Wakeup):
    """Counts how often it is rung."""

    rung = 0

    def wake(self) -> None:
        self.rung += 1


@pytest.fixture
def queue() -> Iterator[EffectQueue]:
    """A queue whose I/O thread waits for the test to end."""
    is_over = threading.Event()
    made = EffectQueue("n", Observer("n", trace=None, durable=None))
    made.io_thread = threading.Thread(target=is_over.wait, args=(DEADLINE_S,))
    made.wakeup = Bell()
    made.io_thread.start()
    yield made
    is_over.set()
    made.io_thread.join(DEADLINE_S)
    made.wakeup.close()


@pytest.fixture
def one(context: Context) -> Attachment:
    return Attachment(Endpoint("n", upstream="T", incarnation="i"), Sockets(context, "n"))


def rung(queue: EffectQueue) -> int:
    assert isinstance(queue.wakeup, Bell)
    return queue.wakeup.rung


def test_effects_are_taken_once_in_their_order(queue: EffectQueue, one: Attachment) -> None:
    effects: list[Effect] = [PeerUp("a"), PeerUp("b")]
    queue.run(one, lambda _: effects[:1])
    queue.put_locked(one, effects[1:])
    assert list(queue.take()) == [(one, effect) for effect in effects]
    assert not queue.take()


def test_what_is_done_is_done_under_the_lock(queue: EffectQueue, one: Attachment) -> None:
    locked: list[bool] = []

    def act(_: float) -> list[Effect]:
        locked.append(queue.lock.locked())
        return []

    queue.run(one, act)
    assert locked == [True]


def test_the_thread_is_woken_for_effects_and_for_what_is_due_before_it_wakes_by_itself(
    queue: EffectQueue, one: Attachment
) -> None:
    queue.run(one, lambda _: [])
    assert rung(queue) == 0
    queue.run(one, lambda _: [PeerUp("a")])
    assert rung(queue) == 1
    queue.take()
    one.reconnect_at, queue.sleeps_until = 5.0, 4.0
    queue.run(one, lambda _: [])
    assert rung(queue) == 1
    queue.sleeps_until = math.inf
    queue.run(one, lambda _: [])
    assert rung(queue) == 2


def test_a_thread_that_has_not_started_and_this_one_are_not_woken(queue: EffectQueue) -> None:
    theirs, queue.io_thread = queue.io_thread, threading.Thread()
    queue.wake()
    queue.io_thread = threading.current_thread()
    queue.wake()
    assert rung(queue) == 0
    queue.io_thread = theirs
    queue.wake()
    assert rung(queue) == 1


def test_a_queue_that_is_stopped_takes_no_attachment_and_lets_nobody_wait(queue: EffectQueue, one: Attachment) -> None:
    waiting = threading.Event()
    let_go: list[bool] = []

    def wait() -> None:
        with queue.changed:
            waiting.set()
            let_go.append(queue.changed.wait_for(lambda: queue.is_stopping, DEADLINE_S))

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert waiting.wait(DEADLINE_S)
    queue.stop()
    waiter.join(DEADLINE_S)
    assert let_go == [True]
    with pytest.raises(AutopilotNetError, match="n is closed, and opens no n"):
        queue.add(one)
    assert queue.attachments == []


def test_an_attachment_closes_when_nothing_of_it_is_queued_or_held_back(queue: EffectQueue, one: Attachment) -> None:
    sent = Transmit("T", (b"x",))
    queue.add(one)
    one.endpoint.meet("T", now=0)
    with queue.lock:
        queue.put(one, [sent])
        queue.retire(one)
        queue.retire(one)  # once is enough
        assert queue.take_retired() == []
        queue.take()
        one.endpoint.full("T", [sent])
        assert queue.take_retired() == []
        one.endpoint.ready("T")
        assert queue.take_retired() == [one]
    assert queue.attachments == queue.retiring == []
