"""A program that is debugged reads what the rehearsal is given to read, and no clock runs meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.patience import patient

LAB = """
pilots: [{id: rig_1, program: "stops:Box"}]
session: {duration_s: 0.3}
storm: {examples: 0, load: false}
repeat_interval_s: 0.2
"""
PROGRAM = """
class Box:
    def __init__(self, node, machine): pass
    def l_start(self, value):
        breakpoint()
        print("went on")
"""


def debug(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def test_a_breakpoint_in_a_listen_is_answered_from_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text(PROGRAM)
    (tmp_path / "lab.yaml").write_text(LAB)
    words = (str(tmp_path / "lab.yaml"), "--no-page", "--report", str(tmp_path / "r"), "--debug", "rig_1")
    done = debug(*words, typed="p 6 * 7\nc\n")
    assert "(Pdb) 42" in done.stdout, done.stdout + done.stderr
    assert "went on" in done.stdout
    assert "rig_1 was debugged" in " ".join(done.stdout.split())


def test_a_machine_that_is_not_there_cannot_be_debugged() -> None:
    done = debug("topologies/pair.yaml", "--debug", "rig_9")
    assert (done.returncode, "--debug rig_9: there is T, rig_1" in done.stderr) == (2, True), done.stderr
