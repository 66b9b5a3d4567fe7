"""The bell of the I/O thread: whoever calls is heard, and rings only for a thread that sleeps, and once."""

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


def test_only_one_that_sleeps_is_rung_for_and_only_once() -> None:
    bell = Wakeup()
    bell.wake()
    assert not is_rung(bell), "it has yet to look"
    bell.woken(is_rung=False)
    assert bell.sleep()
    for _ in range(100_000):  # more than a pair of sockets has room for
        bell.wake()
    assert is_rung(bell)
    bell.woken(is_rung=True)
    assert not is_rung(bell)
    assert bell.sleep()
    bell.wake()
    assert is_rung(bell)
    bell.close()


def test_one_that_was_called_while_it_looked_does_not_sleep() -> None:
    bell = Wakeup()
    bell.woken(is_rung=False)
    bell.wake()
    assert not bell.sleep()
    assert not is_rung(bell)
    bell.woken(is_rung=False)
    assert bell.sleep()
    bell.close()


def test_whoever_rings_wakes_the_thread_that_waits() -> None:
    bell = Wakeup()
    woken: list[bool] = []
    sleeps = threading.Event()

    def wait() -> None:
        assert bell.sleep()
        sleeps.set()
        woken.append(bool(select.select([bell], [], [], DEADLINE_S)[0]))

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert sleeps.wait(DEADLINE_S)
    bell.wake()
    waiter.join(DEADLINE_S)
    assert woken == [True]
    bell.close()


def test_to_ring_what_is_closed_and_to_read_what_was_not_rung_is_harmless() -> None:
    bell = Wakeup()
    bell.woken(is_rung=True)
    bell.sleep()
    bell.close()
    bell.wake()
