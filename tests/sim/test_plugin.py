"""The pytest plugin, by runs of pytest over small projects: a lab that holds, programs that do not, wrong marks."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sim.scenario import load_scenario
from tests import ROOT

pytest_plugins = ["pytester"]

LAB = """\
name: small
pilots:
  - id: rig_1
    trials: {every_s: 0.3, stages: 2, bytes: 100}
    streams: {wheel: {fields: [x, t], rate_hz: 20}}
    children: [{id: rig_1_box, program: "PROGRAM"}]
session: {duration_s: 1}
storm: {load: false, shrink_s: 0}
repeat_interval_s: 1
"""
BOXES = """\
class Good:
    items = 5

    def __init__(self, node, machine):
        self.node, self.machine = node, machine

    def l_start(self, value):
        stream = self.node.get_stream("x", "CONTINUOUS", to=self.machine.parent)
        for n in range(5):
            stream.append({"n": n})
        stream.append("END")

    def expected(self, journal):
        return {"streams": {"x": self.items}}


class Loses(Good):
    items = 7


class Raises(Good):
    def l_start(self, value):
        raise OSError("no pin 4")
"""
HEAD = "import pytest\nfrom sim.faults import Fault\nfrom sim.scenario import Example, Send\n\n"
STRICT = ("-p", "sim.plugin", "-p", "no:cacheprovider", "-W", "error", "--strict-markers")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A lab's repository: its program, and a topology for each way it can be."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(boxes=BOXES)
    for name in ("Good", "Loses", "Raises"):
        (pytester.path / f"{name.lower()}.yaml").write_text(LAB.replace("PROGRAM", f"boxes:{name}"))
    return pytester


def run(project: pytest.Pytester, tests: str, *words: str) -> pytest.RunResult:
    project.makepyfile(test_rig=HEAD + tests)
    return project.runpytest_subprocess(*STRICT, *words)


def test_a_labs_own_program_is_played_and_what_came_of_it_can_be_asked(project: pytest.Pytester) -> None:
    done = run(
        project,
        """
import multiprocessing, os

@pytest.mark.lab("good.yaml")
def test_it(lab):
    before = dict(os.environ), multiprocessing.get_start_method(allow_none=True)
    played = lab.play(Fault(at_s=0.3, cut="rig_1_box", heal_after_s=0.3))
    assert (dict(os.environ), multiprocessing.get_start_method(allow_none=True)) == before
    assert played.held, played
    assert played.verdict == "held"
    assert played.stream("rig_1_box", "x").received == 5
    assert played.trials("rig_1").handled > 0
    assert [entry.what for entry in played.handled("_rig_1_box", "START")] == ["handled"]
    assert len(played.made("_rig_1", "DATA")) == played.trials("rig_1").made
    assert played.check("recovery").result == "pass"
    with pytest.raises(KeyError, match="there is no stream rig_1.y; there are .*rig_1_box.x"):
        played.stream("rig_1", "y")
""",
    )
    done.assert_outcomes(passed=1)


def test_a_program_that_raises_and_one_that_loses_are_told_with_a_report_and_a_replay(project: pytest.Pytester) -> None:
    done = run(
        project,
        """
@pytest.mark.lab("raises.yaml")
def test_raises(lab):
    assert lab.play().held

@pytest.mark.lab("loses.yaml")
def test_loses(lab):
    played = lab.play()
    assert played.held, played

@pytest.mark.lab("good.yaml", own_programs=False)
def test_good(virtual_lab):
    assert virtual_lab.play().held
""",
        "--lab-report", "kept",
    )  # fmt: skip
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines_random(
        [
            "E *where False = <small: BROKE: *>.held",
            "*- lab raises.yaml, seed 0 -*",
            "*OSError: no pin 4*",
            "*rig_1_box x: 2 of 7 items missing*",
            "report  kept/*raises*/play-1/report.html",
            "replay  python -m sim replay kept/*loses*/play-1/smallest.json",
        ]
    )
    kept = sorted(path.name for path in project.path.glob("kept/*"))
    assert kept == ["test_rig.py_test_loses-processes", "test_rig.py_test_raises-processes"]
    assert json.loads(next(project.path.glob("kept/*raises*/*/report.json")).read_text())["exceptions"]
    command = next(line for line in done.outlines if line.startswith("replay  ") and "raises" in line)
    words = shlex.split(command.removeprefix("replay  "))
    again = subprocess.run([sys.executable, *words[1:], "--quiet"], capture_output=True, text=True, check=False)
    assert (again.returncode, "no pin 4" in again.stdout) == (1, True), again.stdout + again.stderr


VIRTUAL = """
from hypothesis import HealthCheck, given, settings, strategies as st
from sim.search.strategies import faults

@pytest.mark.lab("good.yaml", own_programs=False, duration_s=3, seed=5)
def test_a_reboot_costs_no_trial(virtual_lab):
    played = virtual_lab.play(Fault(at_s=1, kill="rig_1", restart_after_s=0.5))
    assert played.held, played
    assert played.scenario.seed == 5

@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.lab("good.yaml", own_programs=False)
def test_whatever_is_drawn(virtual_lab, data):
    assert virtual_lab.play(data.draw(faults(virtual_lab.topology))).held

@pytest.mark.lab("good.yaml", own_programs=False)
def test_a_fault_may_be_as_late_as_in_a_file(virtual_lab):
    assert virtual_lab.play(Fault(between_s=(0.5, 1), reset="rig_1")).held

@pytest.mark.lab("good.yaml", own_programs=False, faults=False, storms=2)
def test_storms(virtual_lab):
    sent = Example(ops=(Send(frm="_T", to="rig_1_box", burst=3),), at_s=0.2)
    played = virtual_lab.play(storms=[sent])
    assert len(played.handled("rig_1_box", "STORM")) >= 3
    assert played.held, played

@pytest.mark.lab("good.yaml", own_programs=False)
def test_a_scenario_is_played_again(virtual_lab, tmp_path):
    from sim.scenario import save_scenario
    first = virtual_lab.play(Fault(at_s=0.2, drop="rig_1", key="DATA", first=1))
    save_scenario(first.scenario, tmp_path / "regression.json")
    again = virtual_lab.replay(tmp_path / "regression.json")
    assert first.held and again.held, first
    assert again.journal.entries == first.journal.entries
    assert [entry.key for entry in again.journal.of("frame")] == ["drop"]

@pytest.mark.lab("good.yaml", own_programs=False)
def test_it_is_told_what_is_wrong(virtual_lab):
    assert virtual_lab.play().trials("rig_1").made == 0
"""


def test_in_virtual_time_with_our_programs_in_the_place_of_the_labs_own(project: pytest.Pytester) -> None:
    done = run(project, VIRTUAL, "-n", "2")
    done.assert_outcomes(passed=5, failed=1)
    done.stdout.fnmatch_lines(["HELD: *", "report  *.html", "replay  python -m sim replay *scenario.json --virtual"])
    path = next(line for line in done.outlines if line.startswith("replay")).split()[5]
    assert load_scenario(Path(path)).seed == 0


WRONG = """
def test_no_mark(lab): pass

@pytest.mark.lab("nowhere.yaml")
def test_no_file(lab): pass

@pytest.mark.lab("wrong.yaml")
def test_wrong_file(virtual_lab): pass

@pytest.mark.lab("good.yaml")
def test_own_program(virtual_lab): pass

@pytest.mark.lab("good.yaml", duration=3)
def test_misspelt(lab): pass

@pytest.mark.lab("good.yaml", duration_s=0)
def test_no_time(lab): pass

@pytest.mark.parametrize("fault", [
    Fault(at_s=0, kill="nobody"), Fault(at_s=1, kill="rig_1"), Fault(kill="rig_1"), Fault(at_s=0, drop="rig_1"),
    Fault(at_s=0, cut="rig_1", what="station"), Fault(at_s=0, kill="rig_1", cut="rig_1"),
])
@pytest.mark.lab("good.yaml")
def test_idle(lab, fault):
    lab.play(fault)
"""


def test_each_mistake_in_a_test_is_one_sentence(project: pytest.Pytester) -> None:
    (project.path / "wrong.yaml").write_text("pilots: [{id: rig_1, streems: {}}]\n")
    done = run(project, WRONG, "-rA")
    done.assert_outcomes(errors=6, failed=6)
    done.stdout.fnmatch_lines_random(
        [
            '*::test_no_mark uses a lab, and it has no mark that names its lab: write @pytest.mark.lab("lab.yaml") *',
            f"*::test_no_file: there is no nowhere.yaml in {project.path}, nor in {project.path}",
            "*::test_wrong_file: wrong.yaml:1: *streems*",
            "*::test_own_program: *own runs on processes only*boxes:Good of rig_1_box; *own_programs=False*",
            "*::test_misspelt: the mark takes a file, and the keywords duration_s, *",
            "*::test_no_time: 0: a session takes more than 0 seconds",
            "E *ValueError: no machine of small matches kill='nobody': *",
            "E *ValueError: the fault at 1 s is not within the session of 1 s *",
            "E *ValueError: the fault does not say when, by at_s or between_s: *",
            "E *ValueError: what means nothing to cut, which takes *",
            "E *ValueError: TCP neither loses nor repeats a single message, so drop is only for virtual_lab: *",
            "E *ValueError: a fault has exactly one verb, not 2: *",
        ]
    )
    assert "During handling" not in done.stdout.str()


def test_a_relative_file_is_looked_up_in_the_tests_folder_first(project: pytest.Pytester) -> None:
    inner = project.mkdir("tests")
    for name, at in [("here", inner), ("here", project.path), ("above", project.path)]:
        (at / f"{name}.yaml").write_text(f"name: {name}_in_{at.name.rstrip('0123456789')}\npilots: [{{id: rig_1}}]\n")
    (inner / "test_it.py").write_text(
        HEAD + '@pytest.mark.lab("here.yaml")\ndef test_here(virtual_lab):\n'
        '    assert (virtual_lab.topology.name, virtual_lab.topology.path) == ("here_in_tests", "tests/here.yaml")\n'
        '@pytest.mark.lab("above.yaml")\ndef test_above(virtual_lab):\n'
        '    assert virtual_lab.topology.path == "above.yaml"\n'
    )
    project.runpytest_subprocess(*STRICT, "--rootdir", str(project.path)).assert_outcomes(passed=2)


def test_pytest_finds_it_by_its_entry_point(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    package = project.mkdir("site") / "somewhere-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: somewhere\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{package.parent}")
    done = project.runpytest_subprocess("--markers")
    done.stdout.fnmatch_lines(["@pytest.mark.lab(file, *"])
    again = run(project, "def test_it(): pass\n")  # named twice, by the option too
    again.assert_outcomes(passed=1)


def test_importing_the_plugin_is_cheap() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import sim.plugin; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sim"]
