"""Resources: no process keeps a thread, a descriptor or the message of each message, and none takes CPU while idle.

Only processes have these figures. They are taken before and after the load, which is a thousand messages and some
streams, and the limits are far above what a library starts once, such as a thread for its disk. What is left of
messages is counted as each process ends.
"""

from __future__ import annotations

from sim.checks.result import many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.verdict import Check

__all__ = ["IDLE_PCT", "check_resources", "has_resources"]

MORE = {"threads": 12, "fds": 12}  # more than these after the load
LEFT = 500  # messages, or handles of them, at the end: those of the last moments, and what the library remembers
NAMES = {"threads": "threads", "fds": "open files and sockets"}
IDLE_PCT = 10.0  # of one core: an idle process takes one or two, and one that spins shares the cores with the others


def has_resources(index: Index) -> bool:
    """Whether the processes were measured."""
    return any(True for _ in index.evidence.journal.of("used"))


def check_resources(index: Index) -> Check:
    """No process has many more threads or descriptors after the load, and none takes CPU while nothing happens."""
    journal = index.evidence.journal
    before = {entry.by: entry for entry in journal.of("used") if entry.n == 0}
    after = {entry.by: entry for entry in journal.of("used") if entry.n == 1}
    broke = [found for name in sorted(after) if name in before for found in _kept(before[name], after[name])]
    own = {f"{machine.id} program" for machine in index.evidence.topology.machines if machine.program}
    broke += _left(index)
    idle = [entry for entry in journal.of("idle") if entry.by not in own]  # a lab's own program may be busy
    for entry in idle:
        share = float(entry.value["cpu_pct"])
        if share >= IDLE_PCT:
            broke.append(_about(entry.by, f"takes {share:.0f} % of a core while nothing happens"))
    most = max((float(entry.value["cpu_pct"]) for entry in idle), default=0.0)
    looked_at = many(len(after), "process").replace("processs", "processes")
    return result_of("resources", looked_at, len(after), broke, figures="" if broke else f"{most:.0f} % of a core idle")


def _kept(before: Entry, after: Entry) -> list[Violation]:
    if before.value["pid"] != after.value["pid"]:
        return []
    more = {name: after.value[name] - before.value[name] for name in MORE}
    return [
        _about(after.by, f"has {count} more {NAMES[name]} after the load than before")
        for name, count in more.items()
        if count > MORE[name]
    ]


def _left(index: Index) -> list[Violation]:
    """The processes that end with many messages that have come to their end long before."""
    own = {f"_{machine.id}" for machine in index.evidence.topology.machines if machine.program}
    return [
        _about(entry.by, f"ends with {count:,} {what} of the storms that were settled")
        for entry in index.evidence.journal.of("held")
        for what, count in entry.value.items()
        if count > LEFT and entry.by not in own
    ]


def _about(process: str, text: str) -> Violation:
    return Violation("", (machine_of(process.split(maxsplit=1)[0]),), (), f"{process} {text}")
