"""Files: when a session begins, the files that its task names are on the machine, and are those of the terminal."""

from __future__ import annotations

from sim.checks.result import about_machine, many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.lab.names import machine_of
from sim.scenario.files import damaged_part
from sim.verdict import Check

__all__ = ["check_files"]


def check_files(index: Index) -> Check:
    """Each program read the files that its START named: they are there, and the same as at the terminal."""
    terminal = "_" + index.evidence.topology.terminal.id
    theirs = {entry.key: entry for entry in index.evidence.journal.of("file") if entry.by == terminal}
    found = {(e.by, e.key, e.n, e.print): e for e in index.evidence.journal.of("file") if e.by != terminal}
    wrong = {(e.by, said): None for e in found.values() if (said := _wrong(e, theirs.get(e.key)))}
    machines = {entry.by for entry in found.values()}
    left = damaged_part(index.evidence.topology)
    figures = f"{left[0]} began with a damaged part of {left[1]}" if left is not None and found else ""
    return result_of(
        "files",
        f"{many(len({key[:2] for key in found}), 'file')} of {many(len(machines), 'machine')}",
        len(found),
        [about_machine(machine_of(by), f"{machine_of(by)}: {said}") for by, said in wrong],
        figures=figures,
    )


def _wrong(entry: Entry, theirs: Entry | None) -> str:
    """What is wrong with a file as a program found it; empty if nothing is."""
    if entry.n < 0:
        return f"its session began without the file {entry.key}"
    if theirs is None or (entry.n, entry.print) == (theirs.n, theirs.print):
        return ""
    sizes = f"{entry.n:,} bytes" if entry.n == theirs.n else f"{entry.n:,} bytes, and the terminal's {theirs.n:,}"
    return f"its session began with a file {entry.key} that is not the terminal's ({sizes})"
