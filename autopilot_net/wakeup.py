"""Wakes the one thread that waits in a poll: a pair of sockets, of which at most one byte is under way."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Wakeup"]


class Wakeup:
    """Any thread may `wake`; the thread that polls `fileno` calls `clear` before it looks for what there is to do."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_set = False

    def fileno(self) -> int:
        """What to poll for reading."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Wake the thread, unless it was woken and has not looked yet."""
        if self._is_set:
            return
        self._is_set = True
        with contextlib.suppress(OSError):  # full: it is awake; closed: nobody waits
            self._writer.send(b"!")

    def clear(self) -> None:
        """Note that the thread is awake: whoever calls `wake` from here on wakes it once more."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        self._is_set = False

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
