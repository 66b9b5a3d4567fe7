"""The bell of the I/O thread: whoever rings is heard, and rings at most once until somebody looks."""

from __future__ import annotations

import threading

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
