"""A program's memory in a file."""

from __future__ import annotations

from pathlib import Path

from sim.processes.program_process import FileMemory


def test_a_memory_has_what_was_kept_last_also_in_the_next_life(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "rig_1.json")
    assert memory.load() is None
    memory.keep({"state": "RUNNING", "trial": 12_345})
    memory.keep({"state": "IDLE"})
    assert memory.load() == {"state": "IDLE"}
    assert FileMemory(tmp_path / "rig_1.json").load() == {"state": "IDLE"}
