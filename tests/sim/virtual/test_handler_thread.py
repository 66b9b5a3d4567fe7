"""Handlers run one at a time, each for its own duration, as on the handler thread of a node."""

from __future__ import annotations

from sim.virtual.event_loop import Loop, Process
from sim.virtual.handler_thread import HANDOVER_US, HandlerThread


def test_the_next_handler_starts_when_the_one_before_is_done() -> None:
    loop, ran = Loop(), list[tuple[str, int]]()
    thread = HandlerThread(loop, Process("rig_1"))

    def handler(name: str, duration_us: int) -> None:
        def call() -> tuple[int, object]:
            ran.append((f"{name} begins", loop.now_us))
            return duration_us, lambda: ran.append((f"{name} ends", loop.now_us))

        thread.put(call)  # type: ignore[arg-type]

    handler("slow", 500)
    handler("quick", 10)
    thread.put(lambda: ran.append(("no handler", loop.now_us)))
    while loop.run(10_000):
        pass
    begin, end = HANDOVER_US, HANDOVER_US + 500
    assert ran == [
        *(("slow begins", begin), ("slow ends", end), ("quick begins", end), ("quick ends", end + 10)),
        ("no handler", end + 10),
    ]
