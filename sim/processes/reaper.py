"""Kills a run's processes when the parent of the run has ended, in whatever way. Uses the standard library alone.

The reaper leads the process group that every process of a run joins. It reads a pipe that only the parent holds open.
At end-of-file it kills the group, itself included. A signal handler in the parent would not run on SIGKILL. The parent
death signal of Linux would not help either, since the fork server is the parent of the processes.
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
