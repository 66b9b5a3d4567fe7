"""A program's memory in a file, and the listens of a lab's own program."""

from __future__ import annotations

from pathlib import Path

import pytest

from autopilot_net import AutopilotNetError
from sim.processes.program_process import FileMemory, listens_of


def test_a_memory_has_what_was_kept_last_also_in_the_next_life(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "rig_1.json")
    assert memory.load() is None
    memory.keep({"state": "RUNNING", "trial": 12_345})
    memory.keep({"state": "IDLE"})
    assert memory.load() == {"state": "IDLE"}
    assert FileMemory(tmp_path / "rig_1.json").load() == {"state": "IDLE"}


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
