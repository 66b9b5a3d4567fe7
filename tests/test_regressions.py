"""Every bug that a hunt has found is played again, in virtual time, for ever: one file each in `regressions`.

A file is what a hunt writes as regression.json, its `why` what failed then. It stays when the bug is gone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario import load_scenario
from sim.search.trial import run_virtually

FILES = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_does_not_come_back(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.why, "what failed is told in the file"
    assert run_virtually(scenario) == []


def test_there_is_something_to_look_at() -> None:
    assert FILES
