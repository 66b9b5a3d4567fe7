"""How a process ended that nobody told to, in words, and the last lines of its log."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

__all__ = ["death_facts", "last_lines", "log_of", "words_of"]

LIBRARY_ENDED = 70  # the exit code of a station one of whose threads of the library has ended
LINES = 20
LINE_BYTES = 400  # of a long line the end is shown


def log_of(name: str) -> str:
    """The log of a participant's process, from the folder of the run: what it printed, and what was logged."""
    machine, part = (name[1:], "program") if name.startswith("_") else (name, "station")
    return f"logs/{machine}.{part}.log"


def death_facts(folder: Path, name: str, exit_code: int | None) -> dict[str, Any]:
    """What the journal notes of a process that ended by itself."""
    return {"how": words_of(exit_code), "log": log_of(name), "tail": last_lines(folder / log_of(name))}


def words_of(exit_code: int | None) -> str:
    """'SIGSEGV', 'exit code 3'. A negative exit code is a signal."""
    if exit_code is None:
        return "it closed its connection to the rehearsal, and runs on"
    if exit_code == LIBRARY_ENDED:
        return f"exit code {exit_code}, since a thread of the library had ended"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
    return f"{name}, which the rehearsal did not send" if name == "SIGKILL" else name


def last_lines(path: Path, count: int = LINES) -> list[str]:
    """The last lines of a file, without those that are empty; none if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - count * LINE_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line[-LINE_BYTES:].rstrip() for line in text.splitlines() if line.strip()][-count:]
