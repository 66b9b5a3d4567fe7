"""Processes: none ended by itself, and no program raised."""

from __future__ import annotations

from msgspec.structs import replace

from sim.checks.result import about_machine, excused, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.scenario.assignments import busy_s
from sim.verdict import Check

__all__ = ["check_processes"]

SOON_S = 2.0  # a listen that takes less has returned soon, however short the session is
# In the error of a START whose file was asked for, and did not come: the question was lost, or the answer.
NO_FILE = ("nothing of it came from", "was asked for it, and its recipient could not pass it on")
NEARLY_S = 25.0  # a rig waits for 30 s until something of its files comes
IN_VAIN = "no confirmation came"  # in the error of a role that waited for a confirmation


def check_processes(index: Index) -> Check:
    """No process ended by itself, and no program raised."""
    evidence = index.evidence
    explained, broke = _exceptions(index)
    for machine in (machine for machine in evidence.topology.machines if machine.program):
        kill = index.outages.killed("_" + machine.id, 0)
        if kill is not None:
            own = f"{machine.program} on {machine.id} was restarted"
            explained.append(f"{own}, what it sent is not counted, and START was not sent again: {kill.words}")
    broke += [_death(index, name) for name in evidence.died if not _was_killed(index, name)]
    broke += _hanging(index)
    broke += _slept_through(index)
    count = 2 * len(evidence.topology.machines)
    figures = "" if broke else "none raised, none ended"
    return result_of("programs", f"{count} processes", count, broke, explained=explained, figures=figures)


def _death(index: Index, name: str) -> Violation:
    died = next((entry.value for entry in index.evidence.journal.of("died") if entry.to == name), None)
    facts = died if isinstance(died, dict) else {}
    part = "program" if name.startswith("_") else "station"
    text = f"the {part} of {machine_of(name)} ended by itself: {facts.get('how', 'it is not known how')}"
    text += f"; its log is {facts['log']}" if "log" in facts else ""
    return replace(about_machine(machine_of(name), text), is_cause=True)


def _hanging(index: Index) -> list[Violation]:
    """The listens of the lab's own programs that did not return for as long as the run waited."""
    entries = index.evidence.journal.entries
    run_begun = min((entry.t for entry in entries), default=0)
    return [_hangs(entry, run_begun) for entry in index.evidence.journal.of("hangs")]


def _hangs(entry: Entry, run_begun: int) -> Violation:
    machine, begun = machine_of(entry.by), int(entry.value["begun"])
    text = f"{entry.key} of {machine} hangs: called {(begun - run_begun) / 1e9:.1f} s into the run, "
    text += f"it had not returned {(entry.t - begun) / 1e9:.1f} s later"
    text += f", and was in {entry.value['where']}" if entry.value["where"] else ""
    return replace(about_machine(machine, text), is_cause=True)


def _slept_through(index: Index) -> list[Violation]:
    """The STARTs that a lab's own program was still handling when its STOP was sent: it handled nothing else."""
    stops = [made for made in index.made if made.key == "STOP"]
    found = []
    for entry in index.evidence.journal.of("listened"):
        machine, begun = machine_of(entry.by), int(entry.value["begun"])
        above = index.tree.path(index.evidence.topology.terminal.id, machine)
        was_stopped = any(begun < made.t < entry.t for made in stops if made.to in above)
        if entry.key == "START" and was_stopped and entry.t - begun > seconds(SOON_S):
            took = f"the START of {machine} was handled for {(entry.t - begun) / 1e9:.1f} s, until after its STOP"
            found.append(about_machine(machine, f"{took} was sent: l_start must leave long work to a thread"))
    return found


def _exceptions(index: Index) -> tuple[list[str], list[Violation]]:
    """The errors that a fault explains, since no confirmation came because of it, and the other errors."""
    errors = [(raised["machine"], raised["exception"], raised["traceback"]) for raised in index.exceptions()]
    in_vain = [about_machine(m, f"{m}: {error}") for m, error, trace in errors if IN_VAIN in error and not trace]
    explained, broke = excused(index, in_vain)
    for m, error, trace in errors:
        why = _why_no_file(index, m) if any(words in error for words in NO_FILE) else ""
        if why:
            explained.append(f"{m}: {error}: {why}")
        elif IN_VAIN not in error or trace:
            broke.append(about_machine(m, f"{m}: {error}"))
    return explained, broke


def _why_no_file(index: Index, machine: str) -> str:
    """An outage on the way to the terminal, or storms whose handlers held its station up; empty for neither.

    A request for a file is not repeated: one that is lost costs the START.
    """
    path = index.tree.path(machine, index.evidence.topology.terminal.id)
    outage = next(iter(index.outages.on(path, both_ways=True)), None)
    if outage is not None:
        return outage.words
    busy = sum(map(busy_s, index.evidence.examples.values()))
    return f"handlers of storms took {busy:.0f} s" if busy >= NEARLY_S else ""


def _was_killed(index: Index, name: str) -> bool:
    """Whether a fault had killed a process each time that it ended."""
    ends = [entry.t for entry in index.evidence.journal.of("died") if entry.to == name]
    return bool(ends) and all(index.outages.is_dead(name, t) for t in ends)
