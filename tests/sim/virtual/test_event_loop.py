"""Calls run in the order of their times; those of a process wait while it is paused, and never run once it is dead."""

from __future__ import annotations

import pytest

from sim.virtual.event_loop import Loop, Process


def run_all(loop: Loop, end_us: int = 1_000) -> None:
    while loop.run(end_us):
        pass


def fail() -> None:
    raise ValueError("broken")


def test_calls_run_in_the_order_of_their_times_and_then_of_their_adding() -> None:
    loop, ran = Loop(), list[tuple[str, int]]()
    for name, at_us in (("late", 20), ("first", 10), ("second", 10)):
        loop.at(at_us, lambda name=name: ran.append((name, loop.now_us)))  # type: ignore[misc]
    run_all(loop)
    assert ran == [("first", 10), ("second", 10), ("late", 20)]
    assert (loop.now_us, loop.now) == (1_000, 0.001)


def test_a_call_in_the_past_runs_now() -> None:
    loop, ran = Loop(), list[int]()
    loop.run(500)
    loop.at(3, lambda: ran.append(loop.now_us))
    run_all(loop)
    assert ran == [500]


def test_the_calls_of_a_paused_process_run_in_order_when_it_resumes() -> None:
    loop, process, ran = Loop(), Process("rig_1"), list[int]()
    process.paused = True
    for n in range(3):
        loop.at(n, lambda n=n: ran.append(n), process)  # type: ignore[misc]
    run_all(loop)
    assert ran == []
    process.resume()
    assert ran == [0, 1, 2]


def test_a_deferred_call_that_pauses_its_process_again_defers_the_rest() -> None:
    process, ran = Process("rig_1"), list[str]()

    def pause() -> None:
        process.paused = True

    process.paused = True
    process.call(pause)
    process.call(lambda: ran.append("rest"))
    process.resume()
    assert ran == []
    process.resume()
    assert ran == ["rest"]


def test_the_calls_of_a_dead_process_are_dropped() -> None:
    loop, process, ran = Loop(), Process("rig_1"), list[int]()
    loop.at(1, lambda: ran.append(1), process)
    process.dead = True
    run_all(loop)
    assert (ran, process.runs) == ([], False)


def test_what_a_process_raises_is_reported_and_the_others_go_on() -> None:
    raised, ran = list[tuple[str, str]](), list[int]()
    loop = Loop(lambda process, error: raised.append((process.name, str(error))))
    loop.at(1, fail, Process("rig_1"))
    loop.at(2, lambda: ran.append(2))
    run_all(loop)
    assert (raised, ran) == ([("rig_1", "broken")], [2])


def test_without_a_reporter_the_loop_raises() -> None:
    loop = Loop()
    loop.at(1, fail, Process("rig_1"))
    with pytest.raises(ValueError, match="broken"):
        run_all(loop)
