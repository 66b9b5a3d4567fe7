"""A listen that does not return is told once, with its stack; one that returns is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sim.processes.watch import handlers
from sim.processes.watch.handlers import HandlerWatch
from tests.patience import patient


class Notes:
    """A journal that keeps what is written."""

    life = 0

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []

    def now(self) -> int:
        """The time."""
        return 7

    def write(self, what: str, **facts: Any) -> None:
        """Keep it."""
        self.written.append((what, facts))


class Watched:
    """A watch with a patience of a few ticks, and what it told."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.told: list[str] = []
        self.has_told = threading.Event()
        self.go_on = threading.Event()
        self.watch = HandlerWatch(self.notes, self._tell)

    def _tell(self, name: str) -> None:
        self.told.append(name)
        self.has_told.set()

    def wait_for_ever(self, _: Any) -> str:
        """A listen that hangs until the test ends."""
        self.go_on.wait()
        return "done"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(handlers, "TICK_S", 0.01)
    watched = Watched()
    yield watched
    watched.go_on.set()


def test_a_listen_that_does_not_return_is_told_once_with_its_stack(watched: Watched) -> None:
    listen = watched.watch.watched("l_start", watched.wait_for_ever)
    quick = watched.watch.watched("l_stop", lambda value: value)
    threading.Thread(target=listen, args=(1,), daemon=True).start()
    watched.watch.begin(0.03)
    assert watched.has_told.wait(patient(10))
    assert quick(3) == 3
    second = threading.Thread(target=watched.watch.watched("l_param", watched.wait_for_ever), args=(1,), daemon=True)
    watched.has_told.clear()
    second.start()
    assert watched.has_told.wait(patient(10))
    assert watched.told == ["l_start", "l_param"]
    (what, facts), _ = watched.notes.written
    assert (what, facts["key"], facts["value"]["begun"]) == ("hangs", "l_start", 7)
    assert facts["value"]["where"].endswith("in wait_for_ever")
    assert "in wait_for_ever\n    self.go_on.wait()" in facts["value"]["stack"]


@pytest.mark.parametrize("blocks", [False, True])
def test_an_async_listen_has_the_stack_of_its_coroutine_or_of_what_blocks_its_loop(
    watched: Watched, blocks: bool
) -> None:
    async def inner() -> None:
        if blocks:
            watched.wait_for_ever(0)
        while not watched.go_on.is_set():
            await asyncio.sleep(0.01)

    async def l_start(_: Any) -> None:
        await inner()

    listen = watched.watch.watched("l_start", l_start)
    thread = threading.Thread(target=lambda: asyncio.run(listen(1)), daemon=True)
    thread.start()
    watched.watch.begin(0.03)
    assert watched.has_told.wait(patient(10))
    stack = watched.notes.written[0][1]["value"]["stack"]
    assert ("in inner" in stack, "wait_for_ever" in stack) == (True, blocks)
    watched.go_on.set()
    thread.join(patient(10))
    assert not thread.is_alive()


def test_a_listen_keeps_its_marks(watched: Watched) -> None:
    def l_start(_: Any) -> None:
        pass

    l_start.concurrent = True  # type: ignore[attr-defined]
    assert watched.watch.watched("l_start", l_start).concurrent  # type: ignore[attr-defined]
