"""Wakes the one thread that waits in a poll: a pair of sockets. A byte is sent only to a thread that sleeps.

A system call costs more than all else that a short message needs, and hands the interpreter to the other thread.
"""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Wakeup"]


class Wakeup:
    """Any thread may `wake`. The thread that polls `fileno` says `sleep` before that, and `woken` after it.

    Whoever wakes has first put what there is to do where the thread looks. So either the thread sees it, or it has said
    that it sleeps, and gets a byte.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_called = False  # since the thread last looked for what there is to do
        self._sleeps = False

    def fileno(self) -> int:
        """What to poll for reading."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Have the thread look for what there is to do, if it is not about to do that anyway."""
        self._is_called = True
        if self._sleeps:
            self._sleeps = False
            with contextlib.suppress(OSError):  # full: it is awake; closed: nobody waits
                self._writer.send(b"!")

    def sleep(self) -> bool:
        """Note that the thread is about to wait. False: it was called since it last looked, and must look again."""
        self._sleeps = True
        if self._is_called:
            self._sleeps = False
        return self._sleeps

    def woken(self, *, is_rung: bool) -> None:
        """Note that the thread is about to look. `is_rung`: the poll has found something to read."""
        self._sleeps = self._is_called = False
        if is_rung:
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
