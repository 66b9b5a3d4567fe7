"""The bell of the I/O thread: whoever rings is heard, and rings at most once until somebody looks."""

from __future__ import annotations

import select
import threading

from autopilot_net.wakeup import Wakeup
from tests.autopilot_net.posts import LONG_S, Lab, Post, nothing
from tests.patience import DEADLINE_S


def test_whoever_sends_from_any_thread_wakes_the_io_thread_each_time(lab: Lab) -> None:
    """Each sends when all before is settled, so that a bell that is not heard is not made good by the next."""
    post = lab.post(listens={"K": nothing}, liveness_s=LONG_S)
    rigs = [lab.post(f"rig_{n}", upstream=("T", post.port), liveness_s=LONG_S) for n in range(2)]
    done: list[bool] = []

    def send(rig: Post) -> None:
        done.extend(rig.send("T", "K").wait(DEADLINE_S) for _ in range(150))

    threads = [threading.Thread(target=send, args=(rig,)) for rig in (*rigs, *rigs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert done == [True] * 600


def is_rung(bell: Wakeup) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_bell_rings_until_it_is_cleared_however_often_it_was_rung() -> None:
    bell = Wakeup()
    assert not is_rung(bell)
    for _ in range(100_000):  # more than a pair of sockets has room for
        bell.wake()
    assert is_rung(bell)
    bell.clear()
    assert not is_rung(bell)
    bell.wake()
    assert is_rung(bell)
    bell.close()


def test_whoever_rings_wakes_the_thread_that_waits() -> None:
    bell = Wakeup()
    woken: list[bool] = []
    waiter = threading.Thread(target=lambda: woken.append(bool(select.select([bell], [], [], DEADLINE_S)[0])))
    waiter.start()
    bell.wake()
    waiter.join(DEADLINE_S)
    assert woken == [True]
    bell.close()


def test_to_clear_what_was_not_rung_and_to_ring_what_is_closed_is_harmless() -> None:
    bell = Wakeup()
    bell.clear()
    bell.close()
    bell.wake()
