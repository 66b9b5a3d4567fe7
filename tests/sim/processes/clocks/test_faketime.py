"""A process under faketime has another time of day, and nothing else is changed for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.processes.clocks import faketime
from tests import ROOT

PROBE = """
import json, os, queue, subprocess, sys, threading, time
from pathlib import Path
from sim.processes.clocks.faketime import join

def readings():
    return time.time(), time.monotonic()

def takes(wait):
    begun = time.monotonic()
    wait()
    return time.monotonic() - begun

def empty():
    try:
        queue.Queue().get(timeout=0.05)
    except queue.Empty:
        pass

join(Path(sys.argv[1]), "rig_1")
first = readings()
waits = {
    "sleep": takes(lambda: time.sleep(0.05)),
    "event": takes(lambda: threading.Event().wait(0.05)),
    "queue": takes(empty),
    "own": takes(lambda: subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05)"], check=True)),
}
own = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, text=True)
Path(sys.argv[1], "clocks", "rig_1").write_text("-100 x1.0")
sys.stdin.read(1)
print(json.dumps({"first": first, "then": readings(), "waits": waits, "own": float(own.stdout)}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clocks").mkdir()
    (tmp_path / "clocks" / "rig_1").write_text("+5000 x1.0")
    return tmp_path


needs_it = pytest.mark.skipif(faketime.library() is None, reason=faketime.MISSING)


@needs_it
def test_the_wall_clock_is_that_of_the_machine_and_all_waits_last_as_long_as_ever(folder: Path) -> None:
    import time

    under = {**faketime.HOW, "LD_PRELOAD": str(faketime.library()), "PYTHONPATH": str(ROOT)}
    probe = subprocess.Popen(
        [sys.executable, "-c", PROBE, str(folder)],
        env={**os.environ, **under},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    file = folder / "clocks" / "rig_1"
    while file.read_text().startswith("+"):
        assert probe.poll() is None
    due = int(time.time()) + 1  # the file is read again in the next second
    while time.time() < due:
        pass
    told = json.loads(probe.communicate("\n")[0])
    offset = time.time() - time.monotonic()
    (wall, monotonic), (later, then) = told["first"], told["then"]
    assert wall - monotonic - offset == pytest.approx(5000, abs=1)
    assert later - then - offset == pytest.approx(-100, abs=1)
    assert begun < monotonic < then < time.monotonic()
    assert all(0.05 <= took < 5 for took in told["waits"].values()), told["waits"]
    assert told["own"] == pytest.approx(time.time(), abs=60), "what a lab's program starts has the right clock"


def test_a_process_that_is_not_under_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    faketime.join(folder, "rig_1")
    faketime.join(folder, "rig_2")
    assert [file.name for file in (folder / "clocks").glob("*.right")] == ["rig_1.right"]


def test_to_sleep_is_what_it_was() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        faketime._sleep(-1)
    faketime._sleep(0)


def test_the_fork_server_alone_starts_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setenv(faketime.ASKED_BY, "1")
    monkeypatch.setattr(faketime, "library", lambda: Path("/x/libfaketimeMT.so.1"))
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: seen.append(dict(os.environ)))
    monkeypatch.setenv("NO_FAKE_STAT", "as before")
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    faketime.start_fork_server()
    assert seen[0]["LD_PRELOAD"] == "/x/libfaketimeMT.so.1"
    assert (os.environ.get("LD_PRELOAD"), os.environ["NO_FAKE_STAT"]) == (None, "as before")
    monkeypatch.setattr(faketime, "library", lambda: None)
    faketime.start_fork_server()
    assert "LD_PRELOAD" not in seen[1]
