"""A replay finds the lab's own programs from any folder, also when the files were moved together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.lab.own_programs import not_found
from sim.lab.topology import load
from sim.scenario import Scenario, load_scenario, save_scenario


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a scenario below the folder of a lab that has a program of its own."""
    lab, folder = tmp_path / "lab", tmp_path / "lab" / "reports" / "run"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (lab / "box.py").write_text("class Box: pass\n")
    (lab / "lab.yaml").write_text("pilots: [{id: rig_1, program: 'box:Box'}]\n")
    monkeypatch.chdir(lab)
    save_scenario(Scenario(topology=load("lab.yaml"), seed=1), folder / "smallest.json")
    return folder / "smallest.json"


def test_from_the_folder_of_the_lab_nothing_changes(kept: Path) -> None:
    scenario = load_scenario(kept)
    assert (scenario.topology.path, scenario.home) == ("lab.yaml", "")


def test_from_another_folder_the_program_is_found(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "elsewhere")
    lab = load_scenario(kept).topology
    assert (Path(lab.path).resolve(), not_found(lab)) == (tmp_path / "lab" / "lab.yaml", [])
    monkeypatch.chdir(tmp_path)
    assert load_scenario(kept).topology.path == "lab/lab.yaml"


def test_another_lab_of_that_name_here_is_not_taken_for_it(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere" / "lab.yaml").write_text("pilots: [{id: rig_9}]\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Path(load_scenario(kept).topology.path).resolve() == tmp_path / "lab" / "lab.yaml"


def test_a_scenario_that_was_moved_within_the_lab_finds_it(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = kept.rename(tmp_path / "lab" / "regression.json")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Path(load_scenario(moved).topology.path).resolve() == tmp_path / "lab" / "lab.yaml"


def test_what_is_nowhere_keeps_its_path(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = kept.rename(tmp_path / "elsewhere" / "regression.json")
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "lab").rename(tmp_path / "gone")
    lab = load_scenario(moved).topology
    assert (lab.path, len(not_found(lab))) == ("lab.yaml", 1)


def test_a_lab_without_anything_of_its_own_names_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.yaml").write_text("pilots: [{id: rig_1}]\n")
    save_scenario(Scenario(topology=load("lab.yaml"), seed=1), tmp_path / "smallest.json")
    assert json.loads((tmp_path / "smallest.json").read_text())["home"] == ""
