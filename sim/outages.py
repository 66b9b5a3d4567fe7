"""PURE. What faults did to machines and links, from when to when, and what that explains.

A link is named by the lower of its two machines. `kill` and `restart` may be written down twice: by whoever carried it
out, and as the fault that asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from sim.evidence import facts_told, machine_behind
from sim.flights import Flight
from sim.journal import Entry, Journal
from sim.topology import Topology

__all__ = ["LINK_FAULTS", "Outage", "outages_of", "why_lost"]

STATES = {  # what begins it: what it is then called, and what ends it
    "kill": ("down", {"restart"}),
    "pause": ("paused", {"resume", "kill", "restart"}),
    "cut": ("cut", {"heal"}),
    "hold": ("held", {"release", "heal"}),
    "shape": ("shaped", {"shape", "heal"}),
    "drop": ("dropping", {"drop", "heal"}),
    "duplicate": ("duplicating", {"duplicate", "heal"}),
    "reset": ("reset", set[str]()),
}
LINK_FAULTS = {"cut", "heal", "hold", "release", "shape", "drop", "duplicate", "reset"}
SPOTS = {"kill": "killed", "restart": "restarted", "pause": "paused", "resume": "resumed"}
ONCE_NS = 2 * 10**8  # the same of the same machine within this was one fault, told by two


class Outage(Struct, kw_only=True):
    """One fault, until it was undone."""

    t: int
    machine: str
    verb: str
    ended: int | None = None  # None: it never was
    ended_by: str = ""
    note: str = ""

    @property
    def link(self) -> bool:
        return self.verb in LINK_FAULTS

    @property
    def state(self) -> str:
        return STATES[self.verb][0]

    @property
    def lasts(self) -> bool:
        return self.ended is None or self.ended > self.t

    def is_within(self, begin: int, end: int) -> bool:
        """Whether any of it was between these two."""
        return self.t <= end and (self.ended is None or self.ended >= begin)

    def told(self) -> Iterator[tuple[int, str]]:
        """When what happened to the machine; what happens to a link is a bar and no more."""
        if self.verb in SPOTS:
            yield self.t, SPOTS[self.verb]
        if self.ended is not None and self.ended_by in SPOTS and self.ended_by != "kill":
            yield self.ended, SPOTS[self.ended_by]


def outages_of(journal: Journal) -> list[Outage]:
    """All of a run, in the order in which they began."""
    found: list[Outage] = []
    for t, verb, machine, note in _faults(journal):
        for one in found:
            is_same = one.machine == machine and one.ended is None and one.t < t
            if is_same and verb in STATES[one.verb][1]:
                one.ended, one.ended_by = t, verb
        if verb in STATES and not _is_told(found, verb, machine, t):
            ended = t if verb == "reset" else None
            found.append(Outage(t=t, machine=machine, verb=verb, ended=ended, note=note))
    return found


def _is_told(found: Iterable[Outage], verb: str, machine: str, t: int) -> bool:
    same = [one for one in found if (one.verb, one.machine) == (verb, machine)]
    return any(t - one.t < ONCE_NS or (verb == "kill" and one.ended is None) for one in same)


def _faults(journal: Journal) -> Iterator[tuple[int, str, str, str]]:
    for entry in journal.entries:
        if entry.what == "fault":
            facts = facts_told(entry.value)
            yield entry.t, entry.key, entry.to, f"{entry.key} {entry.to}" + (f" ({facts})" if facts else "")
        elif entry.what in ("kill", "restart"):
            yield entry.t, entry.what, entry.to, f"{entry.what} {entry.to}"


def why_lost(flight: Flight, topology: Topology, outages: Sequence[Outage], drops: Iterable[Entry]) -> str:
    """What explains that a flight did not arrive; empty if nothing does, or if it arrived."""
    if flight.ended is not None:
        return ""
    if any(_is_drop(entry, flight) for entry in drops):
        return "a fault dropped it"
    at, peer = machine_behind(flight.at), machine_behind(flight.peer)
    parents = {machine.id: machine.parent for machine in topology.machines}
    links = {lower for lower, upper in ((at, peer), (peer, at)) if parents.get(lower) == upper}
    for one in outages:
        over = one.t <= flight.t and (one.ended is None or flight.t < one.ended)
        soon = flight.t < one.t < flight.t + ONCE_NS and one.verb == "kill"  # it was killed with it in its hands
        if one.machine == peer and one.verb in ("kill", "pause") and (over or soon):
            return f"{peer} was {one.state}" if over else f"{peer} was killed"
        if one.machine in links and one.verb in ("cut", "hold", "drop") and over:
            return f"the link of {one.machine} was {one.state}"
    return ""


def _is_drop(entry: Entry, flight: Flight) -> bool:
    value: Any = entry.value if isinstance(entry.value, dict) else {}
    is_it = entry.id in (flight.head.id, flight.head.about) and entry.sender == flight.at
    return is_it and value.get("to", flight.peer) == flight.peer and 0 <= entry.t - flight.t < ONCE_NS
