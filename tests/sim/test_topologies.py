"""The topologies that ship hold, and the largest is up in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.patience import patient

CAMPUS_UP_S = 15.0


def rehearse(lab: str, reports: Path, *words: str) -> tuple[int, dict[str, Any]]:
    options = ["--report", str(reports), "--json", "--no-page"]
    done = subprocess.run(
        [sys.executable, "-m", "sim", f"topologies/{lab}.yaml", *options, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patient(110),
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("lab", ["boxroom", "campus"])
def test_a_large_lab_holds_in_a_short_session(tmp_path: Path, lab: str) -> None:
    code, report = rehearse(lab, tmp_path, "--duration", "3", "--no-storm")
    assert (code, report["verdict"]) == (0, "held"), report["broke"]
    if lab == "campus":
        assert len(report["machines"]) == 40
        assert report["up_s"] < CAMPUS_UP_S


def test_a_session_with_a_graduation_and_files_to_fetch_holds(tmp_path: Path) -> None:
    """lab.yaml as it is, but for a shorter session: rig_2 graduates after 6 s."""
    code, report = rehearse("lab", tmp_path, "--duration", "7", "--examples", "3")
    doubts = [said for check in report["checks"] if check["result"] == "unknown" for said in check["violations"]]
    is_late = code == 3 and bool(doubts) and all("CPUs of this computer were full" in said for said in doubts)
    assert is_late or (code, report["verdict"]) == (0, "held"), report["broke"] + doubts
    assert any(event["what"] == "graduation" and event["machine"] == "rig_2" for event in report["timeline"])
    fetched = (tmp_path / "latest" / "files" / "rig_1" / "L.wav").read_bytes()
    assert fetched == (tmp_path / "latest" / "files" / "T" / "L.wav").read_bytes()
    assert len(fetched) == 640_000
