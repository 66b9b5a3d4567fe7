"""What nobody catches is told: in a thread, in a finalizer, and in a task of asyncio."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from typing import Any

import pytest

from sim.processes.watch.quiet_exceptions import journal_quiet_exceptions, tell_of_quiet_exceptions

Told = list[tuple[str, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(logging.getLogger("asyncio"), "handlers", [])
    said: list[tuple[str, str]] = []
    tell_of_quiet_exceptions(lambda error, trace: said.append((error, trace)))
    return said


def unplugged() -> None:
    raise OSError("encoder unplugged")


def run_in_a_thread(call: Any) -> None:
    thread = threading.Thread(target=call, name="wheel")
    thread.start()
    thread.join()


def test_a_thread_that_raises_is_told_by_name_with_its_traceback(told: Told) -> None:
    run_in_a_thread(unplugged)
    ((error, trace),) = told
    assert error == "OSError: encoder unplugged (in the thread wheel, which has ended)"
    assert "in unplugged" in trace


def test_a_thread_that_exits_on_purpose_is_not_told(told: Told) -> None:
    run_in_a_thread(sys.exit)
    assert told == []


def test_a_finalizer_that_raises_is_told(told: Told) -> None:
    class Camera:
        def __del__(self) -> None:
            raise OSError("camera is busy")

    Camera()
    gc.collect()
    ((error, trace),) = told
    assert error.startswith("OSError: camera is busy (Exception ignored in: ")
    assert "__del__" in trace


def test_a_task_that_nobody_awaits_is_told(told: Told) -> None:
    async def poll() -> None:
        unplugged()

    async def main() -> None:
        task = asyncio.ensure_future(poll())
        await asyncio.sleep(0)
        del task
        gc.collect()

    asyncio.run(main())
    ((error, trace),) = told
    assert error.startswith("OSError: encoder unplugged (asyncio: Task exception was never retrieved")
    assert "in poll" in trace


def test_what_asyncio_says_without_an_exception_is_told_too(told: Told) -> None:
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": "Task was destroyed but it is pending!"})
    loop.close()
    logging.getLogger("asyncio").warning("a callback took 200 ms")
    assert told == [("asyncio: Task was destroyed but it is pending!", "Task was destroyed but it is pending!")]


def test_a_station_journals_them(told: Told) -> None:
    class Lines:
        life = 0

        def __init__(self) -> None:
            self.lines: list[tuple[str, Any]] = []

        def now(self) -> int:
            return 0

        def write(self, what: str, **facts: Any) -> None:
            self.lines.append((what, facts["value"]["machine"]))

    journal = Lines()
    journal_quiet_exceptions(journal, "rig_1")
    run_in_a_thread(unplugged)
    assert journal.lines == [("exception", "rig_1")]
