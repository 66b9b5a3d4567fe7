"""A hunt finds what it is for: each of these bugs, put into a copy of the tree, is found and made small."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.lab.topology import load
from sim.search.hunt import drawn
from sim.search.trial import run_virtually
from tests import ROOT
from tests.mutate.bug import put_into
from tests.mutate.bugs import named
from tests.patience import patient

HUNT_S = 60  # of an idle machine; all are found within ten
CLASSICS_S = 30
MOST_STEPS = 5

# The names of bugs in tests/mutate/bugs. `python -m tests.mutate` looks for all of them; here are some of each kind.
HUNTED = "a route survives its neighbour's death"
SHOWN = {
    "confirmed, and what was handled is forgotten across a restart": "confirmations are lost until the recipient*",
    "an outbox loses order when its path comes back": "a cable is out for longer than anybody is patient",
    "patience is spent where there is no path": "a cable is out for longer than anybody is patient",
    "what waits in a full pipe is repeated": "a pipe is full*",
    "ttl never falls": "a cable is out*",
    "a forwarder deserializes": "strangers send bytes*",
    "the bytes of what is confirmed stay in the window": "windows are filled again and again by a burst",
    "what is missing before the first batch is not told": "the first batches of a stream are lost",
    "the terminal keeps a machine's first state": "the first batches of a stream are lost",
    "a machine that is gone is listed as online": "a link breaks amid streams",
    "a relay is confirmed though what it passed on has expired": "the program of the terminal stands still*",
    "an upstream that answers again counts as silent": "a link stands still*",
    "an item whose handler raises costs those behind it": "a session, and then the signals",
}
PLAYED = """
import sys
from fnmatch import fnmatch
from sim.scenario.classics import classics
from sim.search.trial import run_virtually
found = [str(broke) for name, one in classics().items() if fnmatch(name, sys.argv[1]) for broke in run_virtually(one)]
print(*found, sep="\\n")
sys.exit(bool(found))
"""


def python(tree: Path, *args: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_a_hunt_finds_a_bug_and_makes_it_small(tmp_path: Path) -> None:
    put_into(tmp_path, named(HUNTED))
    seconds = patient(HUNT_S)
    command = ["hunt", "topologies/lab.yaml", "--for", f"{seconds:g}s", "--seed", "1", "--jobs", "1"]
    done = python(tmp_path, "-m", "sim", *command, "--no-confirm", "--json", seconds=3 * seconds)
    found = json.loads(done.stdout or "{}")
    assert (done.returncode, found.get("verdict")) == (1, "broke"), (found.get("sentence"), done.stderr)
    assert found["steps"] <= MOST_STEPS, found["broke"]


@pytest.mark.parametrize("name", SHOWN)
def test_a_classic_shows_that(tmp_path: Path, name: str) -> None:
    put_into(tmp_path, named(name))
    done = python(tmp_path, "-c", PLAYED, SHOWN[name], seconds=patient(CLASSICS_S))
    assert (done.returncode, done.stderr) == (1, "")


def test_a_hunt_of_the_tree_as_it_is_finds_nothing() -> None:
    """Else the tests above would prove nothing."""
    for scenario in itertools.islice(drawn(load(ROOT / "topologies" / "lab.yaml"), seed=1, worker=0), 25):
        assert run_virtually(scenario) == []
