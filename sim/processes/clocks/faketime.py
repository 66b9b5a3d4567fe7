"""Debian's faketime: a library that is preloaded, and answers each look at the wall clock by the text of a file.

Nothing but the wall clock is changed. All processes of a run are forked from one fork server. So it is the server that
starts under the library, and each process then names the file of its own machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import SupportsIndex

__all__ = ["MISSING", "UNASKED", "clock_file", "is_asked_for", "is_preloaded", "join", "library", "start_fork_server"]

MISSING = "faketime is not installed; on Debian: apt-get install faketime"
ASKED_BY = "REHEARSAL_FAKETIME"  # the environment variable: the library makes each look at any clock dear
UNASKED = f"faketime, which takes about half of two cores, was not asked for by {ASKED_BY}=1"
PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
WAITS, WAIT_S = 150, 0.01
NEAR_S = 0.5  # clocks are seconds apart
HOW = {
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "DONT_FAKE_MONOTONIC": "1",  # the same, as older versions call it
    "NO_FAKE_STAT": "1",  # the times of files are right
    "FAKETIME_CACHE_DURATION": "0",  # the file is read again in each second of the right clock
}


def library() -> Path | None:
    """The library for programs with threads, or None if it is not installed."""
    found = (path for place in PLACES for path in Path(place).glob("**/faketime/libfaketimeMT.so.1"))
    return next(found, None)


def is_asked_for() -> bool:
    """Whether the environment asks for it."""
    return os.environ.get(ASKED_BY) == "1"


def start_fork_server() -> None:
    """Start the fork server, under the library if that is asked for and installed. Does nothing if the server runs."""
    faked = library() if is_asked_for() else None
    with _environment({} if faked is None else {**HOW, "LD_PRELOAD": str(faked)}):
        forkserver.ensure_running()


def is_preloaded() -> bool:
    """Whether this process runs under the library."""
    return "libfaketime" in os.environ.get("LD_PRELOAD", "")


def clock_file(folder: Path, machine: str) -> Path:
    """The file that says what the clock of a machine shows."""
    return folder / "clocks" / machine


def join(folder: Path, machine: str) -> None:
    """Give this process the clock of its machine. This must come before anything looks at the clock.

    If the process does not run under the library, an empty file says so to the parent.
    """
    file = clock_file(folder, machine)
    if not is_preloaded():
        if file.exists():
            file.with_suffix(".right").touch()
        return
    del os.environ["LD_PRELOAD"]  # what a lab's program starts has the right clock, and sleeps as ever
    # The library takes a time of the monotonic clock until which to sleep for one of the wall clock, and fails.
    time.sleep = _sleep
    if file.exists():
        os.environ["FAKETIME_TIMESTAMP_FILE"] = str(file)
        _await_clock(file)


def _await_clock(file: Path) -> None:
    """Wait until the clock shows what the file says. If the fork server has just looked at it, that takes a second."""
    for _ in range(WAITS):
        right = _right_epoch(file)
        ahead = float(file.read_text().split()[0])
        if abs(time.time() - time.monotonic() - right - ahead) < NEAR_S:
            return
        _sleep(WAIT_S)


def _right_epoch(file: Path) -> float:
    """What the right clock shows at monotonic 0, by the time that the kernel gives to a file."""
    mark = file.with_suffix(f".{os.getpid()}")
    mark.touch()
    at = mark.stat().st_mtime - time.monotonic()
    mark.unlink()
    return at


def _sleep(seconds: float | SupportsIndex, /) -> None:
    """As `time.sleep`."""
    wait = float(seconds)
    if wait < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), wait)


@contextlib.contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
