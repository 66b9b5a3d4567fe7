"""Measures what each process of a lab holds before and after the load, and the CPU that it takes while nothing happens.

The figures go into the journal. The check `resources` judges them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
from msgspec import Struct

from sim.evidence.journal import Entry

__all__ = ["Meter"]

IDLE_S = 1.0
WINDOWS = 3  # a process that takes CPU in each of them is not just at the end of something
QUIET_PCT = 5.0
RELEASE_S = 10.0  # how long a stream that has ended may keep its socket, if its last items are slow to be read
FEW = 8  # threads, or descriptors, that a process may keep: then nothing is waited for


class _Used(Struct, frozen=True):
    pid: int
    threads: int
    fds: int
    cpu_s: float


class Meter:
    """Measures the processes that `processes()` names: display name → process id. Called by one thread."""

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        self._processes = processes
        self._before: dict[str, _Used] = {}

    def before(self) -> list[Entry]:
        """What each process holds."""
        self._before = self._snapshot()
        return [_entry("used", name, 0, self._held(used)) for name, used in self._before.items()]

    def after(self) -> list[Entry]:
        """What each process takes while the lab is idle, which lasts up to three seconds, and then holds."""
        least: dict[str, float] = {}
        for _ in range(WINDOWS):
            for name, share in self._idle().items():
                least[name] = min(share, least.get(name, share))
            if all(share < QUIET_PCT for share in least.values()):
                break
        idle = [_entry("idle", name, 1, {"cpu_pct": round(share, 1)}) for name, share in least.items()]
        return idle + [_entry("used", name, 1, self._held(used)) for name, used in self._released().items()]

    def _released(self) -> dict[str, _Used]:
        """What each process holds once it has let go of what the load took, or when time is up."""
        deadline = time.monotonic() + RELEASE_S
        while True:
            used = self._snapshot()
            if time.monotonic() >= deadline or not any(self._keeps_more(name, now) for name, now in used.items()):
                return used
            time.sleep(IDLE_S / 4)

    def _keeps_more(self, name: str, now: _Used) -> bool:
        before = self._before.get(name, now)
        return now.pid == before.pid and (now.fds > before.fds + FEW or now.threads > before.threads + FEW)

    def _idle(self) -> dict[str, float]:
        """The CPU of each process in one window, in per cent of one core."""
        first, since = self._snapshot(), time.monotonic()
        time.sleep(IDLE_S)
        last, took = self._snapshot(), time.monotonic() - since
        return {
            name: 100 * (used.cpu_s - first[name].cpu_s) / took
            for name, used in last.items()
            if name in first and first[name].pid == used.pid
        }

    def _snapshot(self) -> dict[str, _Used]:
        found = {}
        for name, pid in self._processes().items():
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                found[name] = _Used(pid, process.num_threads(), process.num_fds(), times.user + times.system)
            except psutil.Error:
                continue  # it has ended meanwhile
        return found

    @staticmethod
    def _held(used: _Used) -> dict[str, int]:
        return {"pid": used.pid, "threads": used.threads, "fds": used.fds}


def _entry(what: str, name: str, n: int, value: object) -> Entry:
    return Entry(t=time.monotonic_ns(), by=name, what=what, n=n, value=value)
