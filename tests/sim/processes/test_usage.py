"""The load of the machine and of each process is sampled while a run lasts."""

from __future__ import annotations

import os

from sim.processes.usage import OVERLOAD_PCT, Sampler
from tests.conftest import eventually


def test_each_process_has_a_row_and_one_that_is_gone_does_no_harm() -> None:
    sampler = Sampler(lambda: {"this": os.getpid(), "gone": 2**22 + 1})
    sampler.start()
    eventually(lambda: bool(sampler.rows()))
    sampler.stop()
    [row] = sampler.rows()
    assert (row.name, row.pid, row.memory_mb > 1) == ("this", os.getpid(), True)
    assert sampler.cpu().cores >= 1


def test_a_run_that_was_never_sampled_has_no_load() -> None:
    sampler = Sampler(dict)
    sampler.stop()
    assert (sampler.rows(), sampler.overloaded(), sampler.cpu().max_pct) == ([], [], 0.0)


def test_overload_is_the_half_second_before_a_sample_above_the_limit() -> None:
    sampler = Sampler(dict)
    sampler._load += [(10**9, OVERLOAD_PCT), (2 * 10**9, OVERLOAD_PCT + 1)]
    assert sampler.overloaded() == [(1_500_000_000, 2_000_000_000)]
    assert sampler.cpu().overloaded_s == 0.5


def test_who_waits_for_a_cpu_is_overloaded_too() -> None:
    """A container may be given less than a core: then the cores are idle, and its processes wait."""
    sampler = Sampler(dict)
    sampler._load += [(2 * 10**9, OVERLOAD_PCT + 1)]
    sampler._late += [(1_800_000_000, 3 * 10**9)]
    assert sampler.overloaded() == [(1_500_000_000, 3 * 10**9)]
    assert sampler.cpu().overloaded_s == 1.5
