"""Each part of a machine starts in a new life, and what a disk holds outlives the former one."""

from __future__ import annotations

from msgspec.structs import replace

from sim.lab.topology import Files, Machine, Topology
from sim.virtual.lab import VirtualLab

TOPOLOGY = Topology(
    name="two",
    path="two.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", task={"sounds": ["L.wav", "own.wav"]}),
    ),
    files=Files(synthetic_kb={"L.wav": 3}),
)


def test_the_terminal_has_the_files_that_tasks_name() -> None:
    lab = VirtualLab(TOPOLOGY, seed=1)
    lab.start()
    files = lab.running.stations["T"].role.host.files
    assert [files.size_and_digest(name)[0] for name in ("L.wav", "own.wav")] == [3000, 1000]
    assert lab.running.stations["rig_1"].role.host.files.lacks("L.wav")


def test_only_what_is_dead_is_restarted_and_it_keeps_its_files() -> None:
    lab = VirtualLab(TOPOLOGY, seed=1)
    lab.start()
    station, program = lab.running.stations["rig_1"], lab.running.programs["rig_1"]
    station.process.dead = True
    lab.restart("rig_1")
    restarted = lab.running.stations["rig_1"]
    assert (station.life, restarted.life) == (0, 1)
    assert restarted.role.host.files is station.role.host.files
    assert lab.running.programs["rig_1"] is program


def test_without_probes_a_program_has_one_node() -> None:
    nodes = {}
    for probes in (True, False):
        lab = VirtualLab(replace(TOPOLOGY, name="few"), seed=1, probes=probes)
        lab.start()
        nodes[probes] = [node.id for node in lab.running.programs["rig_1"].nodes]
    assert nodes == {True: ["_rig_1", "rig_1.probe"], False: ["_rig_1"]}
