"""What the library logs that should never happen, written down as what a program raises is: the run has broken."""

from __future__ import annotations

import logging
import traceback

from autopilot_net.error_report import error_report
from sim.emulator.sender import Notebook
from sim.lab.names import machine_behind

__all__ = ["Complaints", "listen_for_complaints"]

LIBRARY = logging.getLogger("autopilot_net")
MARK = "please report this"  # with these words the library logs what its own threads outlived


class Complaints(logging.Handler):
    """Hears what the library outlived, in a process of `by`, and writes it into the journal."""

    def __init__(self, journal: Notebook, by: str) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal
        self._by = by

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the log."""
        said = record.getMessage()
        if MARK in said:
            error = record.exc_info[1] if record.exc_info else None
            trace = "".join(traceback.format_exception(error)) if error is not None else ""
            self._journal.write("exception", value=error_report(machine_behind(self._by), said, trace))


def listen_for_complaints(journal: Notebook, by: str) -> None:
    """From now on, in this process."""
    LIBRARY.addHandler(Complaints(journal, by))
