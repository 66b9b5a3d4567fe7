"""A hunt finds what it is for: each of these bugs, put into a copy of the tree, is found and made small."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim.lab.topology import load
from sim.search.hunt import drawn
from sim.search.trial import run_virtually
from tests import ROOT
from tests.mutate.bug import put_into
from tests.mutate.bugs import named
from tests.patience import patient
from tests.sim.test_sabotages import SABOTAGES

HUNT_S = 60  # of an idle machine; all are found within ten
MOST_STEPS = 5

# The names of bugs in tests/mutate/bugs.
TWELVE = [
    "confirmed, and what was handled is forgotten across a restart",
    "a repeat forgets its hops",
    "an outbox loses order when its path comes back",
    "a route survives its neighbour's death",
    "ttl never falls",
    "a gap is never reported",
    *(name for name in SABOTAGES if named(name).file.startswith("autopilot_net/")),
]


# Seeds with which the rarer ones are found within seconds; any other finds them within the minute, too.
SEEDS = {"a repeat forgets its hops": 15, "ttl never falls": 18, "a gap is never reported": 2}


def hunted(tree: Path, seed: int = 1, seconds: float | None = None) -> tuple[int, dict[str, Any], str]:
    """What a hunt in that tree comes to: the exit code, what it tells and what it says."""
    seconds = patient(HUNT_S) if seconds is None else seconds
    command = ["hunt", "topologies/lab.yaml", "--for", f"{seconds:g}s", "--seed", f"{seed}", "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "sim", *command, "--no-confirm", "--json"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=3 * patient(HUNT_S),
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.parametrize("name", TWELVE)
def test_a_hunt_finds_that_and_makes_it_small(tmp_path: Path, name: str) -> None:
    put_into(tmp_path, named(name))
    code, found, said = hunted(tmp_path, SEEDS.get(name, 1))
    assert (code, found.get("verdict")) == (1, "broke"), (found.get("sentence"), said)
    assert found["steps"] <= MOST_STEPS, found["broke"]


@pytest.mark.parametrize("hunt", sorted({1, *SEEDS.values()}))
def test_a_hunt_of_the_tree_as_it_is_finds_nothing_where_the_bugs_are_found(hunt: int) -> None:
    """Else the tests above would prove nothing."""
    for scenario in itertools.islice(drawn(load(ROOT / "topologies" / "lab.yaml"), seed=hunt, worker=0), 30):
        assert run_virtually(scenario) == []
