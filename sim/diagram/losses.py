"""Faults in the diagram: bars for outages, marks for kills and pauses, and the reasons why frames were lost."""

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

__all__ = ["DrawnOutage", "drawn_outages", "why_lost"]

MARKS = {"kill": ("killed", "restarted"), "pause": ("paused", "resumed")}
ENDS = ("restart", "start", "resume")  # the outage of a machine has a mark at its end if one of these ended it
ONCE_NS = 2 * 10**8  # a process that is killed so soon after a Transmit may not have sent the frame


class DrawnOutage(Struct, frozen=True):
    """An outage as the diagram shows it. The outages of both directions of a link are one if their times are equal."""

    outage: Outage
    both_ways: bool = True

    @property
    def is_on_link(self) -> bool:
        return self.outage.kind == "link"

    @property
    def node(self) -> Lifeline:
        """The lifeline of the outage. That of a link is the one of its lower machine."""
        return Lifeline(self.outage.machine, self.outage.kind == "program")

    @property
    def state(self) -> str:
        """The state during the outage: down, paused, cut upward, …"""
        return self.outage.state + ("" if self.both_ways else " upward" if self.outage.up else " downward")

    def is_within(self, begin: int, end: int) -> bool:
        """Whether the outage overlaps the span from `begin` to `end` (ns)."""
        return self.outage.begins <= end and (self.outage.ends is None or self.outage.ends >= begin)

    def marks(self) -> Iterator[tuple[int, str]]:
        """The times (ns) and texts of the marks. A fault of a whole machine has marks on the station's line only."""
        outage = self.outage
        if outage.verb not in MARKS or (outage.kind == "program" and outage.what == "machine"):
            return
        began, ended = MARKS[outage.verb]
        yield outage.begins, began
        if outage.ends is not None and outage.ended_by in ENDS:
            yield outage.ends, ended


def drawn_outages(outages: Sequence[Outage]) -> list[DrawnOutage]:
    """The outages to draw, in the order in which they began."""
    drawn = [DrawnOutage(outage) for outage in outages if outage.kind != "link"]
    on_links = sorted((outage for outage in outages if outage.kind == "link"), key=_together)
    for _, group in groupby(on_links, key=_together):
        directions = {outage.up: outage for outage in group}
        both = len(directions) == 2
        drawn += [DrawnOutage(outage, both) for outage in list(directions.values())[: 1 if both else 2]]
    return sorted(drawn, key=lambda item: (item.outage.begins, item.outage.machine, item.node.program))


def _together(outage: Outage) -> tuple[str, str, int, int]:
    return outage.machine, outage.verb, outage.begins, -1 if outage.ends is None else outage.ends


def why_lost(flight: Flight, tree: Tree, drawn:  Sequence[DrawnOutage], drops: Iterable[Entry]) -> str:
    """Why a flight did not arrive. Empty if it arrived, or if no fault explains it."""
    if flight.ended is not None:
        return ""
    if any(_is_drop(entry, flight) for entry in drops):
        return "a fault dropped it"
    reasons = (_why_on_link(flight, tree, it) if it.is_on_link else _why_at_end(flight, it.outage) for it in drawn)
    return next((reason for reason in reasons if reason), "")


def _why_at_end(flight: Flight, outage: Outage) -> str:
    soon = outage.verb == "kill" and flight.t < outage.begins < flight.t + ONCE_NS
    if _is_struck(flight.peer, outage) and (soon or outage.covers(flight.t)):
        return f"{flight.peer} was killed" if soon else f"{flight.peer} was {outage.state}"
    return f"{flight.at} was killed as it sent it" if soon and _is_struck(flight.at, outage) else ""


def _is_struck(name: str, outage: Outage) -> bool:
    return process_of(name) == (outage.kind, outage.machine)


def _why_on_link(flight: Flight, tree: Tree, drawn: DrawnOutage) -> str:
    link, up = tree.link(flight.at, flight.peer) or ("", True)
    is_on = link == drawn.outage.machine and (drawn.both_ways or up == drawn.outage.up)
    is_off = drawn.outage.verb in ("cut", "hold") and drawn.outage.covers(flight.t)
    return f"the link of {link} was {drawn.state}" if is_on and is_off else ""


def _is_drop(entry: Entry, flight: Flight) -> bool:
    value: Any = entry.value if isinstance(entry.value, dict) else {}
    is_it = entry.id in (flight.head.id, flight.head.about) and entry.sender == flight.at
    return is_it and value.get("to", flight.peer) == flight.peer and 0 <= entry.t - flight.t < ONCE_NS
