"""Makes the tree below the terminal from `Record`s. A record that has no place in it says why.

A machine's own prefs count first, LINEAGE and then PARENTID, since its station connects to what they name. The CHILDID
of another machine counts for machines that say nothing themselves. Most of these are in no file of their own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sim.lab.yaml.nodes import show
from sim.migrate.findings import Findings
from sim.migrate.pilot_db import Record, unusable

__all__ = ["DEEPEST", "Placed", "everybody", "grow"]

DEEPEST = 40  # levels of machines; a topology's YAML cannot be nested much deeper
AUTOPILOTS_TERMINAL = "T"  # the name that pilots use, whatever the terminal's own name is


@dataclass(slots=True, eq=False)
class Placed:
    """A machine in the tree. `notes` are comments, by the key at whose line they are written."""

    record: Record
    host: str | None = None
    port: int | None = None  # None: Autopilot's default, which is a guess
    notes: dict[str, str] = field(default_factory=dict)
    children: list[Placed] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.record.id


def everybody(pilots: list[Placed]) -> list[Placed]:
    """The machines of the tree, every parent before its children."""
    found: list[Placed] = []
    todo = list(reversed(pilots))
    while todo:
        found.append(todo.pop())
        todo += reversed(found[-1].children)
    return found


def grow(records: dict[str, Record], terminal: str, findings: Findings) -> list[Placed]:
    """The pilots, with all machines below them. Adds to `records` the machines that only a CHILDID names.

    A record that has no place in the tree gets `wrong`, the reason.
    """
    named = _named(records, terminal, findings)
    placed = {id: Placed(record) for id, record in records.items()}
    parents: dict[str, str] = {}
    for id, record in records.items():
        record.wrong = _no_machine(id, terminal) or record.wrong
        if record.wrong is None:
            parents[id] = _Claims(placed[id], named.get(id, []), records, terminal, findings).parent()
    _refuse_circles(records, parents, terminal)
    pilots: list[Placed] = []
    for id, parent in parents.items():
        if records[id].wrong is None:
            (pilots if parent == terminal else placed[parent].children).append(placed[id])
    _refuse_deep(pilots)
    _tell(placed, findings)
    return pilots


def _no_machine(id: str, terminal: str) -> str | None:
    """Why no machine below the terminal can have this id; None if one can."""
    if id == terminal:
        return "the terminal has this id"
    return f"the id {show(id)} {why}" if (why := unusable(id)) else None


def _tell(placed: dict[str, Placed], findings: Findings) -> None:
    for id, machine in placed.items():
        record = machine.record
        if record.wrong is not None:
            findings.add(record.file, id, f"not placed: {record.wrong}.")
        elif record.prefs.lineage == "PARENT" and not machine.children:
            findings.add(record.file, id, "LINEAGE is PARENT, but no file says who its child is.")


def _named(records: dict[str, Record], terminal: str, findings: Findings) -> dict[str, list[str]]:
    """Each child that a CHILDID names, with the machines that name it."""
    named: dict[str, list[str]] = {}
    for record in list(records.values()):
        for child in record.prefs.childid or ():
            if child == record.id:
                findings.add(record.file, record.id, "CHILDID names the machine itself, which is left out.")
            elif child == terminal:
                findings.add(record.file, record.id, f"CHILDID names the terminal, {show(child)}, which is left out.")
            else:
                named.setdefault(child, []).append(record.id)
                records.setdefault(child, Record(child, record.file))
    return named


@dataclass(slots=True)
class _Claims:
    """What the files say of one machine's parent."""

    placed: Placed
    named_by: list[str]
    records: dict[str, Record]
    terminal: str
    findings: Findings

    def parent(self) -> str:
        """The id of its parent. If it has no place, its record's `wrong` is set, and the id means nothing."""
        prefs = self.placed.record.prefs
        if prefs.lineage == "CHILD" or (prefs.lineage is None and self.named_by):
            return self._of_a_child(prefs.parentid)
        if self.named_by:
            self._tell(f"LINEAGE is {prefs.lineage}, but it is CHILDID of {self._namers}; LINEAGE counts.")
        elif prefs.lineage is None and prefs.parentid is not None and not self._is_terminal(prefs.parentid):
            self._tell(f"PARENTID is {show(prefs.parentid)}, but LINEAGE is not CHILD; it is put below the terminal.")
        return self.terminal

    def _of_a_child(self, own: str | None) -> str:
        record = self.placed.record
        if own is None:
            return self._of_the_first()
        if self._is_terminal(own):
            self._compare(own)
            return self.terminal
        if own == record.id:
            record.wrong = "it is its own parent"
        elif own not in self.records:
            record.wrong = f"its PARENTID is {show(own)}, and there is no such machine"
        else:
            self._compare(own)
        return own

    def _of_the_first(self) -> str:
        if not self.named_by:
            self.placed.record.wrong = "LINEAGE is CHILD, but there is no PARENTID, and no CHILDID names it"
            return self.terminal
        if len(self.named_by) > 1:
            self._tell(f"it is CHILDID of {self._namers}; the first of them counts.")
            self.placed.notes["id"] = f"guess: a child of {self.named_by[0]}, as of {self._namers}"
        return self.named_by[0]

    def _compare(self, own: str) -> None:
        others = [one for one in self.named_by if one != own]
        if others:
            self._tell(f"its PARENTID is {show(own)}, but it is CHILDID of {self._namers}; PARENTID counts.")
        elif own in self.records and self.records[own].prefs.childid and not self.named_by:
            self._tell(f"its PARENTID is {show(own)}, whose CHILDID does not name it; PARENTID counts.")

    def _is_terminal(self, id: str) -> bool:
        return id == self.terminal or (id == AUTOPILOTS_TERMINAL and id not in self.records)

    @property
    def _namers(self) -> str:
        return " and ".join(show(one) for one in self.named_by[:10])

    def _tell(self, sentence: str) -> None:
        self.findings.add(self.placed.record.file, self.placed.id, sentence)


def _refuse_circles(records: dict[str, Record], parents: dict[str, str], terminal: str) -> None:
    """Take machines out of the tree whose parents go in a circle, or whose parent has no place."""
    right = {terminal}
    for id in parents:
        seen: dict[str, None] = {}
        at = id
        while at not in right and at not in seen and records[at].wrong is None:
            seen[at] = None
            at = parents[at]
        if at in right:
            right |= set(seen)
            continue
        above = list(seen)
        circle = above[above.index(at) :] if at in seen else []
        for one in circle:
            records[one].wrong = f"its parents go in a circle: {' → '.join([*circle, at])[:200]}"
        for one in above[: len(above) - len(circle)]:
            records[one].wrong = f"its parent {show(parents[one])} has no place"


def _refuse_deep(pilots: list[Placed]) -> None:
    todo = deque((pilot, 1) for pilot in pilots)
    while todo:
        at, depth = todo.popleft()
        todo.extend((child, depth + 1) for child in at.children)
        if depth > DEEPEST:
            at.record.wrong = f"more than {DEEPEST} machines would be above it"
        if depth >= DEEPEST:
            at.children = []
