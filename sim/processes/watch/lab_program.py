"""One of the lab's own programs in its process: made, called by its listens, and ended. What it raises is told."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from autopilot_net import Message
from autopilot_net.coroutines import finished, refuse_generators
from sim.emulator.sender import JournalWriter
from sim.processes.watch.handlers import HandlerWatch
from sim.processes.watch.own_threads import outliving

__all__ = ["LabProgram", "listens_of"]

LINGERS_S = 3.0  # how long a thread of the program may go on after close()

Handler = Callable[..., Any]
Tell = Callable[[BaseException | str, str], Any]  # an exception, or one in words, and its traceback


class LabProgram:
    """The program `module:Class`. `tell` is called with what it raises, and with what it should not do, `hangs` with
    the name of a listen that does not return.
    """

    def __init__(
        self, name: str, journal: JournalWriter, tell: Tell, hangs: Callable[[str], Any] = lambda _: None
    ) -> None:
        self.watch = HandlerWatch(journal, hangs)
        self._name = name
        self._journal = journal
        self._tell = tell
        self._program: Any = None

    def begin(self, node: Any, settings: Any) -> dict[str, Handler]:
        """Import and construct it. Returns its listens by key: none if it raised, which is told."""
        module, _, cls = self._name.partition(":")
        try:
            program = getattr(importlib.import_module(module), cls)(node, settings)
            listens = listens_of(program)
        except BaseException as error:  # noqa: BLE001  # even a SystemExit at import must be reported
            self._tell(error, traceback.format_exc())
            return {}
        self._program = program
        return {key: self.watch.watched(f"l_{key.lower()}", listen) for key, listen in listens.items()}

    def call(self, name: str, message: Message) -> Any:
        """Call its listen `name`, if it has one, and journal how long that took."""
        method = getattr(self._program, name, None)
        if method is None:
            return None
        with self._timed(message.key), self.watch.running(name):
            result = method(message.value)
        return self._awaited(self.watch.awaited(name, result), message.key) if inspect.isawaitable(result) else result

    def expected(self, entries: list[Any]) -> Any:
        """What it says that its session should have produced; None if it does not say, or raises."""
        try:
            return self._program.expected(entries) if hasattr(self._program, "expected") else None
        except Exception as error:  # noqa: BLE001  # whatever it is, the process must live on
            self._tell(error, traceback.format_exc())
            return None

    def close(self) -> None:
        """End it. Tells what `close()` raises, and each thread that goes on after it."""
        if self._program is None:
            return
        try:
            if hasattr(self._program, "close"):
                finished(self._program.close(), "close()")
        except BaseException as error:  # noqa: BLE001  # whatever it is, the machine must end
            self._tell(error, traceback.format_exc())
        for thread, stack in outliving(LINGERS_S):
            kind = "daemon thread" if thread.daemon else "thread"
            self._tell(f"the {kind} {thread.name} of {self._name} is still alive {LINGERS_S:g} s after close()", stack)

    async def _awaited(self, result: Awaitable[Any], key: str) -> Any:
        with self._timed(key):
            return await result

    @contextlib.contextmanager
    def _timed(self, key: str) -> Iterator[None]:
        begun = self._journal.now()
        try:
            yield
        finally:
            self._journal.write("listened", key=key, value={"begun": begun})


def listens_of(program: Any) -> dict[str, Handler]:
    """The methods `l_<key>` of a program, by key. Raises `AutopilotNetError` for a generator, which would never run."""
    names = [name for name in dir(program) if name.startswith("l_")]
    listens = {name.removeprefix("l_").upper(): getattr(program, name) for name in names}
    refuse_generators(listens, f"program {type(program).__name__}")
    return listens
