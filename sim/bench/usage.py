"""What a process has used so far: time, CPU, memory, and calls of Python functions."""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

__all__ = ["Usage", "count_calls", "usage"]

_calls: list[list[int]] = []  # of each thread that is counted


class Usage(Struct, frozen=True):
    """At `t`, in seconds of the clock that all processes of a machine share, a process had used so much."""

    t: float
    cpu_s: float
    peak_mb: float
    calls: int  # of Python functions, since `count_calls`; 0 without it


def usage() -> Usage:
    """What this process has used."""
    return Usage(time.monotonic(), time.process_time(), _peak_mb(), sum(count for (count,) in _calls))


def _peak_mb() -> float:
    """The most memory that this process ever had. On Linux `getrusage` counts its parent's, from before `exec`, too."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:  # macOS, where `ru_maxrss` is in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


def count_calls() -> None:
    """Count the calls of Python functions in this thread, and in those that begin after this.

    It makes each call several times as slow.
    """
    threading.setprofile(_begin)
    sys.setprofile(_counter())


def _begin(frame: Any, event: str, arg: Any) -> None:
    """The first event of a new thread."""
    count = _counter()
    sys.setprofile(count)
    count(frame, event, arg)


def _counter() -> Any:
    own = [0]
    _calls.append(own)

    def count(frame: Any, event: str, arg: Any) -> None:
        del frame, arg
        if event == "call":
            own[0] += 1

    return count
