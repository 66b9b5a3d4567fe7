"""The processes of one measurement. All are new, so that none has what a former measurement left behind."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

__all__ = ["BenchError", "BenchProcess", "Stage"]

SAYS_S = 120.0  # how long a process may take for one step
LOOK_S = 0.2  # how often to look whether one has failed
ENDS_S = 10.0


class BenchError(Exception):
    """A measurement that came to nothing; the sentence says which process failed, and in what."""


class BenchProcess:
    """One process. It calls a function with its end of a pipe, and the arguments that it was started with."""

    def __init__(self, name: str, process: Any, wire: Any, beside: list[BenchProcess]) -> None:
        self.name = name
        self.process = process
        self.wire = wire
        self._beside = beside  # all processes of the stage

    def hear(self) -> Any:
        """What it says next. Raises `BenchError` if it says nothing for too long, or any process of the stage fails."""
        deadline = time.monotonic() + SAYS_S
        while not self.wire.poll(LOOK_S):
            for part in self._beside:
                if part.process.exitcode:
                    raise BenchError(f"{part.name} ended with exit code {part.process.exitcode}; see stderr")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} has said nothing for {SAYS_S:.0f} s")
        try:
            return self.wire.recv()
        except EOFError:
            raise BenchError(f"{self.name} ended before it had said what it measured; see stderr") from None

    def tell(self, word: Any = None) -> None:
        """Send it something, which it waits for."""
        self.wire.send(word)


class Stage:
    """Starts processes, and ends them when it is left. `counts_calls`: calls of Python functions are counted there."""

    def __init__(self, *, counts_calls: bool = False) -> None:
        self.counts_calls = counts_calls
        self._context = multiprocessing.get_context("spawn")
        self._parts: list[BenchProcess] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for part in reversed(self._parts):
            with contextlib.suppress(OSError):
                part.wire.send(None)  # what it waits for last
            part.process.join(0 if error is not None else ENDS_S)
            if part.process.is_alive():
                part.process.kill()
                part.process.join()
            part.wire.close()

    def start(self, function: Callable[..., None], *args: Any) -> BenchProcess:
        """Start a process that calls `function(wire, *args)`."""
        ours, theirs = self._context.Pipe()
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        process = self._context.Process(
            target=_run, args=(function, theirs, self.counts_calls, *args), name=name, daemon=False
        )
        process.start()
        theirs.close()
        self._parts.append(BenchProcess(name, process, ours, self._parts))
        return self._parts[-1]


def _run(function: Callable[..., None], wire: Connection, counts_calls: bool, *args: Any) -> None:
    if counts_calls:
        from sim.bench.usage import count_calls

        count_calls()
    function(wire, *args)
