"""Journal -> the diagram of what went wrong: where each thing of the story stands on the picture.

Whose story it is, is in `selection.py`; what crossed which link in `flights.py`, what faults did in `losses.py`, the
axis in `timescale.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sim.diagram.flights import Flight
from sim.diagram.losses import Spell, spells_of, why_lost
from sim.diagram.model import Arrow, Bar, Diagram, Lifeline, MachineLine, MessageRow, Spot
from sim.diagram.selection import Story, StoryEvent, events_of, outcome_of, story_of
from sim.diagram.timescale import Scale
from sim.evidence.index import Evidence
from sim.evidence.journal import Journal
from sim.evidence.outages import Outages
from sim.evidence.violation import Violation
from sim.lab.topology import Topology

__all__ = ["diagram_of"]

CHANGED_NOTHING = "it changed nothing there, so that its arrival left no trace"


def diagram_of(evidence: Evidence | Journal, topology: Topology, violations: Sequence[Violation]) -> Diagram | None:
    """The picture of the messages of `violations`, or else of what did not go well; None if there is none to draw."""
    journal = evidence.journal if isinstance(evidence, Evidence) else evidence
    story = story_of(journal, topology, violations)
    if story is None:
        return None
    events = list(events_of(story))
    return _Picture(story, events).drawn() if story.flights or any(event.id for event in events) else None


class _Picture:
    """Everything of a story at its place."""

    def __init__(self, story: Story, events: list[StoryEvent]) -> None:
        self.story = story
        begin, end = story.span
        self.zero = min((entry.t for entry in story.journal.entries), default=begin)
        self.machines = _machines(story, [event.by for event in events if event.id])
        self.events = [event for event in events if begin <= event.t <= end and self._shows(event)]
        spells = spells_of(Outages(story.journal.entries, story.topology).every)
        self.spells = [one for one in spells if one.node.machine in self.machines and one.is_within(begin, end)]
        drops = [one for one in story.journal.of("frame") if one.key == "drop"]
        self.lost = {id(flight): why_lost(flight, story.tree, spells, drops) for flight in story.flights}
        struck = [t for one in self.spells for t in (one.outage.begins, one.outage.ends) if t is not None]
        self.scale = Scale(
            [t for flight in story.flights for t in (flight.t, flight.ended)]
            + [event.t for event in self.events]
            + [t for t in struck if begin <= t <= end],
            flying=[flight.ended - flight.t for flight in story.flights if flight.ended is not None],
        )

    def drawn(self) -> Diagram:
        """The picture."""
        arrows = [self._arrow(flight) for flight in self.story.flights]
        spots = [self._spot(event) for event in self.events]
        spots += [self._fault(one, t, what) for one in self.spells for t, what in one.marks() if self.scale.has(t)]
        spots.sort(key=lambda spot: (spot.x, spot.on.machine, spot.what))
        with_programs = {node.machine for arrow in arrows for node in (arrow.frm, arrow.to) if node.program}
        with_programs |= {spot.on.machine for spot in spots if spot.on.program}
        bars = [bar for one in self.spells for bar in self._bars(one, with_programs)]
        lines = [
            MachineLine(machine=m.id, parent=m.parent, programs=m.id in with_programs)
            for m in map(self.story.topology.machine, self.story.tree.depth_first())
            if m.id in self.machines
        ]
        return Diagram(
            width=self.scale.width,
            begins_s=self._seconds(self.scale.begins),
            lines=lines,
            messages=[self._told(root) for root in self.story.roots],
            arrows=arrows,
            spots=spots,
            bars=bars,
            cuts=self.scale.cuts(self.zero),
            left_out=self.story.left_out,
            arrows_left_out=self.story.arrows_left_out,
        )

    def _shows(self, event: StoryEvent) -> bool:
        node = self.story.node(event.by)
        return node is not None and node.machine in self.machines

    def _seconds(self, t: int) -> float:
        return round((t - self.zero) / 1e9, 6)

    def _node(self, name: str) -> Lifeline:
        return self.story.node(name) or Lifeline(self.story.topology.terminal.id)

    def _arrow(self, flight: Flight) -> Arrow:
        x0 = self.scale.place(flight.t)
        came = flight.ended is not None
        why = self.lost[id(flight)]
        lost = not came and (bool(why) or not flight.quiet)
        return Arrow(
            frm=self._node(flight.at),
            to=self._node(flight.peer),
            x0=x0,
            x1=self.scale.place(flight.ended) if flight.ended is not None else round(x0 + 1, 3),
            at_s=self._seconds(flight.t),
            message=self.story.number(flight.head.about, flight.t),
            confirm=flight.confirms,
            again=flight.nth,
            end="arrived" if came else "lost" if lost else "quiet",
            note=self._flight_note(flight, why),
        )

    def _flight_note(self, flight: Flight, why: str) -> str:
        head = flight.head
        what = f"{head.key} {head.id} from {head.sender} to {head.to}"
        what = f"CONFIRM of {head.about} from {head.sender}" if flight.confirms else what
        again = f", time {flight.nth + 1}" if flight.nth else ""
        if flight.ended is not None:
            came = f"seen there after {(flight.ended - flight.t) / 1e6:,.2f} ms"
        elif flight.quiet and not why:
            came = "what comes there is not written down" if flight.peer.startswith("actor.") else CHANGED_NOTHING
        else:
            came = f"it did not arrive: {why}" if why else f"no trace of it at {flight.peer}"
        return f"{what}{again}: {flight.at} → {flight.peer}; {came}"

    def _spot(self, event: StoryEvent) -> Spot:
        return Spot(
            on=self._node(event.by),
            x=self.scale.place(event.t),
            at_s=self._seconds(event.t),
            what=event.what,
            message=self.story.number(event.id, event.t) if event.id else 0,
            note=event.note,
        )

    def _fault(self, one: Spell, t: int, what: str) -> Spot:
        return Spot(on=one.node, x=self.scale.place(t), at_s=self._seconds(t), what=what, note=one.outage.words)

    def _bars(self, one: Spell, with_programs: set[str]) -> Iterator[Bar]:
        if one.node.program and one.node.machine not in with_programs:
            return
        outage = one.outage
        x0 = self.scale.place(outage.begins)
        x1 = self.scale.width if outage.ends is None else self.scale.place(outage.ends)
        yield Bar(on=one.node, link=one.is_on_link, x0=x0, x1=x1, what=one.state, note=outage.words)

    def _told(self, root: str) -> MessageRow:
        made = next((entry for entry in self.story.journal.of("made", "made twice") if entry.id == root), None)
        head = next((flight.head for flight in self.story.flights if flight.head.id == root), None)
        number = self.story.numbers[root]
        facts: Any = made or head
        key, to = (facts.key, facts.to) if facts else ("", "")
        events = [event for event in self.events if event.id and self.story.number(event.id, event.t) == number]
        outcome = outcome_of(self.story, root, key, events)
        sender = made.by if made else head.sender if head else ""
        return MessageRow(id=root, key=key, frm=sender, to=to, outcome=outcome)


def _machines(story: Story, names: Iterable[str]) -> set[str]:
    """Those that take part, and those on the way between them, in the tree."""
    names = [*names, *(name for f in story.flights for name in (f.at, f.peer, f.head.sender, f.head.to))]
    taking = {machine for name in names if (machine := story.tree.machine_of(name)) is not None}
    paths = [story.tree.upward(machine) for machine in taking]
    shared = set.intersection(*map(set, paths)) if paths else set()
    top = max(shared, key=story.tree.depth, default=None)
    return {one for path in paths for one in path if one not in shared or one == top}
