"""What is run on a copy: rehearsals and a hunt, as a person would start them, the cheapest first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.patience import patient

__all__ = ["RUNS", "Played", "Run", "play", "result_of"]

SEED = "1"
HUNT_SEED, HUNT_S, HUNT_JOBS = 1, 45, 2
GRACE_S = 5.0

# What a hunt does, without making its find small, which takes time and finds nothing.
HUNT = f"""
import sys, tempfile
from pathlib import Path
import msgspec
from sim.lab.topology import load
from sim.search.hunt import hunt
with tempfile.TemporaryDirectory() as folder:
    found = hunt(load(Path("topologies/lab.yaml")), seed={HUNT_SEED}, seconds={{seconds}}, folder=Path(folder),
                 jobs={HUNT_JOBS}, confirm=False, shrink_s=0.0)
sys.stdout.buffer.write(msgspec.json.encode({{{{"verdict": found.verdict, "broke": found.broke}}}}))
sys.exit(0 if found.verdict == "held" else 1)
"""
EVERYTHING = """
import importlib, pkgutil
for package in map(importlib.import_module, ("autopilot_net", "sim")):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


@dataclass(frozen=True)
class Run:
    """One run: what Python is given, and how many seconds of an idle machine it may take."""

    name: str
    args: tuple[str, ...]
    most_s: float = 60.0


def _rehearsal(lab: str, *options: str) -> Run:
    name = f"{lab}, virtual" if "--virtual" in options else lab
    return Run(name, ("-m", "sim", f"topologies/{lab}.yaml", "--seed", SEED, "--json", "--no-page", *options))


_ORDER = [
    *(_rehearsal(lab, "--virtual") for lab in ("pair", "badday", "chain")),
    _rehearsal("lab", "--virtual", "--stand-ins"),
    Run("hunt", ("-c", HUNT.format(seconds=HUNT_S)), most_s=HUNT_S + 30.0),
    *(_rehearsal(lab) for lab in ("pair", "lab", "badday", "boxroom")),
]
RUNS = {run.name: run for run in _ORDER}
IMPORTS = Run("imports", ("-c", EVERYTHING))


@dataclass(frozen=True)
class Played:
    """What one run came to. `verdict` is what it says itself, "crashed" if it says nothing, or "too long"."""

    verdict: str
    seconds: float
    first: str = ""  # the first thing that broke, or the last line on stderr


def play(run: Run, tree: Path) -> Played:
    """Run it on the copy in `tree`."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        code, out, said = _ended([*run.args, *_report(run, folder)], tree, patient(run.most_s))
    verdict, first = result_of(code, out, said)
    return Played(verdict, time.monotonic() - begun, first)


def result_of(code: int | None, out: str, said: str) -> tuple[str, str]:
    """The verdict of a run by its exit code and what it printed, and the first thing that broke.

    It broke only where it says so itself: a traceback ends with exit code 1, too.
    """
    if code is None:
        return "too long", ""
    try:
        told: dict[str, Any] = json.loads(out)
        verdict = str(told["verdict"])
    except (ValueError, KeyError, TypeError):
        return "crashed", (said.strip().splitlines() or [f"exit code {code}"])[-1]
    if (code == 1) is not (verdict == "broke"):
        return "crashed", f"exit code {code}, and the verdict {verdict}"
    return verdict, next(iter(told.get("broke") or []), "")


def imports(tree: Path) -> str:
    """Why the copy in `tree` cannot even be imported; empty if it can be."""
    code, _, said = _ended(IMPORTS.args, tree, patient(IMPORTS.most_s))
    return "" if code == 0 else (said.strip().splitlines() or [f"exit code {code}"])[-1]


def _report(run: Run, folder: str) -> list[str]:
    return ["--report", folder] if run.args[:2] == ("-m", "sim") else []


def _ended(args: list[str] | tuple[str, ...], tree: Path, most_s: float) -> tuple[int | None, str, str]:
    """Its exit code, and what it printed; None if it had to be killed. Its processes end with it: see sim's reaper."""
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, said = process.communicate(timeout=most_s)
    except BaseException as why:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=GRACE_S)
        if not isinstance(why, subprocess.TimeoutExpired):
            raise
        return None, "", ""
    return process.returncode, out, said
