"""Slow work beside a handler thread: about one thing in order, about different things at once."""

from __future__ import annotations

import threading

import pytest

from autopilot_net.worker import THREADS, Worker
from tests.conftest import eventually
from tests.patience import DEADLINE_S


def test_calls_about_one_thing_run_in_their_order_and_never_at_once() -> None:
    beside = Worker("s")
    ran: list[int] = []
    running = threading.Lock()

    def call(number: int) -> None:
        assert running.acquire(blocking=False)
        ran.append(number)
        running.release()

    for number in range(500):
        beside.put(lambda number=number: call(number), about="film")  # type: ignore[misc]
    eventually(lambda: len(ran) == 500)
    assert ran == list(range(500))


def test_what_is_slow_about_one_thing_holds_up_nothing_about_another() -> None:
    beside = Worker("s")
    gate, done = threading.Event(), threading.Event()
    beside.put(lambda: gate.wait(DEADLINE_S), about="film")
    behind: list[str] = []
    beside.put(lambda: behind.append("film"), about="film")
    for _ in range(3):
        beside.put(lambda: None, about="tone")
    beside.put(done.set, about="tone")
    assert done.wait(DEADLINE_S)
    assert behind == []
    gate.set()
    eventually(lambda: behind == ["film"])


def test_what_raises_is_logged_and_the_next_runs(caplog: pytest.LogCaptureFixture) -> None:
    beside = Worker("rig_1")
    done = threading.Event()
    for about in range(2 * THREADS):
        beside.put(lambda: 1 // 0, about=str(about))
    beside.put(done.set, about="0")
    assert done.wait(DEADLINE_S)
    assert "rig_1: work beside its handlers raised" in caplog.text
