"""The threads that a lab's own program leaves behind, and those that are no fault of it."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import autopilot_net
import sim.lab.tree
from autopilot_net.worker import Worker
from sim.processes.watch.own_threads import is_own_code, outliving


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def names() -> set[str]:
    return {thread.name for thread, _ in outliving(0)}


def test_own_code_is_no_part_of_python_of_a_package_or_of_ours() -> None:
    assert is_own_code("/home/lab/wheelbox.py")
    for file in (threading.__file__, pytest.__file__, autopilot_net.__file__, sim.lab.tree.__file__, "<frozen os>"):
        assert not is_own_code(str(file))


def test_a_thread_of_the_labs_is_told_with_its_stack_and_one_that_ends_in_time_is_not(stop: threading.Event) -> None:
    def turn() -> None:
        stop.wait()

    threads = [threading.Thread(target=turn, name=name, daemon=True) for name in ("wheel", "camera")]
    for thread in threads:
        thread.start()
    stacks = {thread.name: stack for thread, stack in outliving(0)}
    assert "in turn" in stacks["wheel"]
    assert "in turn" in stacks["camera"]
    threading.Timer(0.01, stop.set).start()
    assert not {"wheel", "camera"} & {thread.name for thread, _ in outliving(10)}


def test_a_timer_of_the_labs_that_has_yet_to_fire_is_told() -> None:
    timer = threading.Timer(60, lambda: None)
    timer.name = "reward"
    timer.start()
    assert "reward" in names()
    timer.cancel()
    timer.join()


def test_threads_of_python_and_of_the_library_are_none_of_the_labs(stop: threading.Event) -> None:
    before = names()
    running: queue.SimpleQueue[None] = queue.SimpleQueue()
    worker = Worker("T")

    def work() -> None:
        running.put(None)
        stop.wait()

    worker.put(work, about="a slow file")
    running.get()
    idle = ThreadPoolExecutor(1)
    idle.submit(sys.getswitchinterval).result()
    assert names() <= before
    idle.shutdown()
