"""A lab's own programs: which of them cannot be found, and the same lab with emulated programs in their place."""

from __future__ import annotations

from msgspec.structs import replace

from sim.lab.topology import Machine, Topology
from sim.lab.validate import is_findable

__all__ = ["needs_folder", "not_found", "not_run", "without_programs"]


def without_programs(topology: Topology) -> Topology:
    """The same lab, with an emulated program in place of each of the lab's own programs."""
    return replace(topology, machines=tuple(map(_stand_in, topology.machines)))


def not_run(topology: Topology) -> list[str]:
    """The lab's own programs that emulated ones stand in for, a sentence each."""
    return [
        f"not run: {machine.stands_in_for} on {machine.id}; an emulated program stands in for it"
        for machine in topology.machines
        if machine.stands_in_for
    ]


def needs_folder(topology: Topology) -> bool:
    """Whether the lab has programs or files of its own, which stand in the folder of its file."""
    return any(machine.program for machine in topology.machines) or bool(_own_files(topology))


def not_found(topology: Topology) -> list[str]:
    """The lab's own programs and files that are not where the topology says, a sentence each."""
    here, files = topology.folder.resolve(), topology.file_dir.resolve()
    programs = [
        f"the program {machine.program} of {machine.id} is neither in {here} nor installed"
        for machine in topology.machines
        if machine.program and not is_findable(_module(machine), here, machine.env)
    ]
    lost = [name for name in _own_files(topology) if not (files / name).is_file()]
    return [*programs, *(f"the file {name} is not in {files}" for name in lost)]


def _stand_in(machine: Machine) -> Machine:
    return replace(machine, program=None, stands_in_for=machine.program) if machine.program else machine


def _module(machine: Machine) -> str:
    return (machine.program or "").partition(":")[0]


def _own_files(topology: Topology) -> list[str]:
    """The files that tasks name, and that are not made for the rehearsal."""
    named = {str(sound) for machine in topology.machines for sound in machine.task.get("sounds", [])}
    return sorted(named - set(topology.files.synthetic_kb))
