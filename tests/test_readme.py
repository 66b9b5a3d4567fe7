"""The README is true: its commands are what it says, its programs run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sim.lab.fault import VERBS
from sim.lab.topology import load
from tests import ROOT
from tests.patience import patient

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_it_starts_with_two_commands_of_one_line_each() -> None:
    commands = [block.strip().splitlines() for block in blocks("sh")]
    assert [len(command) for command in commands] == [1, 1]
    assert commands[0][0].endswith("-m sim topologies/lab.yaml")
    assert commands[1][0].endswith("pytest")


def test_the_program_that_sends_a_message_has_twelve_lines_and_sends_it(tmp_path: Path) -> None:
    program = next(block for block in blocks("python") if "Terminal_Station" in block)
    assert len(program.strip().splitlines()) <= 12
    path = tmp_path / "program.py"
    path.write_text(program)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=patient(60), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "handled: True" in done.stdout
    assert "'rt': 0.31" in done.stdout


def test_the_labs_own_program_it_shows_passes_a_rehearsal(tmp_path: Path) -> None:
    (tmp_path / "wheelbox.py").write_text(next(block for block in blocks("python") if "class WheelBox" in block))
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        "pilots:\n  - id: rig_6\n    children:\n"
        + "".join(f"      {line}\n" for line in blocks("yaml")[0].strip().splitlines())
        + "session: {duration_s: 1}\nstorm: {examples: 0}\n"
    )
    words = [sys.executable, "-m", "sim", str(lab), "--report", str(tmp_path / "reports")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=patient(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_labs_own_test_it_shows_is_one_of_ours() -> None:
    shown = next(block for block in blocks("python") if "pytest.mark.lab" in block)
    _, _, tests = (ROOT / "tests" / "test_own_lab.py").read_text().partition('"""\n\n')
    assert shown == tests


def test_the_faults_it_shows_are_those_of_a_file_and_no_verb_is_left_out(tmp_path: Path) -> None:
    lab = tmp_path / "lab.yaml"
    shown = next(block for block in blocks("yaml") if block.startswith("faults:"))
    pilots = "[{id: rig_1}, {id: rig_4}, {id: rig_5, children: [{id: rig_5_wheel}]}]"
    lab.write_text(f"pilots: {pilots}\nsession: {{duration_s: 12}}\n{shown}")
    assert len(load(lab).faults) == 4
    _, _, table = README.partition("| strikes | verbs |")
    assert set(re.findall(r"`([a-z_]+)`", table.partition("\n\n")[0])) == set(VERBS)


def test_every_room_of_the_table_is_there() -> None:
    for room in re.findall(r"^\| `([a-z_/]+)/` \|", README, flags=re.MULTILINE):
        assert (ROOT / room).is_dir(), room
