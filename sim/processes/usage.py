"""Samples the CPU load of the machine, and the CPU and memory of each process of a run, twice a second."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import psutil

from sim.evidence.spans import merged
from sim.verdict import Cpu, ProcessRow

__all__ = ["OVERLOAD_PCT", "Sampler"]

OVERLOAD_PCT = 90.0
EVERY_S = 0.5
LATE_S = 0.25  # who is woken so much too late waited for a CPU


class Sampler:
    """Samples in a thread from `start` to `stop`. `processes` returns display name → process id."""

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        self._processes = processes
        self._load: list[tuple[int, float]] = []  # (ns, per cent of all cores)
        self._late: list[
            tuple[int, int]
        ] = []  # when this thread waited for a CPU: a container may have less than a core
        self._memory: dict[tuple[str, int], float] = {}
        self._cpu: dict[tuple[str, int], tuple[float, float, float]] = {}  # first sample, last sample, CPU seconds
        self._started: dict[tuple[str, int], float] = {}  # CPU seconds at the first sample
        self._known: dict[int, psutil.Process] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        psutil.cpu_percent()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, within two seconds."""
        self._done.set()
        if self._thread.ident:
            self._thread.join(2.0)

    def cpu(self) -> Cpu:
        """The load of the whole machine, all cores together."""
        loads = [load for _, load in self._load] or [0.0]
        return Cpu(
            cores=psutil.cpu_count() or 1,
            median_pct=round(statistics.median(loads), 1),
            max_pct=max(loads),
            overloaded_s=round(sum(until - since for since, until in self.overloaded()) / 1e9, 1),
        )

    def overloaded(self) -> list[tuple[int, int]]:
        """The spans of overload, as pairs of nanoseconds of the monotonic clock. Latencies in them are flagged."""
        full = [(at - int(EVERY_S * 1e9), at) for at, load in self._load if load > OVERLOAD_PCT]
        return merged([*full, *self._late])

    def rows(self) -> list[ProcessRow]:
        """One row for each process, in the order of their names."""
        rows = []
        for (name, pid), (first, last, used) in sorted(self._cpu.items()):
            share = 100 * used / (last - first) if last > first else 0.0
            memory = round(self._memory[name, pid], 1)
            rows.append(ProcessRow(name=name, pid=pid, memory_mb=memory, cpu_pct=round(share, 1)))
        return rows

    def _run(self) -> None:
        last = time.monotonic_ns()
        while not self._done.wait(EVERY_S):
            now = time.monotonic_ns()
            if now - last > (EVERY_S + LATE_S) * 1e9:
                self._late.append((last, now))
            self._load.append((now, psutil.cpu_percent()))
            for name, pid in self._processes().items():
                try:
                    self._sample(name, pid)
                except psutil.Error:
                    continue  # it has ended meanwhile
            last = time.monotonic_ns()

    def _sample(self, name: str, pid: int) -> None:
        process = self._known.setdefault(pid, psutil.Process(pid))
        with process.oneshot():
            times = process.cpu_times()
            memory = process.memory_info().rss / 1e6
        now, used = time.monotonic(), times.user + times.system
        first = self._cpu.get((name, pid), (now, now, 0.0))[0]
        start = self._started.setdefault((name, pid), used)
        self._cpu[name, pid] = (first, now, used - start)
        self._memory[name, pid] = max(memory, self._memory.get((name, pid), 0.0))
