"""What a rehearsal is to the person who runs it: exit codes, words, reports, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import sim.cli.rehearse as command
from sim.lab.topology import load
from sim.scenario import Scenario
from tests import ROOT
from tests.conftest import eventually
from tests.patience import patient

GONE_S = 5.0
UP_S = 60.0
QUICK = """
pilots:
  - id: rig_1
    trials: {{every_s: 0.3, stages: 2}}
    {program}
{faults}
session: {{duration_s: {duration}}}
storm: {{examples: 2, messages: 10, load: false, shrink_s: 0}}
repeat_interval_s: 0.2
"""


def sim(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def lab_file(folder: Path, *, program: str = "", duration: float = 1.0, faults: str = "") -> Path:
    path = folder / "quick.yaml"
    program = f"program: {program}" if program else ""
    path.write_text(QUICK.format(program=program, duration=duration, faults=f"faults: [{faults}]" if faults else ""))
    return path


class Running:
    """A rehearsal under way, and every process that is of it."""

    def __init__(self, lab: Path, reports: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.reports = reports
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim", str(lab), "--report", str(reports)],
            cwd=ROOT,
            env={**os.environ, "REHEARSAL_UNDER_TEST": self.mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if word in line:
                return
        pytest.fail(f"the rehearsal ended without a word of {word!r}")

    def said(self, what: str) -> int:
        """How often the parent has written down such a thing."""
        journals = self.reports.glob("quick-*/journal/parent.events.jsonl")
        return sum(path.read_text().count(f'"what":"{what}"') for path in journals)

    def alive(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("REHEARSAL_UNDER_TEST") == self.mark and process.status() != "zombie":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def ports(self) -> list[int]:
        found = []
        for process in self.alive():
            with contextlib.suppress(psutil.Error):  # a kill of the plan may have come in between
                found += [c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        return found

    def gone(self) -> list[psutil.Process]:
        """Those that are left when they should all be gone."""
        deadline = time.monotonic() + GONE_S
        while (left := self.alive()) and time.monotonic() < deadline:
            psutil.wait_procs(left, timeout=0.1)
        return left

    def end(self) -> None:
        for process in self.alive():
            process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    run = Running(lab_file(tmp_path, duration=20.0), tmp_path / "reports")
    try:
        yield run
    finally:
        run.end()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def test_a_run_ends_with_its_verdict_and_leaves_a_report(tmp_path: Path) -> None:
    done = sim(lab_file(tmp_path), "--report", tmp_path / "reports", "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("HELD")
    assert "\x1b[" not in done.stdout
    report = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text())
    assert (report["verdict"], report["seed"]) == ("held", 3)
    assert {check["name"] for check in report["checks"]} >= {"handshake", "hops", "confirm", "trials", "session"}
    assert all(check["count"] > 0 for check in report["checks"])
    assert (tmp_path / "reports" / "latest" / "report.html").stat().st_size > 10_000


def test_quiet_says_one_line_no_page_writes_none_and_no_storm_plays_none(tmp_path: Path) -> None:
    done = sim(lab_file(tmp_path), "--no-page", "--report", tmp_path / "r", "--quiet", "--no-storm")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert not (tmp_path / "r" / "latest" / "report.html").exists()
    report = json.loads((tmp_path / "r" / "latest" / "report.json").read_text())
    assert report["storm"] == "no storm was played"
    assert any("storms" in what for what in report["not_proven"])


def test_the_same_seed_draws_the_same_storms(tmp_path: Path) -> None:
    words = ["--seed", 5, "--virtual", "--json", "--no-page", "--report", tmp_path / "r"]
    one, again = (json.loads(sim(lab_file(tmp_path), *words).stdout)["storm"] for _ in range(2))
    assert one == again


@pytest.mark.parametrize(
    "how", ["Ctrl-C", "SIGKILL of the parent", "Ctrl-C with a station stopped", "SIGKILL with one stopped"]
)
def test_nothing_outlives_a_run_that_ends_early(running: Running, how: str) -> None:
    running.until("handshakes")
    ports = running.ports()
    assert len(ports) >= 2
    assert len(running.alive()) >= 5
    if "stopped" in how:
        station = max((p for p in running.alive() if p.net_connections("tcp")), key=lambda p: p.pid)
        station.send_signal(signal.SIGSTOP)
    running.process.send_signal(signal.SIGINT if "Ctrl-C" in how else signal.SIGKILL)
    running.process.wait(patient(20 if "Ctrl-C" in how else 5))
    assert running.gone() == []
    assert all(map(is_free, ports))
    if "Ctrl-C" in how:
        assert running.process.returncode == 130
        assert json.loads((running.reports / "latest" / "report.json").read_text())["verdict"] == "interrupted"


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGKILL of the parent"])
def test_nothing_outlives_a_run_that_ends_amid_a_pause_a_cut_and_a_kill(tmp_path: Path, how: str) -> None:
    faults = "{at_s: 0, pause: T, what: program}, {at_s: 0, cut: rig_1}, {at_s: 0.1, kill: rig_1, what: program}"
    run = Running(lab_file(tmp_path, duration=20.0, faults=faults), tmp_path / "reports")
    try:
        run.until("handshakes")
        eventually(lambda: run.said("fault") >= 3, UP_S)
        ports = run.ports()
        assert any(process.status() == "stopped" for process in run.alive())
        run.process.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL)
        run.process.wait(patient(20))
        assert run.gone() == []
        assert ports
        assert all(map(is_free, ports))
    finally:
        run.end()


PROGRAMS = {
    "raises": (
        "class Box:\n    def __init__(self, node, machine): pass\n"
        "    def l_start(self, value): raise OSError('no pin 4')\n"
    ),
    "born_raising": "class Box:\n    def __init__(self, node, machine): raise OSError('no pin 4')\n",
    "threaded": (
        "import threading\nclass Box:\n    def __init__(self, node, machine): pass\n"
        "    def l_start(self, value): threading.Thread(target=self.turn).start()\n"
        "    def turn(self): raise OSError('no pin 4')\n"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_exception_of_a_labs_own_program_is_first_in_the_report(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(PROGRAMS[name])
    done = sim(lab_file(tmp_path, program=f"{name}:Box"), "--no-page", "--report", tmp_path / "r")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "r" / "latest" / "report.json").read_text())
    assert report["exceptions"][0].startswith("rig_1: Traceback")
    assert "OSError: no pin 4" in report["exceptions"][0]
    assert "no pin 4" in report["broke"][0]
    assert "no pin 4" in done.stdout
    assert any(f"not checked: what {name}:Box" in what for what in report["not_proven"])


def test_a_process_that_dies_ends_the_run_at_once_and_is_named_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import os\nclass Box:\n    def __init__(self, node, machine): pass\n"
        "    def l_start(self, value):\n        print('the lever is stuck')\n        os._exit(3)\n"
    )
    lab = lab_file(tmp_path, program="dies:Box", duration=60.0)
    done = sim(lab, "--no-page", "--report", tmp_path / "r")
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    said = "the program of rig_1 ended by itself: exit code 3; its log is logs/rig_1.program.log"
    assert last == f"BROKE: programs. {said}"
    report = json.loads((tmp_path / "r" / "latest" / "report.json").read_text())
    assert report["took_s"] < patient(30)
    assert report["broke"] == [f"programs: {said}"]
    assert [check["name"] for check in report["checks"] if check["follows"]] != []
    assert (report["outputs"][-1]["machine"], report["outputs"][-1]["lines"][-1]) == ("rig_1", "the lever is stuck")
    assert "\n  the lever is stuck\n" in done.stdout
    log = tmp_path / "r" / "latest" / "logs" / "rig_1.program.log"
    assert log.read_text().splitlines()[-1] == "the lever is stuck"


def test_a_handler_that_does_not_return_is_named_with_its_stack_and_ends_the_wait(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text(
        "import threading\nclass Box:\n    def __init__(self, node, machine): pass\n"
        "    def l_start(self, value): threading.Event().wait()\n"
    )
    done = sim(lab_file(tmp_path, program="hangs:Box"), "--no-page", "--report", tmp_path / "r")
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("BROKE: programs. l_start of rig_1 hangs: called ")
    assert last.endswith("hangs.py, line 4, in l_start")
    report = json.loads((tmp_path / "r" / "latest" / "report.json").read_text())
    assert report["took_s"] < patient(40)
    assert len(report["broke"]) == 1
    assert report["exceptions"][0].startswith("rig_1: l_start hangs here")
    assert "in l_start\n    def l_start(self, value): threading.Event().wait()" in report["exceptions"][0]


def test_what_a_program_expects_is_checked(tmp_path: Path) -> None:
    (tmp_path / "boastful.py").write_text(
        "class Box:\n    def __init__(self, node, machine): self.node = node\n"
        "    def l_start(self, value):\n"
        "        stream = self.node.get_stream('x', 'CONTINUOUS', to='T')\n"
        "        stream.append({'x': 1})\n        stream.append('END')\n"
        "    def expected(self, journal): return {'streams': {'x': 2}}\n"
    )
    done = sim(lab_file(tmp_path, program="boastful:Box"), "--no-page", "--report", tmp_path / "r", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert [check["name"] for check in report["checks"] if check["result"] == "fail"] == ["streams"]
    assert "1 of 2 items missing" in report["broke"][0]


def test_a_failure_can_be_replayed(tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text(PROGRAMS["raises"])
    sim(lab_file(tmp_path, program="raises:Box"), "--no-page", "--report", tmp_path / "r")
    smallest = tmp_path / "r" / "latest" / "smallest.json"
    again = sim("replay", smallest, "--no-page", "--report", tmp_path / "r2", "--quiet")
    assert (again.returncode, "no pin 4" in again.stdout) == (1, True), again.stdout + again.stderr


STRUCK = "{at_s: 0.3, kill: rig_1, restart_after_s: 0.2}, {at_s: 0.1, drop: rig_1, key: CONFIRM, first: 1}"


def test_a_saved_scenario_is_replayed_in_both_worlds_with_the_same_storms(tmp_path: Path) -> None:
    saved = tmp_path / "lab.json"
    done = sim(lab_file(tmp_path, faults=STRUCK), "--save", saved, "--seed", 3)
    assert (done.returncode, str(saved) in done.stdout, "seed 3" in done.stdout) == (0, True, True)
    reports = []
    for words in ([], ["--virtual"]):
        run = sim("replay", saved, "--no-page", "--report", tmp_path / f"r{len(words)}", "--json", *words)
        reports.append(json.loads(run.stdout))
        assert run.returncode == 0, reports[-1]["broke"]
    real, virtual = reports
    storms, virtual_storms = ([int(n) for n in re.findall(r"\d+", report["storm"])] for report in reports)
    assert storms == [n + 1 for n in virtual_storms], "as many, of as many messages, and on processes a crash"
    assert real["seed"] == virtual["seed"] == 3
    assert any(what.startswith("drop of CONFIRM on rig_1: TCP hides") for what in real["not_proven"])
    assert not any("TCP" in what for what in virtual["not_proven"])
    assert any(what.startswith("sockets, threads") for what in virtual["not_proven"])
    assert (real["pace"], virtual["pace"].startswith("virtual time: ")) == ("", True)
    assert {event["what"] for event in real["timeline"]} >= {"kill", "restart"}


def test_a_run_in_virtual_time_is_the_same_whenever_it_is_run(tmp_path: Path) -> None:
    lab = lab_file(tmp_path, faults=STRUCK)
    one, again, verdict = sim(lab, "--virtual", "--check-determinism", "--seed", 3).stdout.splitlines()
    assert (one, verdict) == (again, "the same")


def test_runs_that_differ_are_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "digests", lambda _: ("a", "b"))
    assert command._compare(Scenario(topology=load(ROOT / "topologies" / "pair.yaml"), seed=1)) == 1
    assert capsys.readouterr().out.splitlines() == ["a", "b", "NOT THE SAME"]


@pytest.mark.parametrize("words", [["--virtual"], ["--virtual", "--check-determinism"]])
def test_a_labs_own_program_is_refused_in_virtual_time_with_the_reason(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "raises.py").write_text(PROGRAMS["raises"])
    done = sim(lab_file(tmp_path, program="raises:Box"), "--no-page", "--report", tmp_path / "r", *words)
    assert (done.returncode, done.stdout, (tmp_path / "r").exists()) == (2, "", False)
    assert "raises:Box of rig_1" in done.stderr
    assert "runs on processes only" in done.stderr


def test_check_determinism_is_only_for_virtual_time(tmp_path: Path) -> None:
    done = sim(lab_file(tmp_path), "--check-determinism")
    assert (done.returncode, "--virtual" in done.stderr) == (2, True)


def test_a_scenario_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = sim(lab_file(tmp_path), "--save", tmp_path / "nowhere" / "s.json")
    assert (done.returncode, "cannot be written" in done.stderr) == (2, True)


def test_five_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "name: wrong\nterminal: {id: T}\npilots:\n"
        "  - {id: rig_1, host: a.local}\n  - {id: rig_1, host: b.local}\n"
        "  - id: rig_2\n    streems: {}\n"
        "  - id: rig_3\n    streams: {cam: {shape: [2, 2], dtype: uint8, rate_hz: -3}}\n"
        "session: {duration_s: 5, graduate: [{at_s: 1, pilot: nobody}]}\n"
        "faults:\n  - {at_s: 1, kil: rig_2}\n"
    )
    done = sim(path)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert {int(line.removeprefix(str(path)).split(":")[1]) for line in lines} >= {5, 7, 9, 10, 12}, lines


@pytest.mark.parametrize("what", ["an empty file", "a directory", "binary junk", "a missing file"])
def test_an_unusable_topology_gets_one_clear_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "lab.yaml"
    if what == "an empty file":
        path.touch()
    elif what == "a directory":
        path.mkdir()
    elif what == "binary junk":
        path.write_bytes(bytes(range(256)) * 20)
    done = sim(path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "Traceback" not in done.stderr
    assert str(path) in done.stderr


@pytest.mark.parametrize("words", [["replay", "nowhere.json"], ["--nonsense", "x.yaml"], ["replay", "README.md"]])
def test_a_wrong_command_is_explained(words: list[str]) -> None:
    done = sim(*words)
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (2, False), done.stderr + done.stdout
    assert (done.stderr + done.stdout).strip()


def test_help_shows_examples_and_the_exit_codes() -> None:
    done = sim("--help")
    assert done.returncode == 0
    assert "topologies/lab.yaml" in done.stdout
    assert "it could not be told" in done.stdout


def test_schema_prints_what_the_topologies_name() -> None:
    done = sim("schema")
    assert json.loads(done.stdout) == json.loads((ROOT / "topologies" / "lab.schema.json").read_text())
