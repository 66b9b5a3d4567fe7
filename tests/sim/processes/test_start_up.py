"""What a lab needs before its first process starts."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.lab.topology import Files, Machine, Topology
from sim.processes.start_up import hold_port, make_files, uninterrupted

LAB = Topology(
    name="noisy",
    path="noisy.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", task={"sounds": ["own.wav", "made.wav"]}),
    ),
    files=Files(synthetic_kb={"made.wav": 2, "deep/other.wav": 1}),
)


def test_a_held_port_is_free_for_its_station() -> None:
    with hold_port() as held, socket.socket() as station:
        station.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        station.bind(held.getsockname())
        station.listen()


def test_files_of_tasks_are_made_or_copied_the_same_for_the_same_seed(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "own.wav").write_bytes(b"sound")
    lab = replace(LAB, path=str(own / "noisy.yaml"))
    for folder in ("one", "two"):
        make_files(lab, tmp_path / folder, seed=3)
    there = tmp_path / "one" / "T"
    made = {str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*.wav")}
    sizes = {name: len(content) for name, content in made.items()}
    assert sizes == {"made.wav": 2000, "deep/other.wav": 1000, "own.wav": 5}
    assert all((tmp_path / "two" / "T" / name).read_bytes() == content for name, content in made.items())
    assert (tmp_path / "one" / "rig_1" / ".own.wav.part").read_bytes() == bytes(2), "half of it, damaged"


def test_ctrl_c_is_ignored_inside_and_not_after() -> None:
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
