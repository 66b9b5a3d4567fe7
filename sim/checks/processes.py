"""Processes: none ended that should not have, and no program raised."""

from __future__ import annotations

from sim.checks.result import about_machine, excused, result_of
from sim.evidence.index import Index
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.verdict import Check

__all__ = ["check_processes"]

IN_VAIN = "no confirmation came"  # what a role says that waited for another


def check_processes(index: Index) -> Check:
    """No process ended that should not have; no program raised."""
    evidence = index.evidence
    explained, broke = _exceptions(index)
    for machine in (machine for machine in evidence.topology.machines if machine.program):
        kill = index.outages.killed("_" + machine.id, 0)
        if kill is not None:
            own = f"{machine.program} on {machine.id} began anew"
            explained.append(f"{own}, what it sent is not counted, and nobody said START again: {kill.words}")
    broke += [
        about_machine(machine_of(name), f"the process {name} ended by itself")
        for name in evidence.died
        if not _was_killed(index, name)
    ]
    count = 2 * len(evidence.topology.machines)
    figures = "" if broke else "none raised, none ended"
    return result_of("programs", f"{count} processes", count, broke, explained=explained, figures=figures)


def _exceptions(index: Index) -> tuple[list[str], list[Violation]]:
    """What was raised: of which a fault is the reason, since somebody was asked in vain; and what else."""
    told = [(raised["machine"], raised["exception"], raised["traceback"]) for raised in index.exceptions()]
    in_vain = [about_machine(m, f"{m}: {said}") for m, said, trace in told if IN_VAIN in said and not trace]
    explained, broke = excused(index, in_vain)
    return explained, [
        *broke,
        *(about_machine(m, f"{m}: {said}") for m, said, trace in told if IN_VAIN not in said or trace),
    ]


def _was_killed(index: Index, name: str) -> bool:
    """Whether a process ended because a fault killed it, each time that it did."""
    ends = [entry.t for entry in index.evidence.journal.of("died") if entry.to == name]
    return bool(ends) and all(index.outages.is_dead(name, t) for t in ends)
