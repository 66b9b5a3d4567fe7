"""Makes the diagram of what broke from the journal: the arrows, marks and bars, each with its place.

`selection.py` chooses the messages. `flights.py` has the frames, `losses.py` the faults, `timescale.py` the axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sim.diagram.flights import Flight
from sim.diagram.losses import DrawnOutage, drawn_outages, why_lost
from sim.diagram.model import Arrow, Bar, Diagram, Lifeline, MachineLine, MessageRow, Spot
from sim.diagram.selection import Story, StoryEvent, events_of, outcome_of, story_of
from sim.diagram.timescale import Scale
from sim.evidence.index import Evidence
from sim.evidence.journal import Journal
from sim.evidence.outages import Outages
from sim.evidence.violation import Violation
from sim.lab.names import in_plain_words
from sim.lab.topology import Topology

__all__ = ["diagram_of"]

CHANGED_NOTHING = "it changed nothing there, so that its arrival left no trace"


def diagram_of(evidence: Evidence | Journal, topology: Topology, violations: Sequence[Violation]) -> Diagram | None:
    """The diagram of the messages of `violations`. If they name none, of those that `selection.py` chooses.

    Returns None if there is nothing to draw. Times are from the journal.
    """
    journal = evidence.journal if isinstance(evidence, Evidence) else evidence
    story = story_of(journal, topology, violations)
    if story is None:
        return None
    events = list(events_of(story))
    return _Picture(story, events).diagram() if story.flights or any(event.id for event in events) else None


class _Picture:
    """Places everything of a story."""

    def __init__(self, story: Story, events: list[StoryEvent]) -> None:
        self.story = story
        begin, end = story.span
        self.zero = min((entry.t for entry in story.journal.entries), default=begin)
        self.machines = _machines(story, [event.by for event in events if event.id])
        self.events = [event for event in events if begin <= event.t <= end and self._shows(event)]
        outages = drawn_outages(Outages(story.journal.entries, story.topology).every)
        self.outages = [it for it in outages if it.node.machine in self.machines and it.is_within(begin, end)]
        drops = [entry for entry in story.journal.of("frame") if entry.key == "drop"]
        self.lost = {id(flight): why_lost(flight, story.tree, outages, drops) for flight in story.flights}
        struck = [t for drawn in self.outages for t in (drawn.outage.begins, drawn.outage.ends) if t is not None]
        self.scale = Scale(
            [t for flight in story.flights for t in (flight.t, flight.ended)]
            + [event.t for event in self.events]
            + [t for t in struck if begin <= t <= end],
            flying=[flight.ended - flight.t for flight in story.flights if flight.ended is not None],
        )

    def diagram(self) -> Diagram:
        """The complete diagram."""
        arrows = [self._arrow(flight) for flight in self.story.flights]
        spots = [self._spot(event) for event in self.events]
        spots += [self._fault(it, t, what) for it in self.outages for t, what in it.marks() if self.scale.has(t)]
        spots.sort(key=lambda spot: (spot.x, spot.on.machine, spot.what))
        with_programs = {node.machine for arrow in arrows for node in (arrow.frm, arrow.to) if node.program}
        with_programs |= {spot.on.machine for spot in spots if spot.on.program}
        bars = [bar for drawn in self.outages for bar in self._bars(drawn, with_programs)]
        lines = [
            MachineLine(machine=m.id, parent=m.parent, programs=m.id in with_programs)
            for m in map(self.story.topology.machine, self.story.tree.depth_first())
            if m.id in self.machines
        ]
        return Diagram(
            width=self.scale.width,
            begins_s=self._seconds(self.scale.begins),
            lines=lines,
            messages=[self._message_row(root) for root in self.story.roots],
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
        has_arrived = flight.ended is not None
        why = self.lost[id(flight)]
        is_lost = not has_arrived and (bool(why) or not flight.quiet)
        return Arrow(
            frm=self._node(flight.at),
            to=self._node(flight.peer),
            x0=x0,
            x1=self.scale.place(flight.ended) if flight.ended is not None else round(x0 + 1, 3),
            at_s=self._seconds(flight.t),
            message=self.story.number(flight.head.about, flight.t),
            confirm=flight.confirms,
            again=flight.nth,
            end="arrived" if has_arrived else "lost" if is_lost else "quiet",
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

    def _fault(self, drawn: DrawnOutage, t: int, what: str) -> Spot:
        return Spot(on=drawn.node, x=self.scale.place(t), at_s=self._seconds(t), what=what, note=drawn.outage.words)

    def _bars(self, drawn: DrawnOutage, with_programs: set[str]) -> Iterator[Bar]:
        if drawn.node.program and drawn.node.machine not in with_programs:
            return
        outage = drawn.outage
        x0 = self.scale.place(outage.begins)
        x1 = self.scale.width if outage.ends is None else self.scale.place(outage.ends)
        yield Bar(on=drawn.node, link=drawn.is_on_link, x0=x0, x1=x1, what=drawn.state, note=outage.words)

    def _message_row(self, root: str) -> MessageRow:
        made = next((entry for entry in self.story.journal.of("made", "made twice") if entry.id == root), None)
        head = next((flight.head for flight in self.story.flights if flight.head.id == root), None)
        number = self.story.numbers[root]
        facts: Any = made or head
        key, to = (facts.key, facts.to) if facts else ("", "")
        events = [event for event in self.events if event.id and self.story.number(event.id, event.t) == number]
        outcome = outcome_of(self.story, root, key, events)
        sender = made.by if made else head.sender if head else ""
        return MessageRow(
            id=root, key=key, frm=in_plain_words(sender), to=in_plain_words(to), outcome=in_plain_words(outcome)
        )


def _machines(story: Story, names: Iterable[str]) -> set[str]:
    """The machines that send or receive in a story, and those on the paths between them."""
    names = [*names, *(name for f in story.flights for name in (f.at, f.peer, f.head.sender, f.head.to))]
    ends = {machine for name in names if (machine := story.tree.machine_of(name)) is not None}
    paths = [story.tree.upward(machine) for machine in ends]
    shared = set.intersection(*map(set, paths)) if paths else set()
    top = max(shared, key=story.tree.depth, default=None)
    return {machine for path in paths for machine in path if machine not in shared or machine == top}
