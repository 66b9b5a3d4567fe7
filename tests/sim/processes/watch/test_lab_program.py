"""A lab's own program in its process: what it raises is told, wherever it raises it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Message
from sim.processes.watch import lab_program
from sim.processes.watch.lab_program import LabProgram, listens_of

START = Message(key="START", value={"subject": "mouse"})


class Lines:
    life = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def now(self) -> int:
        return 0

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append((what, facts["key"]))


class Hosted:
    """A program made of source text, with what it told."""

    def __init__(self, folder: Path, source: str) -> None:
        (folder / "a_box.py").write_text(source)
        self.journal = Lines()
        self.told: list[str] = []
        self.program = LabProgram("a_box:Box", self.journal, lambda error, _: self.told.append(str(error)))
        self.listens = self.program.begin(None, None)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lab_program, "LINGERS_S", 0.01)
    monkeypatch.delitem(__import__("sys").modules, "a_box", raising=False)
    return lambda source: Hosted(tmp_path, source)


Host = Callable[[str], Hosted]
BOX = "class Box:\n    def __init__(self, node, machine): pass\n"


def test_how_long_a_listen_took_is_journalled_also_of_a_coroutine(host: Host) -> None:
    box = host(BOX + "    def l_start(self, value): return value\n    async def l_stop(self, value): return 7\n")
    assert sorted(box.listens) == ["START", "STOP"]
    assert box.program.call("l_start", START) == {"subject": "mouse"}
    assert box.journal.lines == [("listened", "START")]
    left = box.program.call("l_stop", Message(key="STOP", value=None))
    assert inspect.isawaitable(left)

    async def run() -> Any:
        return await left

    assert asyncio.run(run()) == 7
    assert box.journal.lines[-1] == ("listened", "STOP")
    assert box.program.call("l_param", START) is None


@pytest.mark.parametrize("source", ["raise OSError('no pin 4')", "import sys\nsys.exit('no pin 4')"])
def test_what_it_raises_at_import_is_told_and_it_has_no_listens(host: Host, source: str) -> None:
    box = host(source)
    assert (box.listens, box.told, box.program.call("l_start", START)) == ({}, ["no pin 4"], None)
    box.program.close()


def test_what_expected_and_close_raise_is_told(host: Host) -> None:
    box = host(BOX + "    def expected(self, journal): return 1 / 0\n    def close(self): raise OSError('jammed')\n")
    assert box.program.expected([]) is None
    box.program.close()
    assert box.told == ["division by zero", "jammed"]


def test_a_thread_that_goes_on_after_close_is_told(host: Host) -> None:
    start = "threading.Thread(target=lambda: self.end.wait(), name='wheel', daemon=True).start()"
    made = BOX.replace("pass", "self.end = threading.Event()")
    box = host(f"import threading\n{made}    def l_start(self, value): {start}\n")
    box.program.call("l_start", START)
    box.program.close()
    assert box.told == ["the daemon thread wheel of a_box:Box is still alive 0.01 s after close()"]
    box.program._program.end.set()
    for thread in threading.enumerate():
        if thread.name == "wheel":
            thread.join()


def test_listens_are_the_methods_of_that_name() -> None:
    class Box:
        def l_start(self, value: object) -> object:
            return value

        async def l_trial_done(self, value: object) -> None:
            del value

    listens = listens_of(Box())
    assert sorted(listens) == ["START", "TRIAL_DONE"]
    assert listens["START"](7) == 7


def test_a_listen_that_is_a_generator_is_refused_by_its_name() -> None:
    class Box:
        def l_start(self, value: object) -> object:
            yield value

    with pytest.raises(AutopilotNetError, match="program Box"):
        listens_of(Box())
