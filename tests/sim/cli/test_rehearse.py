"""The commands that run a lab with programs of its own: stand-ins, and replays from any folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.cli.rehearse import replay, run

OWN = """
pilots: [{id: rig_1, trials: {every_s: 0.5, stages: 1}, program: 'box:Box'}]
session: {duration_s: 1}
storm: {examples: 0}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "box.py").write_text("class Box:\n    def __init__(self, node, machine): pass\n")
    (tmp_path / "lab.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return Path("lab.yaml")


def test_with_stand_ins_a_lab_with_own_programs_runs_in_virtual_time_and_the_report_says_what_did_not_run(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lab, virtual=True, report=Path("r")) == 2
    assert "box:Box of rig_1; with --stand-ins ours take their place" in capsys.readouterr().err
    assert run(lab, virtual=True, stand_ins=True, seed=1, report=Path("r")) == 0
    report = json.loads(Path("r/latest/report.json").read_text())
    assert report["not_proven"][0] == "not run: box:Box on rig_1; an emulated program stands in for it"
    assert "rig_1 in place of box:Box" in capsys.readouterr().out


def test_a_saved_scenario_keeps_its_stand_ins_and_a_replay_may_ask_for_them(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lab, save=Path("own.json")) == 0
    assert run(lab, save=Path("ours.json"), stand_ins=True) == 0
    assert replay(Path("own.json"), virtual=True, report=Path("r")) == 2
    assert replay(Path("own.json"), virtual=True, stand_ins=True, report=Path("r")) == 0
    assert replay(Path("ours.json"), virtual=True, report=Path("r")) == 0


def test_a_replay_that_does_not_find_the_labs_own_programs_is_refused(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lab, save=Path("own.json")) == 0
    Path("box.py").unlink()
    assert replay(Path("own.json"), report=Path("r")) == 2
    complained = capsys.readouterr().err
    assert f"the program box:Box of rig_1 is neither in {Path.cwd()} nor installed" in complained
    assert "--stand-ins" in complained
    assert not Path("r").exists()
