"""The command `hunt`: what it prints, its exit codes, and that it leaves no worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sim.search.hunt import HuntResult
from tests import ROOT
from tests.patience import patient


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", "hunt", *arguments, "--report", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def test_the_command_says_how_many_scenarios_it_played_and_what_they_went_through(tmp_path: Path) -> None:
    done = command(tmp_path, "topologies/pair.yaml", "--for", "2s", "--seed", "1", "--jobs", "1", "--json")
    hunted = msgspec.json.decode(done.stdout, type=HuntResult)
    assert (done.returncode, hunted.verdict, hunted.seed, hunted.jobs) == (0, "held", 1, 1), hunted.sentence
    assert hunted.played > 0
    tried = {row.what: row for row in hunted.coverage.groups}
    assert tried["effects of the core"].tried["Transmit"] == hunted.played
    assert tried["faults"].never, "two seconds are too short for all"
    (folder,) = tmp_path.iterdir()
    assert [path.name for path in folder.iterdir()] == ["hunt.html"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["topologies/nowhere.yaml"], "there is no such file"),
        (["topologies/pair.yaml", "--for", "soon"], "--for soon: give a time above 0"),
        (["topologies/pair.yaml", "--jobs", "0"], "--jobs 0: there must be at least one worker process"),
    ],
)
def test_a_wrong_command_is_refused_in_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_ctrl_c_ends_it_and_its_workers(tmp_path: Path) -> None:
    hunting = subprocess.Popen(
        [sys.executable, "-m", "sim", "hunt", "topologies/pair.yaml", "--for", "90s", "--report", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not list(tmp_path.iterdir()):
            assert hunting.poll() is None
        os.killpg(hunting.pid, signal.SIGINT)
        said, complained = hunting.communicate(timeout=patient(60))
    finally:
        hunting.kill()
    assert hunting.returncode == 130
    assert "INTERRUPTED" in said + complained
