"""What a hunt draws to fill windows and pipes, and to have handlers be slow."""

from __future__ import annotations

from sim.lab.topology import load as load_lab
from sim.scenario import Bounds, Scenario, Send
from sim.search.draw import draws
from sim.search.strategies import parts, scenarios
from tests import ROOT

LAB = load_lab(ROOT / "topologies" / "lab.yaml")


def drawn(*, virtual: bool = True, seeds: int = 12) -> list[Scenario]:
    return [one for seed in range(seeds) for one in draws(scenarios(parts(LAB), virtual=virtual), seed=seed, count=10)]


def sends(scenario: Scenario) -> list[Send]:
    return [op for example in scenario.examples for op in example.ops if isinstance(op, Send)]


def test_a_hunt_draws_small_windows_and_pipes_and_what_fills_them() -> None:
    several = drawn(seeds=60)
    bounds = [one.bounds for one in several]
    assert any(one.pipe_bytes for one in bounds)
    assert any(one.window_messages < Bounds().window_messages for one in bounds)
    assert any(op.burst > one.bounds.window_messages for one in several for op in sends(one))


def test_the_windows_of_a_lab_without_files_are_small_in_bytes_too() -> None:
    """With files a window must hold a part of one."""
    bare = load_lab(ROOT / "topologies" / "chain.yaml")
    assert any(one.bounds.window_bytes < Bounds().window_bytes for one in draws(scenarios(bare), seed=1, count=60))
    assert {one.bounds.window_bytes for one in drawn() if one.topology.files.synthetic_kb} == {Bounds().window_bytes}


def test_a_hunt_draws_handlers_slower_than_a_senders_patience() -> None:
    assert any(op.takes_ms > 6_000 * one.topology.repeat_interval_s for one in drawn() for op in sends(one))


def test_what_processes_play_has_the_bounds_of_processes() -> None:
    assert {one.bounds for one in drawn(virtual=False)} == {Bounds()}
