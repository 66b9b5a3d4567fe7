"""Ends a run's processes when its parent is gone, however it went. A program of the standard library alone.

It leads the process group that every process of a run joins, and reads a pipe that only the parent holds open: at
end-of-file it kills the group, itself included. A signal handler in the parent would not do, since a SIGKILL runs none;
nor would the death signal of Linux, since a process of the forkserver has another parent.
"""

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Wait for end-of-file on standard input, then kill the group."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
