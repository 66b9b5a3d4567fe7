"""Tables: what the terminal says of its machines, when it is asked who is there, is what its program was told last."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from autopilot_net.roles.terminal import DISCONNECTED
from sim.checks.result import about_machine
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation

__all__ = ["wrong_tables"]

ABOUT_S = 1.0  # how much later a listen may have its message than another, on CPUs that are not full
SHOWN = 2  # of each machine: those that follow are the same


def wrong_tables(index: Index) -> Iterator[Violation]:
    """The rows that are not what the terminal's program had heard.

    The terminal's station passes on each state before it answers. But a program has a thread for each of its listens,
    so that a table may be handled before a state that came before it. What comes at about the same time fits too.
    """
    home = index.evidence.topology.terminal.id
    told = _told(index, "_" + home)
    shown: Counter[str] = Counter()
    for entry in index.evidence.journal.of("table"):
        if _was_struck(index, entry) or index.was_busy(entry.t, entry.t):
            continue
        for machine, row in entry.value.items():
            states = _around(told[machine], entry.t)
            if states and shown[machine] < SHOWN and not any(row in _rows(state) for state in states):
                shown[machine] += 1
                yield about_machine(machine, _words(home, machine, row, states[0]))


def _told(index: Index, program: str) -> dict[str, list[tuple[int, Any]]]:
    """When the program was told which state, by machine. A later life knows no more than what it hears."""
    told: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for entry in index.evidence.journal.entries:
        if entry.by != program:
            continue
        if entry.what in ("state", "gone", "shook"):
            told[_machine(entry)].append((entry.t, _state(entry)))
        elif entry.what == "start":
            told.clear()
    return told


def _around(told: list[tuple[int, Any]], t: int) -> list[Any]:
    """The state that was told last before `t`, and those at about that time; empty if none was told before."""
    before = [state for at, state in told if at <= t]
    near = [state for at, state in told if abs(at - t) <= seconds(ABOUT_S)]
    return [before[-1], *near] if before else []


def _machine(entry: Entry) -> str:
    return str(entry.value["machine" if entry.what in ("gone", "shook") else "pilot"])


def _state(entry: Entry) -> Any:
    return DISCONNECTED if entry.what == "gone" else entry.value.get("state")


def _rows(state: Any) -> list[dict[str, Any]]:
    """The rows that fit what was told. A machine whose connection is back has yet to say its state."""
    back = [{"online": True, "state": None}] if state == DISCONNECTED else []
    return [{"online": state != DISCONNECTED, "state": state}, *back]


def _words(home: str, machine: str, row: dict[str, Any], state: Any) -> str:
    said = f"{'online' if row['online'] else 'offline'}, {row['state']}"
    return f"asked who is there, {home} said that {machine} is {said}; the last that it told of it was {state}"


def _was_struck(index: Index, entry: Entry) -> bool:
    """Whether a fault struck the terminal or its program at about that time, so that they may have missed something."""
    home = index.evidence.topology.terminal.id
    struck = index.outages.on([home, "_" + home])
    return any(outage.overlaps(entry.t - outage.notice, entry.t) for outage in struck)
