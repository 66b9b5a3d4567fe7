"""Tells of the exceptions that Python only prints: in a thread, in a finalizer, and in a task of asyncio.

A handler's exception is told by the library. These have nobody who catches them, so that a camera's thread may end in
the middle of a session, and all that shows it is a line in a log.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from autopilot_net.error_report import error_report
from sim.emulator.sender import JournalWriter

__all__ = ["journal_quiet_exceptions", "tell_of_quiet_exceptions"]

Tell = Callable[[str, str], Any]  # an exception in words, and its traceback


def tell_of_quiet_exceptions(tell: Tell) -> None:
    """Have `tell` called for each exception that nobody in this process catches. They are still printed."""
    print_thread, print_unraisable = threading.excepthook, sys.unraisablehook

    def in_thread(args: threading.ExceptHookArgs) -> None:
        print_thread(args)
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread is not None else "unknown"
            tell(f"{_words(args.exc_value)} (in the thread {name}, which has ended)", _trace(args.exc_value))

    def unraisable(args: Any) -> None:  # a `sys.UnraisableHookArgs`, which exists for type checkers only
        print_unraisable(args)
        if args.exc_value is not None:
            about = f"{args.err_msg or 'Exception ignored in'}: {args.object!r}"
            tell(f"{_words(args.exc_value)} ({about})", _trace(args.exc_value))

    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
    logging.getLogger("asyncio").addHandler(AsyncioErrorHandler(tell))


def journal_quiet_exceptions(journal: JournalWriter, machine: str) -> None:
    """Journal each exception that nobody in this process of `machine` catches."""
    tell_of_quiet_exceptions(lambda error, trace: journal.write("exception", value=error_report(machine, error, trace)))


class AsyncioErrorHandler(logging.Handler):
    """Tells each error that asyncio logs: an exception of a task that nobody awaits, or a task that was forgotten."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the record."""
        said = record.getMessage().partition("\n")[0]
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._tell(f"asyncio: {said}", record.getMessage())
        else:
            self._tell(f"{_words(error)} (asyncio: {said})", _trace(error))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
