"""Tables: what the terminal says of its machines, when it is asked who is there, is what its program was told last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from autopilot_net.roles.terminal import DISCONNECTED
from sim.checks.result import about_machine
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation

__all__ = ["wrong_tables"]

SHOWN = 2  # of each machine: those that follow are the same


def wrong_tables(index: Index) -> Iterator[Violation]:
    """The rows that are not what the terminal's program had heard.

    The terminal's station passes on each state before it answers, and one handler of the program has them in order. So
    the last one that came is that of the table, but for states that seek no confirmation, which a fault may take.
    """
    home = index.evidence.topology.terminal.id
    told: dict[str, Any] = {}
    shown: Counter[str] = Counter()
    for entry in index.evidence.journal.entries:
        if entry.by != "_" + home:
            continue
        if entry.what in ("state", "gone", "shook"):
            told[_machine(entry)] = _state(entry)
        elif entry.what == "start":
            told.clear()  # it knows no more than what it hears from now on
        elif entry.what == "table" and not _was_struck(index, entry):
            for machine, row in entry.value.items():
                if machine in told and row not in _rows(told[machine]) and shown[machine] < SHOWN:
                    shown[machine] += 1
                    yield about_machine(machine, _words(home, machine, row, told[machine]))


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
