"""What a station's process shares with the one that made it, and asks of the system."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
from multiprocessing import connection

__all__ = ["Flag", "allow_connections", "end_with_owner"]


def allow_connections() -> None:
    """Let this process have as many connections as its system permits: the usual 1,024 files are 1,000 rigs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Flag:
    """Raised once, by any process that holds it. Not an Event: whoever sets one whose waiter was killed hangs."""

    def __init__(self) -> None:
        self._raised = multiprocessing.Semaphore(0)

    def set(self) -> None:
        """Raise it."""
        self._raised.release()

    def is_set(self) -> bool:
        """Whether it was raised."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is raised; False if it was not within `timeout` seconds."""
        raised = self._raised.acquire(timeout=timeout)
        if raised:
            self._raised.release()
        return raised


def end_with_owner(closing: Flag) -> None:
    """Raise `closing` on SIGTERM, and when the process that made this one ends. Called in the main thread.

    Python runs a signal's handler in the main thread, and one that is about to wait for its end might never come to it:
    one in some hundred SIGTERMs was lost, and a program that ends waits for its stations. So a thread waits for both.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its owner's to answer
    told, teller = os.pipe()
    os.set_blocking(teller, False)
    signal.set_wakeup_fd(teller, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_wait_for_end, args=(told, closing), name="owner", daemon=True).start()


def _wait_for_end(signals: int, closing: Flag) -> None:
    parent = multiprocessing.parent_process()
    watched: list[int] = [signals, *([parent.sentinel] if parent else [])]
    while connection.wait(watched) == [signals] and signal.SIGTERM not in os.read(signals, 64):
        pass
    closing.set()
