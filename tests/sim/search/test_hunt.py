"""A hunt draws scenarios until one fails, and keeps the smallest that does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sim.coverage.tally import Tally
from sim.evidence.violation import Violation
from sim.lab.topology import Topology, load
from sim.scenario import Scenario, Send, load_scenario
from sim.search.hunt import HuntProgress, drawn, hunt, played
from sim.search.shrink import steps
from sim.search.trial import only_virtual
from tests import ROOT
from tests.patience import patient
from tests.sim.findings import violation

PAIR = load(ROOT / "topologies" / "pair.yaml")


def holds(scenario: Scenario, tally: Tally) -> list[Violation]:
    """A world in which nothing ever goes wrong."""
    del scenario
    return []


def hates_kills(scenario: Scenario, tally: Tally | None = None) -> list[Violation]:
    """A world in which a kill loses a message."""
    killed = any(fault.kill is not None for fault in scenario.topology.faults)
    sent = any(isinstance(op, Send) for example in scenario.examples for op in example.ops)
    return [violation("confirm: lost"), violation("order: and more")] if killed and sent else []


def falls(scenario: Scenario, tally: Tally) -> list[Violation]:
    """A world that ends its process."""
    del scenario
    os._exit(3)


def first(topology: Topology, *, seed: int, worker: int, count: int = 25) -> list[bytes]:
    return [msgspec.json.encode(s) for s in itertools.islice(drawn(topology, seed=seed, worker=worker), count)]


def test_a_seed_draws_the_same_scenarios_and_each_worker_others() -> None:
    assert first(PAIR, seed=1, worker=0) == first(PAIR, seed=1, worker=0)
    assert first(PAIR, seed=1, worker=0) != first(PAIR, seed=2, worker=0)
    alike = set(first(PAIR, seed=1, worker=0)) & set(first(PAIR, seed=1, worker=1))
    assert len(alike) <= 4, "the least of each round is everybody's"


def test_a_seed_draws_the_same_in_another_process() -> None:
    told = (
        "import hashlib, itertools, msgspec; from sim.search.hunt import drawn; from sim.lab.topology import load; "
        f"lab = load({str(ROOT / 'topologies' / 'pair.yaml')!r}); "
        "some = itertools.islice(drawn(lab, seed=1, worker=0), 25); "
        "print(hashlib.blake2b(b''.join(map(msgspec.json.encode, some))).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", told],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(said) == 1


def test_half_of_the_scenarios_use_parts_of_the_lab_and_half_drawn_labs() -> None:
    names = [scenario.topology.name for scenario in itertools.islice(drawn(PAIR, seed=1, worker=0), 100)]
    assert 30 <= names.count("pair") <= 70
    assert set(names) == {"pair", "drawn"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_find_is_shrunk_and_kept_with_the_command_that_replays_it(tmp_path: Path, jobs: int) -> None:
    hunted = hunt(PAIR, seed=1, seconds=60, folder=tmp_path / "new", jobs=jobs, confirm=False, run=hates_kills)
    assert (hunted.verdict, hunted.steps, hunted.broke) == ("broke", 2, ["confirm: lost", "order: and more"])
    assert hunted.found is not None
    assert hunted.found.worker < jobs
    its = played(PAIR, seed=1, worker=hunted.found.worker, jobs=jobs)
    again = next(itertools.islice(its, hunted.found.number, None))
    assert again == hunted.found.scenario, "the report says which it was"
    kept = load_scenario(tmp_path / "new" / "regression.json")
    assert (kept, kept.why) == (hunted.smallest, "confirm: lost; order: and more")
    assert hates_kills(kept)
    assert hunted.replay == f"python -m sim replay {tmp_path / 'new' / 'regression.json'} --virtual"
    assert f"{steps(hunted.found.scenario)} steps, shrunk to 2" in hunted.sentence
    assert "not tried on processes" in hunted.sentence


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hunt_that_finds_nothing_ends_with_its_time_and_leaves_nothing(tmp_path: Path, jobs: int) -> None:
    told: list[HuntProgress] = []
    hunted = hunt(PAIR, seed=1, seconds=patient(1.0), folder=tmp_path / "new", jobs=jobs, run=holds, say=told.append)
    assert (hunted.verdict, hunted.found, hunted.smallest) == ("held", None, None)
    assert hunted.played > 0
    assert not (tmp_path / "new").exists()
    assert {one.phase for one in told} == {"hunting"}
    assert told[-1].played <= hunted.played


def test_a_find_with_verbs_of_virtual_time_is_not_tried_on_processes(tmp_path: Path) -> None:
    def hates_drops(scenario: Scenario, tally: Tally) -> list[Violation]:
        return [violation("confirm: lost")] if any(fault.drop for fault in scenario.topology.faults) else []

    hunted = hunt(PAIR, seed=1, seconds=60, folder=tmp_path, jobs=1, run=hates_drops)
    assert hunted.processes == "in virtual time only: there is no drop on processes"
    assert hunted.smallest is not None
    assert only_virtual(hunted.smallest) == ["drop"]


def test_a_find_of_virtual_time_only_was_tried_on_processes(tmp_path: Path) -> None:
    """A find that is none: processes hold, each time."""
    hunted = hunt(PAIR, seed=1, seconds=60, folder=tmp_path, jobs=1, run=hates_kills, tries=1)
    assert hunted.processes == "in virtual time only: it held on processes 1 time"
    assert (tmp_path / "processes-0" / "journal").is_dir()


def test_ctrl_c_while_it_shrinks_keeps_the_smallest_by_then(tmp_path: Path) -> None:
    failed: list[Scenario] = []

    def interrupted(scenario: Scenario, tally: Tally) -> list[Violation]:
        if not failed and steps(scenario) < 6:
            return []  # what is found is to be large
        broke = hates_kills(scenario)
        failed.extend([scenario] if broke else [])
        if broke and len(failed) == 4:
            raise KeyboardInterrupt
        return broke

    hunted = hunt(PAIR, seed=1, seconds=60, folder=tmp_path, jobs=1, run=interrupted)
    assert (hunted.verdict, hunted.processes) == ("broke", "not tried on processes")
    kept = load_scenario(tmp_path / "regression.json")
    assert hates_kills(kept)
    assert steps(kept) < steps(failed[0])


def test_a_worker_that_ends_unexpectedly_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"worker process \d of the hunt ended unexpectedly"):
        hunt(PAIR, seed=1, seconds=60, folder=tmp_path, jobs=2, run=falls)
