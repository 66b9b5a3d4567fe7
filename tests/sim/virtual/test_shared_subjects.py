"""Rigs that have one subject are judged each by its own data."""

from __future__ import annotations

from pathlib import Path

from sim.lab.topology import load
from sim.phases import conduct, judge
from sim.scenario import Scenario
from sim.virtual.lab import VirtualLab

STAR = """\
pilots: [{id: "rig_{n}", from: 1, to: 3, subjects: [m], trials: {every_s: 0.5, stages: 2, bytes: 50}}]
session: {duration_s: 3, graduate: [{at_s: 1.5, pilot: rig_2}]}
"""


def test_a_star_whose_rigs_all_have_one_subject_holds(tmp_path: Path) -> None:
    path = tmp_path / "star.yaml"
    path.write_text(STAR)
    lab = VirtualLab(load(path), seed=1)
    conducted = conduct(lab, Scenario(topology=lab.topology, seed=1))
    checks = judge(conducted.evidence())
    assert [check.violations for check in checks if check.result != "pass"] == []
