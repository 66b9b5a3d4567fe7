"""Journals internal errors of the library, which it logs. They fail the run, as exceptions of programs do."""

from __future__ import annotations

import logging
import traceback

from autopilot_net.error_report import error_report
from sim.emulator.sender import JournalWriter
from sim.lab.names import machine_of

__all__ = ["LibraryErrorHandler", "journal_library_errors"]

LIBRARY = logging.getLogger("autopilot_net")
MARK = "please report this"  # the library logs these words when one of its threads survives an internal error


class LibraryErrorHandler(logging.Handler):
    """Journals each log record that has the mark. `by` is the participant whose process this is."""

    def __init__(self, journal: JournalWriter, by: str) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal
        self._by = by

    def emit(self, record: logging.LogRecord) -> None:
        """Journal the record, if it has the mark."""
        message = record.getMessage()
        if MARK in message:
            error = record.exc_info[1] if record.exc_info else None
            trace = "".join(traceback.format_exception(error)) if error is not None else ""
            self._journal.write("exception", value=error_report(machine_of(self._by), message, trace))


def journal_library_errors(journal: JournalWriter, by: str) -> None:
    """Journal the library's internal errors in this process, from now on."""
    LIBRARY.addHandler(LibraryErrorHandler(journal, by))
