"""Finds the threads that a lab's own program has started and not ended."""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

import autopilot_net
import sim

__all__ = ["is_own_code", "outliving"]

_OURS = tuple(f"{Path(str(package.__file__)).parent}/" for package in (autopilot_net, sim))
_PYTHONS = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_INSTALLED = ("/site-packages/", "/dist-packages/")


def is_own_code(file: str) -> bool:
    """Whether a source file is the lab's own: no part of Python, of an installed package, of the library or of sim."""
    return not (file.startswith(("<", *_OURS, *_PYTHONS)) or any(place in file for place in _INSTALLED))


def outliving(seconds: float) -> list[tuple[threading.Thread, str]]:
    """The threads that run code of the lab's own after so many seconds, each with its stack."""
    deadline = time.monotonic() + seconds
    for thread in _own_threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    return [(thread, "".join(traceback.format_stack(frame))) for thread, frame in _own_threads().items()]


def _own_threads() -> dict[threading.Thread, FrameType]:
    frames = sys._current_frames()
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    running = {thread: frames[thread.ident] for thread in others if thread.ident in frames}
    return {thread: frame for thread, frame in running.items() if _is_own(thread, frame)}


def _is_own(thread: threading.Thread, frame: FrameType) -> bool:
    """Whether the lab's own code began the thread. A thread of the library may call the lab's code, too."""
    if isinstance(thread, threading.Timer):
        return is_own_code(_file_of(thread.function))
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_stack(frame)]
    begun_by = next((file for file in reversed(files) if is_own_code(file) or file.startswith(_OURS)), "<nobody>")
    return is_own_code(begun_by)


def _file_of(function: object) -> str:
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code.co_filename if code is not None else "<unknown>"
