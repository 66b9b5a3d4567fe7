"""Gives the program that is debugged the input of the rehearsal, so that `breakpoint()` works in it."""

from __future__ import annotations

import os
import sys

__all__ = ["NO_LIMIT_S", "join_terminal"]

NO_LIMIT_S = 1e6  # eleven days; what waits for sockets takes no infinite time


def join_terminal(pid: int) -> None:
    """Take the input of the process `pid` as one's own: it must not read it meanwhile. The output is its already."""
    opened = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY)
    if opened:
        os.dup2(opened, 0)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # multiprocessing has closed the former one
