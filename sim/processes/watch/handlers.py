"""Watches the listens of a lab's own program, and tells of one that does not return, with its stack.

The patience is in seconds of a thread of this process, each a second of sleep: the time in which the process is paused,
or in which the computer is too busy to run it, is not held against a listen.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from types import FrameType
from typing import Any

from sim.emulator.sender import JournalWriter
from sim.processes.watch.own_threads import is_own_code

__all__ = ["HandlerWatch"]

TICK_S = 1.0

Handler = Callable[..., Any]


class HandlerWatch:
    """Knows which listens run. `tell` is called with the name of each that hangs, once it is journalled."""

    def __init__(self, journal: JournalWriter, tell: Callable[[str], Any]) -> None:
        self._journal = journal
        self._tell = tell
        self._lock = threading.Lock()
        self._running: list[_RunningListen] = []
        self._begun = False

    def watched(self, name: str, listen: Handler) -> Handler:
        """The listen, which is known to run while it does."""

        @wraps(listen)
        def call(*args: Any) -> Any:
            with self.running(name):
                result = listen(*args)
            return self.awaited(name, result) if inspect.isawaitable(result) else result

        return call

    async def awaited(self, name: str, result: Awaitable[Any]) -> Any:
        """The result of an `async def`, which runs until it is there."""
        with self.running(name, result):
            return await result

    @contextlib.contextmanager
    def running(self, name: str, coroutine: Any = None) -> Iterator[None]:
        """A listen runs inside, in this thread or as this coroutine."""
        one = _RunningListen(name, self._journal.now(), threading.get_ident(), coroutine)
        with self._lock:
            self._running.append(one)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(one)

    def begin(self, patience_s: float) -> None:
        """Begin to watch, once: from now on a listen must not run for as long as that."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._watch, args=(patience_s,), name="listens", daemon=True).start()

    def _watch(self, patience_s: float) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                running = list(self._running)
            for one in running:
                before, one.for_s = one.for_s, one.for_s + TICK_S
                if before < patience_s <= one.for_s:
                    self._note(one)

    def _note(self, one: _RunningListen) -> None:
        stack = one.stack()
        where = next((frame for frame in reversed(stack) if is_own_code(frame.filename)), stack[-1] if stack else None)
        words = "" if where is None else f"{where.filename}, line {where.lineno}, in {where.name}"
        facts = {"begun": one.begun, "where": words, "stack": "".join(stack.format())}
        self._journal.write("hangs", key=one.name, value=facts)
        self._tell(one.name)


class _RunningListen:
    """A listen that runs, and for how long it was seen to."""

    def __init__(self, name: str, begun: int, thread: int, coroutine: Any) -> None:
        self.name = name
        self.begun = begun
        self.for_s = 0.0
        self._thread = thread
        self._coroutine = coroutine

    def stack(self) -> traceback.StackSummary:
        """Where it is now, the innermost call last."""
        frames = list(_awaiting(self._coroutine))
        top = sys._current_frames().get(self._thread)
        if top is not None and (not frames or any(frame is frames[0] for frame, _ in traceback.walk_stack(top))):
            frames = [frame for frame, _ in traceback.walk_stack(top)][::-1]  # no coroutine, or it never lets go
        return traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)


def _awaiting(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a coroutine and of those that it awaits."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame
        coroutine = coroutine.cr_await
