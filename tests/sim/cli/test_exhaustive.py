"""The command `hunt --exhaustive`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sim.exhaustive.situation import SmallStep
from sim.exhaustive.small_hunt import KeptFind, save_find
from tests import ROOT
from tests.patience import patient
from tests.sim.exhaustive.planted import ONE


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def test_it_tells_its_bound_and_how_many_states_there_were(tmp_path: Path) -> None:
    done = command("hunt", "--exhaustive", "--bound", "tiny", "--report", str(tmp_path), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (0, "held")
    assert told["labs"][0]["bound"] == "pair: 2 stations, 2 messages, 1 fault, 0 early timers, 3 repeats"
    assert told["labs"][0]["states"] > 500
    assert list(tmp_path.iterdir()) == []


def test_wrong_commands_are_refused() -> None:
    assert "--bound huge: there is tiny, small, large" in command("hunt", "--exhaustive", "--bound", "huge").stderr
    assert "give a topology to hunt in" in command("hunt").stderr


def test_a_find_that_does_not_come_back_is_held_when_it_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "regression.json"
    save_find(KeptFind(ONE, [SmallStep("send", "rig"), SmallStep("restart", "T")], "told", "m1 was lost"), path)
    done = command("replay", str(path), "--report", str(tmp_path / "reports"))
    assert done.returncode == 0, done.stderr
