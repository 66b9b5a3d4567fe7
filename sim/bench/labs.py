"""Whole labs: a session in virtual time, and a star of machines that are started as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from sim.bench.stage import BenchError
from sim.bench.usage import usage
from sim.lab.topology import load
from sim.virtual.event_loop import rest_collector
from sim.virtual.lab import VirtualLab

__all__ = ["star", "virtual"]

SESSION_S = 5
STAR = """name: star
terminal: {{id: T}}
kinds: {{rig: {{trials: {{every_s: [1, 1], stages: 1, bytes: 250}}}}}}
pilots: [{{id: "rig_{{n}}", from: 1, to: {count}, kind: rig, subjects: ["m{{n}}"]}}]
session: {{duration_s: {seconds}}}
"""


def virtual(wire: Connection, count: int) -> None:
    """Play a session of so many rigs in virtual time. Tells the effects of a second of this process, and its memory."""
    with tempfile.TemporaryDirectory() as folder:
        lab = VirtualLab(load(_star(Path(folder), count)), seed=1, probes=False)
    rest_collector()
    began = time.monotonic()
    lab.start()
    is_played = not lab.await_handshakes() and lab.play((), {}, session=True) and not lab.settle("session")
    took = time.monotonic() - began
    if not is_played:
        raise BenchError("a star in virtual time did not play its session")
    wire.send({"value": lab.journal.effects / took, "peak_mb": usage().peak_mb})
    wire.recv()


def star(wire: Connection, count: int) -> None:
    """Rehearse a star of so many rigs without storms. Tells how long it took until all had shaken hands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--no-storm", "--no-page", "--json", "--report", name)
        command = [sys.executable, "-m", "sim", str(_star(folder, count, seconds=1)), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    up_s = json.loads(done.stdout).get("up_s") if done.stdout else None
    if up_s is None:
        raise BenchError(f"a star of {count} rigs was not up: {done.stderr[-500:]}")
    wire.send({"value": up_s})
    wire.recv()


def _star(folder: Path, count: int, *, seconds: int = SESSION_S) -> Path:
    """The file of a terminal with so many rigs."""
    path = folder / "star.yaml"
    path.write_text(STAR.format(count=count, seconds=seconds), encoding="utf-8")
    return path
