"""Measures the works: side by side in one run, in turn, several rounds, as a shared machine is now fast, now slow."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata

import zmq

from sim.bench.results import BenchReport, Sample, rows_of
from sim.bench.stage import Stage
from sim.bench.works import OURS, Work

__all__ = ["measure"]

PACKAGES = ("autopilot-net", "pyzmq", "msgspec", "numpy")


def measure(
    works: Sequence[Work], *, rounds: int, say: Callable[[str], object] = lambda _: None
) -> BenchReport:
    """Measure these works. `say` is told what is being done. Raises `BenchError` where a work comes to nothing."""
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    samples = []
    for work in works:
        for number in range(rounds):
            for side, play in work.sides.items():
                say(f"{work.name}: {side}, round {number + 1} of {rounds}")
                with Stage() as stage:
                    samples.append(Sample(work.name, side, number, play(stage, work.count)))
        if OURS in work.sides:
            say(f"{work.name}: calls a message")
            with Stage(counts_calls=True) as stage:
                samples.append(Sample(work.name, OURS, rounds, work.sides[OURS](stage, work.few), counted=True))
    return BenchReport(
        started=started,
        machine=_machine(),
        rounds=rounds,
        rows=rows_of(samples),
        samples=samples,
    )


def _machine() -> dict[str, str]:
    """What figures depend on. No name of a host is kept."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    here = {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()}
    return {**here, "cores": str(os.cpu_count()), "libzmq": zmq.zmq_version(), **versions}
