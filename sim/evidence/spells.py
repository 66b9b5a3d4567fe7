"""From when to when a machine was down or a link was cut, for the picture, and which frames that explains.

A link is named by the lower of its two machines. A kill and a restart may be written down twice: as the fault that
asked for it, and by whoever carried it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from sim.diagram.flights import Flight
from sim.diagram.model import Node
from sim.evidence.journal import Entry, Journal, fault_told
from sim.lab.names import machine_behind
from sim.lab.topology import Topology

__all__ = ["Spell", "spells_of", "why_lost"]

STATES = {  # what begins it: what it is then called, and what ends it
    "kill": ("down", {"restart"}),
    "pause": ("paused", {"resume", "kill", "restart", "healed"}),
    "cut": ("cut", {"heal", "healed"}),
    "hold": ("held", {"release", "healed"}),
    "shape": ("slow", {"shape", "heal", "healed"}),
    "drop": ("losing messages", {"drop", "heal", "healed"}),
    "duplicate": ("doubling messages", {"duplicate", "heal", "healed"}),
    "reset": ("reset", set[str]()),
}
SPOTS = {"kill": "killed", "restart": "restarted", "pause": "paused", "resume": "resumed"}
ONCE_NS = 2 * 10**8  # the same of the same machine within this was one fault, told by two


class Spell(Struct, kw_only=True):
    """One fault, until it was undone."""

    t: int
    machine: str
    verb: str
    part: str = "machine"  # of a machine: all of it, or its station or program alone
    way: str = "both"  # of a link: up is toward the terminal
    ended: int | None = None  # None: it never was
    ended_by: str = ""
    note: str = ""

    @property
    def link(self) -> bool:
        return self.verb not in SPOTS

    @property
    def state(self) -> str:
        """What the machine or the link was: down, paused, cut, …"""
        return STATES[self.verb][0] + ("" if self.way == "both" else f" {self.way}ward")

    @property
    def nodes(self) -> list[Node]:
        """The lines it lies on; a link's is that of its lower machine."""
        if self.link or self.part == "station":
            return [Node(self.machine)]
        return [Node(self.machine, True)] if self.part == "program" else [Node(self.machine), Node(self.machine, True)]

    def is_within(self, begin: int, end: int) -> bool:
        """Whether any of it was between these two."""
        return self.t <= end and (self.ended is None or self.ended >= begin)

    def covers(self, t: int) -> bool:
        """Whether it was on at `t`."""
        return self.t <= t and (self.ended is None or t < self.ended)

    def told(self) -> Iterator[tuple[int, str]]:
        """When what happened to the machine; what happens to a link is a bar and no more."""
        if not self.link:
            yield self.t, SPOTS[self.verb]
        if self.ended is not None and self.ended_by in ("restart", "resume"):
            yield self.ended, SPOTS[self.ended_by]


def spells_of(journal: Journal) -> list[Spell]:
    """All of a run, in the order in which they began."""
    found: list[Spell] = []
    for entry in journal.of("fault", "kill", "restart", "healed"):
        verb = entry.key if entry.what == "fault" else entry.what
        new = _spell(entry, verb)
        for one in found:
            if one.ended is None and one.t < entry.t and verb in STATES[one.verb][1] and _is_meant(one, new):
                one.ended, one.ended_by = entry.t, verb
        if verb in STATES and not any(_is_same(one, new) for one in found):
            found.append(new)
    return found


def _spell(entry: Entry, verb: str) -> Spell:
    facts: dict[str, Any] = entry.value if isinstance(entry.value, dict) else {}
    part = str(facts.get("what") or "machine") if entry.what == "fault" else "station"
    told = fault_told(entry)
    return Spell(
        t=entry.t,
        machine=entry.to,
        verb=verb,
        part=part,
        way=str(facts.get("way") or "both"),
        ended=entry.t if verb == "reset" else None,
        note=f"{verb} {entry.to}" + (f" ({told})" if told else ""),
    )


def _is_meant(one: Spell, by: Spell) -> bool:
    """Whether what ends some spells of a machine, or of all, ends this one."""
    if by.verb == "healed":
        return True
    is_there = one.part in (by.part, "machine") or by.part == "machine"
    return one.machine == by.machine and is_there and (by.way in ("both", one.way))


def _is_same(one: Spell, new: Spell) -> bool:
    if (one.verb, one.machine, one.way) != (new.verb, new.machine, new.way):
        return False
    is_down = new.verb == "kill" and one.ended is None and one.part in (new.part, "machine")
    return is_down or (new.t - one.t < ONCE_NS and one.part == new.part)


# -- what they explain -----------------------------------------------------------------------------------------------


def why_lost(flight: Flight, topology: Topology, spells: Sequence[Spell], drops: Iterable[Entry]) -> str:
    """What explains that a flight did not arrive; empty if nothing does, or if it arrived."""
    if flight.ended is not None:
        return ""
    if any(_is_drop(entry, flight) for entry in drops):
        return "a fault dropped it"
    reasons = (_why_on_link(flight, topology, one) if one.link else _why_at_end(flight, one) for one in spells)
    return next((reason for reason in reasons if reason), "")


def _why_at_end(flight: Flight, one: Spell) -> str:
    soon = one.verb == "kill" and flight.t < one.t < flight.t + ONCE_NS
    if _is_struck(flight.peer, one) and (soon or one.covers(flight.t)):
        return f"{flight.peer} was killed" if soon else f"{flight.peer} was {one.state}"
    return f"{flight.at} was killed as it sent it" if soon and _is_struck(flight.at, one) else ""


def _is_struck(name: str, one: Spell) -> bool:
    part = "station" if name == one.machine else "program"
    return machine_behind(name) == one.machine and one.part in (part, "machine") and not name.startswith("actor.")


def _why_on_link(flight: Flight, topology: Topology, one: Spell) -> str:
    parent = topology.machine(one.machine).parent
    ways = {"up": (one.machine, parent), "down": (parent, one.machine)}
    is_on = any((flight.at, flight.peer) == ends and one.way in ("both", way) for way, ends in ways.items())
    is_off = one.verb in ("cut", "hold") and one.covers(flight.t)
    return f"the link of {one.machine} was {one.state}" if is_on and is_off else ""


def _is_drop(entry: Entry, flight: Flight) -> bool:
    value: Any = entry.value if isinstance(entry.value, dict) else {}
    is_it = entry.id in (flight.head.id, flight.head.about) and entry.sender == flight.at
    return is_it and value.get("to", flight.peer) == flight.peer and 0 <= entry.t - flight.t < ONCE_NS
