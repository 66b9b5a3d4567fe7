"""A meter measures processes: this one, which sleeps, and another that spins."""

from __future__ import annotations

import os
import subprocess
import sys

from sim.checks.load.resources import IDLE_PCT
from sim.processes.watch import meter
from sim.processes.watch.meter import Meter


def test_it_tells_what_a_process_holds_and_takes() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            found = Meter(lambda: {"here": os.getpid(), "spins": spinning.pid})
            assert [(entry.by, entry.what) for entry in found.before()] == [("here", "used"), ("spins", "used")]
            taken = {(entry.by, entry.what): entry.value for entry in found.after()}
        finally:
            spinning.kill()
    assert taken["here", "used"]["pid"] == os.getpid()
    assert taken["here", "used"]["threads"] >= 1
    assert taken["here", "idle"]["cpu_pct"] < taken["spins", "idle"]["cpu_pct"]


def test_it_measures_no_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert Meter(lambda: {"gone": ended.pid}).before() == []


def test_what_is_measured_once_is_less_than_what_is_told() -> None:
    assert meter.QUIET_PCT < IDLE_PCT
