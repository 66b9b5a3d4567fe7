"""The files of the machines' clocks, and why there are none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.evidence.journal import Reader, Writer
from sim.lab.topology import Topology, load
from sim.processes.clocks import faketime, wall_clocks
from sim.processes.clocks.wall_clocks import WallClocks
from sim.scenario.clocks import clock_plans
from tests import ROOT

LAB = load(ROOT / "topologies" / "pair.yaml")


def clocks(folder: Path, topology: Topology = LAB) -> WallClocks:
    (folder / "journal").mkdir()
    return WallClocks(topology, seed=5, folder=folder, journal=Writer(folder / "journal", "parent"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faketime.ASKED_BY, "1")
    monkeypatch.setattr(wall_clocks, "library", lambda: Path("libfaketimeMT.so.1"))


@pytest.mark.usefixtures("installed")
def test_each_machine_has_a_file_that_says_what_its_clock_shows_and_is_set_in_the_middle_of_a_second(
    tmp_path: Path,
) -> None:
    made, plan = clocks(tmp_path), clock_plans(LAB, 5)["rig_1"]
    file = faketime.clock_file(tmp_path, "rig_1")
    assert file.read_text() == f"{plan.skew_s:+.3f} x{1 + plan.drift:.6f}\n"
    assert made.why_shared == ""
    now = time.time()
    settings = list(made.settings())
    assert len(settings) == len(LAB.machines)
    for (at_s, _), planned in zip(settings, clock_plans(LAB, 5).values(), strict=True):
        assert planned.step_at_s <= at_s < planned.step_at_s + 1
        assert (now + at_s) % 1 == pytest.approx(0.5, abs=0.2)
    settings[1][1]()
    assert file.read_text() == f"{plan.skew_s + plan.step_s:+.3f} x{1 + plan.drift:.6f}\n"
    (entry,) = Reader(tmp_path / "journal").more().of("clock set")
    assert (entry.to, entry.value) == ("rig_1", {"ahead_s": plan.step_s})


@pytest.mark.usefixtures("installed")
def test_processes_that_are_not_under_faketime_share_a_clock_which_nobody_sets(tmp_path: Path) -> None:
    made = clocks(tmp_path)
    (tmp_path / "clocks" / "rig_1.right").touch()
    assert "the fork server of this process had been started before" in made.why_shared
    assert list(made.settings()) == []


@pytest.mark.usefixtures("installed")
def test_a_lab_may_ask_for_one_clock(tmp_path: Path) -> None:
    made = clocks(tmp_path, replace(LAB, clocks="shared"))
    assert made.why_shared == "the topology says `clocks: shared`"
    assert (list(made.settings()), list((tmp_path / "clocks").iterdir())) == ([], [])


def test_without_faketime_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faketime.ASKED_BY, "1")
    monkeypatch.setattr(wall_clocks, "library", lambda: None)
    assert clocks(tmp_path).why_shared == "faketime is not installed; on Debian: apt-get install faketime"


def test_where_nobody_asked_for_it_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes half of the computer, so that limits of time would mean little."""
    monkeypatch.delenv(faketime.ASKED_BY, raising=False)
    assert clocks(tmp_path).why_shared == faketime.UNASKED
