"""Signals in virtual time: a sound lab answers all of them, and time passes no longer than that takes."""

from __future__ import annotations

from sim.lab.topology import Topology
from tests.sim.virtual.virtual_run import Run


def test_a_sound_lab_answers_all_signals_at_once(topology: Topology) -> None:
    run = Run(topology, signals=True)
    check = run.checks["signals"]
    assert (check.result, check.figures) == ("pass", "all answered")
    begun = next(entry.t for entry in run.entries if entry.what == "signals")
    repeated_s = topology.repeat_interval_s  # for this the thief waits
    assert run.entries[-1].t - begun < 1e9 * (repeated_s + 1)
    assert run.checks["programs"].result == "pass"
