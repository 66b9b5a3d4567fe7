"""Recovery: how soon machines and links worked again after a fault, and whether the healed lab has converged."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

import msgspec
from msgspec import Struct

from sim.checks.content.returns import late_returns
from sim.checks.result import about_machine, many, result_of
from sim.emulator.convergence import Snapshot, divergences
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import Outage
from sim.lab.fault import ACTION_VERBS
from sim.lab.names import machine_of, process_of
from sim.verdict import Check

__all__ = ["Recovery", "check_recovery", "check_whole", "has_healing", "recoveries"]


class Recovery(Struct, frozen=True):
    """How soon a machine, or its link, worked again after a fault. `took_s` is None if nothing shows that it did."""

    machine: str
    outage: Outage
    took_s: float | None


def has_healing(index: Index) -> bool:
    """Whether faults were planned, or the lab was healed."""
    planned = index.evidence.topology.faults
    return bool(planned) or any(True for _ in index.evidence.journal.of("healed", "whole"))


# -- recovery ----------------------------------------------------------------------------------------------------------


def check_recovery(index: Index) -> Check:
    """What a fault stopped works again, as a message shows that crosses it, and who waited for it is told so."""
    done: dict[str, Outage] = {}  # one outage for each fault, which may strike several processes
    for outage in index.outages.all:
        done.setdefault(outage.words.partition(",")[0], outage)
    counts = Counter(outage.verb for outage in done.values())
    found = recoveries(index)
    dead = {(f"whether {r.machine} works again: {r.outage.words}", r.machine) for r in found if r.took_s is None}
    figures = ", ".join(many(count, ACTION_VERBS[verb].name or verb) for verb, count in counts.items())
    slowest = max((r for r in found if r.took_s is not None), key=lambda r: r.took_s or 0.0, default=None)
    if slowest is not None:
        figures += f"; slowest {slowest.machine} after {slowest.took_s:.1f} s"
    count = sum(counts.values())
    unknown = [about_machine(machine, text) for text, machine in sorted(dead)]
    broke = list(late_returns(index))
    return result_of("recovery", many(count, "fault"), count, broke, unknown=unknown, figures=figures)


def recoveries(index: Index) -> list[Recovery]:
    """One for each outage that stopped a machine or a link, in the order in which they began."""
    proofs = _Proofs(index)
    return [
        Recovery(outage.machine, outage, proofs.took(outage))
        for outage in index.outages.all
        if ACTION_VERBS[outage.verb].is_silent or outage.verb == "reset"
    ]


class _Proofs:
    """The messages that show that a machine or a link works: they crossed it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._made = {entry.id: entry.t for entry in index.made}
        self._items = {(entry.stream, entry.n): entry.t for entry in index.evidence.journal.of("item_made")}
        arrivals = index.evidence.journal.of("handled", "shook", "state", "item_got")
        self._came = [entry for entry in arrivals if (entry.first_sender or entry.sender)]
        self._times = [entry.t for entry in self._came]
        self._paths: dict[tuple[str, str], list[str]] = {}

    def took(self, outage: Outage) -> float | None:
        """Seconds from the end of an outage until a message shows that its target works.

        Where another outage struck the path meanwhile, they count from the end of that.
        """
        if outage.ends is None:
            return None
        since = outage.ends
        while (proof := self._first(outage, since)) is not None:
            until = self._struck_until(outage, since, proof.t)
            if until <= since:
                return (proof.t - since) / 1e9
            since = until
        return None

    def _first(self, outage: Outage, since: int) -> Entry | None:
        for n in range(bisect_left(self._times, since), len(self._came)):
            entry = self._came[n]
            if self._made_at(entry) >= outage.begins and self._crosses(entry, outage):
                return entry
        return None

    def _made_at(self, entry: Entry) -> int:
        """When a message or item was made. If the journal does not tell, when it arrived."""
        if entry.stream:
            return self._items.get((entry.stream, entry.n), 0)
        return self._made.get(entry.first or entry.id, entry.t)

    def _crosses(self, entry: Entry, outage: Outage) -> bool:
        path = self._path(_sender_of(entry), entry.by)
        if outage.kind == "link":
            lower = outage.machine
            upper = self._index.tree.parent(lower)
            return lower in path and upper in path
        return len(path) > 1 and any(process_of(name) == (outage.kind, outage.machine) for name in path)

    def _path(self, frm: str, by: str) -> list[str]:
        if (frm, by) not in self._paths:
            known = machine_of(frm) in self._index.tree
            path = self._index.tree.path(frm, by) if known and not frm.startswith("actor.") else []
            self._paths[frm, by] = [*path, by] if by.startswith("_") and path else path
        return self._paths[frm, by]

    def _struck_until(self, outage: Outage, since: int, until: int) -> int:
        """The end of the other outages on the path from the target to the terminal's program in that time."""
        terminal = self._index.evidence.topology.terminal.id
        path = ["_" + outage.machine, *self._index.tree.path(outage.machine, terminal), "_" + terminal]
        others = [other for other in self._index.outages.on(path, both_ways=True) if other is not outage]
        silent = [other for other in others if ACTION_VERBS[other.verb].is_silent]
        ends = [other.ends for other in silent if other.ends is not None and other.begins < until]
        return max([since, *ends])


def _sender_of(entry: Entry) -> str:
    """The participant that first made a message or item. The name of a stream tells its machine."""
    if "/" in entry.stream:
        return "_" + entry.stream.partition("/")[0]
    return entry.stream.rpartition("#")[0] or entry.first_sender or entry.sender


# -- whole -------------------------------------------------------------------------------------------------------------


def check_whole(index: Index) -> Check:
    """The healed lab has converged: all machines are known, all outboxes are empty, and all routes are right."""
    values = {entry.by: entry.value for entry in index.evidence.journal.of("whole") if isinstance(entry.value, dict)}
    machines = [machine.id for machine in index.evidence.topology.machines]
    participants = [name for machine in machines for name in (machine, "_" + machine)]
    snapshots = {name: msgspec.convert(values[name], Snapshot) for name in participants if name in values}
    silent = [
        about_machine(machine_of(name), f"whether {name} is whole again: it did not say")
        for name in participants
        if name not in values
    ]
    looked_at = many(len(participants), "participant")
    return result_of("whole", looked_at, len(participants), divergences(index.tree, snapshots), unknown=silent)
