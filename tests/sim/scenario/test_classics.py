"""The classics: each holds, and each is there for mistakes of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.coverage.tally import Tally
from sim.lab.topology import load
from sim.scenario import load_scenario, save_scenario
from sim.scenario.classics import classics
from sim.search.hunt import played
from sim.search.trial import run_virtually
from tests import ROOT

NAMES = tuple(classics())


@pytest.mark.parametrize("name", NAMES)
def test_a_classic_holds(name: str) -> None:
    assert run_virtually(classics()[name], Tally()) == []


def test_workers_share_the_classics_and_play_them_first() -> None:
    pair = load(ROOT / "topologies" / "pair.yaml")
    shares = []
    for worker in (0, 1):
        scenarios = played(pair, seed=1, worker=worker, jobs=2)
        shares.append([next(scenarios) for _ in range(len(NAMES[worker::2]))])
    assert [*shares[0], *shares[1]] == [*list(classics().values())[::2], *list(classics().values())[1::2]]


def test_a_classic_can_be_kept_and_played_again(tmp_path: Path) -> None:
    for number, scenario in enumerate(classics().values()):
        save_scenario(scenario, tmp_path / f"{number}.json")
        assert load_scenario(tmp_path / f"{number}.json").examples == scenario.examples
