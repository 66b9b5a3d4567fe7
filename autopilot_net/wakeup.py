"""Wakes the one thread that waits in a poll: a pair of sockets, rung at most once until it is answered."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Wakeup"]


class Wakeup:
    """Any thread may `ring`; the thread that polls `fileno` calls `silence` before it looks for what there is to do."""

    def __init__(self) -> None:
        self._bell, self._clapper = socket.socketpair()
        self._bell.setblocking(False)
        self._clapper.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        """What to poll for reading."""
        return self._bell.fileno()

    def ring(self) -> None:
        """Wake the thread, if it is not on its way already."""
        if self._rung:
            return
        self._rung = True
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody is left to hear it
            self._clapper.send(b"!")

    def silence(self) -> None:
        """Have heard it: whoever rings from here on is heard once more."""
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(4096)
        self._rung = False

    def close(self) -> None:
        """Close both ends."""
        self._bell.close()
        self._clapper.close()
