"""Whether a scenario makes the same run twice: in two interpreters, whose sets and dicts of strings differ in order."""

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
    """The fingerprint of one run in virtual time."""
    lab = VirtualLab(scenario.topology, seed=scenario.seed)
    conduct(lab, scenario, draw=draw_storms)
    return lab.digest()


def digests(scenario: Scenario) -> tuple[str, str]:
    """Those of two runs. Raises what ends a run."""
    one, other = (_elsewhere(scenario, seed) for seed in HASH_SEEDS)
    return one, other


def _elsewhere(scenario: Scenario, hash_seed: str) -> str:
    former = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed  # read by an interpreter when it begins, and never again
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(digest_of, scenario).result()
    finally:
        if former is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = former
