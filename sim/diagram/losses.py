"""What faults did, for the picture: bars for what lasted, marks for what happened to machines, and lost frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from sim.diagram.flights import Flight
from sim.diagram.model import Lifeline
from sim.evidence.journal import Entry
from sim.evidence.outage import Outage
from sim.lab.names import process_of
from sim.lab.tree import Tree

__all__ = ["Spell", "spells_of", "why_lost"]

MARKS = {"kill": ("killed", "restarted"), "pause": ("paused", "resumed")}
ENDS = ("restart", "start", "resume")  # what puts a mark where it ends a spell of a machine
ONCE_NS = 2 * 10**8  # who is killed so soon after sending may have been killed before it had sent


class Spell(Struct, frozen=True):
    """An outage as the picture shows it: both directions of a link are one, if they began and ended together."""

    outage: Outage
    both_ways: bool = True

    @property
    def is_on_link(self) -> bool:
        return self.outage.kind == "link"

    @property
    def node(self) -> Lifeline:
        """The line it lies on; a link's is that of its lower machine."""
        return Lifeline(self.outage.machine, self.outage.kind == "program")

    @property
    def state(self) -> str:
        """What the machine or the link was: down, paused, cut upward, …"""
        return self.outage.state + ("" if self.both_ways else " upward" if self.outage.up else " downward")

    def is_within(self, begin: int, end: int) -> bool:
        """Whether any of it was between these two."""
        return self.outage.begins <= end and (self.outage.ends is None or self.outage.ends >= begin)

    def marks(self) -> Iterator[tuple[int, str]]:
        """When what happened to the machine, once for all of it. What happens to a link is a bar and no more."""
        outage = self.outage
        if outage.verb not in MARKS or (outage.kind == "program" and outage.what == "machine"):
            return
        began, ended = MARKS[outage.verb]
        yield outage.begins, began
        if outage.ends is not None and outage.ended_by in ENDS:
            yield outage.ends, ended


def spells_of(outages: Sequence[Outage]) -> list[Spell]:
    """All of a run, in the order in which they began."""
    spells = [Spell(outage) for outage in outages if outage.kind != "link"]
    on_links = sorted((outage for outage in outages if outage.kind == "link"), key=_together)
    for _, some in groupby(on_links, key=_together):
        directions = {outage.up: outage for outage in some}
        both = len(directions) == 2
        spells += [Spell(outage, both) for outage in list(directions.values())[: 1 if both else 2]]
    return sorted(spells, key=lambda one: (one.outage.begins, one.outage.machine, one.node.program))


def _together(outage: Outage) -> tuple[str, str, int, int]:
    return outage.machine, outage.verb, outage.begins, -1 if outage.ends is None else outage.ends


def why_lost(flight: Flight, tree: Tree, spells: Sequence[Spell], drops: Iterable[Entry]) -> str:
    """What explains that a flight did not arrive; empty if nothing does, or if it arrived."""
    if flight.ended is not None:
        return ""
    if any(_is_drop(entry, flight) for entry in drops):
        return "a fault dropped it"
    reasons = (_why_on_link(flight, tree, one) if one.is_on_link else _why_at_end(flight, one.outage) for one in spells)
    return next((reason for reason in reasons if reason), "")


def _why_at_end(flight: Flight, outage: Outage) -> str:
    soon = outage.verb == "kill" and flight.t < outage.begins < flight.t + ONCE_NS
    if _is_struck(flight.peer, outage) and (soon or outage.covers(flight.t)):
        return f"{flight.peer} was killed" if soon else f"{flight.peer} was {outage.state}"
    return f"{flight.at} was killed as it sent it" if soon and _is_struck(flight.at, outage) else ""


def _is_struck(name: str, outage: Outage) -> bool:
    return process_of(name) == (outage.kind, outage.machine)


def _why_on_link(flight: Flight, tree: Tree, one: Spell) -> str:
    link, up = tree.link(flight.at, flight.peer) or ("", True)
    is_on = link == one.outage.machine and (one.both_ways or up == one.outage.up)
    is_off = one.outage.verb in ("cut", "hold") and one.outage.covers(flight.t)
    return f"the link of {link} was {one.state}" if is_on and is_off else ""


def _is_drop(entry: Entry, flight: Flight) -> bool:
    value: Any = entry.value if isinstance(entry.value, dict) else {}
    is_it = entry.id in (flight.head.id, flight.head.about) and entry.sender == flight.at
    return is_it and value.get("to", flight.peer) == flight.peer and 0 <= entry.t - flight.t < ONCE_NS
