"""Runs a scenario twice, in interpreters with different hash seeds, to see whether both runs are the same."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from sim.phases import conduct
from sim.scenario import Scenario
from sim.search.draw_storms import draw_storms
from sim.virtual.lab import VirtualLab

__all__ = ["digest_of", "digests"]

HASH_SEEDS = ("1", "2")


def digest_of(scenario: Scenario) -> str:
    """The digest of one run in virtual time."""
    lab = VirtualLab(scenario.topology, seed=scenario.seed, bounds=scenario.bounds)
    conduct(lab, scenario, draw=draw_storms)
    return lab.digest()


def digests(scenario: Scenario) -> tuple[str, str]:
    """The digests of two runs. An exception of a run is raised."""
    one, other = (_elsewhere(scenario, seed) for seed in HASH_SEEDS)
    return one, other


def _elsewhere(scenario: Scenario, hash_seed: str) -> str:
    former = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed  # an interpreter reads it only when it starts
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(digest_of, scenario).result()
    finally:
        if former is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = former
