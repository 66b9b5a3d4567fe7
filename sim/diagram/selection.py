"""Chooses the messages of the diagram, and collects their flights and events. Together these are a story.

They are the messages that the violations name. If those name none, they are the storm messages, orders and trials that
went wrong; and if none did, all of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from sim.diagram.flights import Flight, Origins, flights_of
from sim.diagram.model import Lifeline
from sim.evidence.journal import Entry, Journal, Trace, raised
from sim.evidence.violation import Violation
from sim.lab.topology import Topology
from sim.lab.tree import Tree

__all__ = ["StoryEvent", "Story", "events_of", "outcome_of", "story_of"]

MOST_ARROWS = 60
MOST_DROPS = 20
SHOWN = ("STORM", "CRASH", "START", "STOP", "DATA")
HANDLED = ("handled", "state", "cohere", "shook")  # the entries of messages that programs handled
WRITTEN = (*SHOWN, "STATE", "COHERE", "HANDSHAKE")
MARGIN_NS = 10**9  # how long before the first flight and after the last a story lasts


class StoryEvent(Struct, kw_only=True):
    """An event that becomes a mark. It has no place yet."""

    t: int
    by: str
    what: str
    id: str = ""
    note: str = ""


class Story(Struct, kw_only=True):
    """The messages to show, by the ids under which they began (`roots`), and all about them."""

    topology: Topology
    tree: Tree
    journal: Journal
    roots: list[str]
    origins: Origins
    flights: list[Flight] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # root -> its number, from 1
    left_out: int = 0
    arrows_left_out: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last time of the story (ns), with a margin."""
        times = [flight.t for flight in self.flights]
        times += [e.t for e in self.journal.entries if e.id and e.what != "made" and self.number(e.first or e.id, e.t)]
        return min(times, default=0) - MARGIN_NS, max(times, default=0) + MARGIN_NS

    def number(self, id: str, t: int) -> int:
        """The number of the message that had this id, or a relayed id, at `t` (ns). 0 if it is not shown."""
        return self.numbers.get(self.origins.root(id, t), 0)

    def node(self, name: str) -> Lifeline | None:
        """The line of a participant; None if it is on no machine of the lab."""
        machine = self.tree.machine_of(name)
        return None if machine is None else Lifeline(machine, name != machine)


# -- the messages ---------------------------------------------------------------------------------------------------


def story_of(journal: Journal, topology: Topology, violations: Sequence[Violation]) -> Story | None:
    """The story of the messages that `violations` are about. None if no message was ever made."""
    origins = Origins(journal)
    made = {entry.id: entry for entry in journal.of("made", "made twice")}
    named = [id for violation in violations for id in violation.messages]
    found = [[id] if id in made else origins.roots(id) for id in named if id in made or id in origins]
    roots = list(dict.fromkeys(root for ids in found for root in ids))
    if not roots:
        shown = [id for id, entry in made.items() if entry.key in SHOWN]
        well = _went_well(journal)
        roots = [id for id in shown if id not in well] or shown
    if not roots:
        return None
    story = Story(topology=topology, tree=Tree(topology), journal=journal, roots=roots, origins=origins)
    story.numbers = {root: n for n, root in enumerate(roots, 1)}
    story.flights = flights_of(journal, lambda id, t: bool(story.number(id, t)))
    _make_room(story)
    return story


def _went_well(journal: Journal) -> set[str]:
    """The ids of messages that were handled once, and confirmed if their sender asked for it."""
    handled = Counter(entry.first or entry.id for entry in journal.of("handled"))
    confirmed = {entry.id for entry in journal.of("settled") if entry.value == "confirmed"}
    made = journal.of("made", "made twice")
    return {entry.id for entry in made if handled[entry.id] == 1 and (entry.id in confirmed or not _asks(entry))}


def _asks(made: Entry) -> bool:
    return made.sought or made.what == "made twice"


def _make_room(story: Story) -> None:
    """Keep as many messages as there is room for, and number them in the order of sending.

    If the first message alone has too many arrows, keep its first arrows.
    """
    counts = Counter(story.number(flight.head.about, flight.t) for flight in story.flights)
    kept, total = 0, 0
    while kept < len(story.roots) and (total + counts[kept + 1] <= MOST_ARROWS or not kept):
        kept += 1
        total += counts[kept]
    story.left_out = len(story.roots) - kept
    firsts: dict[int, int] = {}
    for flight in story.flights:
        firsts.setdefault(story.number(flight.head.about, flight.t), flight.t)
    story.roots = sorted(story.roots[:kept], key=lambda root: firsts.get(story.numbers[root], 0))
    story.numbers = {root: n for n, root in enumerate(story.roots, 1)}
    flights = [flight for flight in story.flights if story.number(flight.head.about, flight.t)]
    story.flights, story.arrows_left_out = flights[:MOST_ARROWS], max(0, len(flights) - MOST_ARROWS)


# -- the events ---------------------------------------------------------------------------------------------------


def events_of(story: Story) -> Iterator[StoryEvent]:
    """The events of the messages of a story, and all exceptions, in no order."""
    yield from _handled(story)
    for flight in story.flights:
        if flight.nth and flight.at == flight.head.sender and not flight.confirms:
            note = f"{flight.head.id} is sent again, time {flight.nth + 1}"
            yield StoryEvent(t=flight.t, by=flight.at, what="repeated", id=flight.head.id, note=note)
    for trace in story.journal.traces:
        if trace.do in ("Confirmed", "Expired") and (number := story.number(trace.id, trace.t)):
            note = f"{trace.id} to {trace.to}" + (f": {trace.reason}" if trace.reason else "")
            if trace.do == "Expired" or trace.id == story.roots[number - 1]:
                yield StoryEvent(t=trace.t, by=trace.at, what=trace.do.lower(), id=trace.id, note=note)
    yield from _drops(story)
    yield from _exceptions(story)


def _handled(story: Story) -> Iterator[StoryEvent]:
    lives: Counter[tuple[str, int, str]] = Counter()
    for entry in story.journal.entries:
        id = entry.first or entry.id
        if entry.what in (*HANDLED, "began") and story.number(id, entry.t):
            what = "began" if entry.what == "began" else _handling(entry, lives[entry.by, entry.life, id])
            lives[entry.by, entry.life, id] += entry.what != "began"
            yield StoryEvent(t=entry.t, by=entry.by, what=what, id=id, note=_note(entry))
        elif entry.what == "settled" and entry.by.startswith("actor.") and story.number(entry.id, entry.t):
            what = "confirmed" if entry.value == "confirmed" else "expired"
            yield StoryEvent(t=entry.t, by=entry.by, what=what, id=entry.id, note=str(entry.value))


def _handling(entry: Entry, before: int) -> str:
    return "handled again" if before else "redelivered" if entry.redelivered else "handled"


def _note(entry: Entry) -> str:
    relayed = f", relayed as {entry.id}" if entry.first else ""
    return f"{entry.key} {entry.first or entry.id} by {entry.by}{relayed}"


def _drops(story: Story) -> Iterator[StoryEvent]:
    """The messages that endpoints dropped for a recipient of the story. A trace of a drop has no message id."""
    ends = {flight.head.to for flight in story.flights}
    begin, end = story.span
    drops = [trace for trace in story.journal.traces if trace.do == "Dropped" and trace.recipient in ends]
    for trace in [trace for trace in drops if begin <= trace.t <= end][:MOST_DROPS]:
        yield StoryEvent(t=trace.t, by=trace.at, what="dropped", note=_dropped(trace))


def _dropped(trace: Trace) -> str:
    count = f"{trace.count} " if trace.count > 1 else ""
    return f"{count}for {trace.recipient}, neighbour {trace.peer or 'none'}: {trace.reason}"


def _exceptions(story: Story) -> Iterator[StoryEvent]:
    shown: set[tuple[str, str]] = set()
    for entry in story.journal.of("exception"):
        error = raised(entry)
        if (error["machine"], error["exception"]) not in shown:
            shown.add((error["machine"], error["exception"]))
            yield StoryEvent(t=entry.t, by="_" + error["machine"], what="raised", note=error["exception"][:200])


def outcome_of(story: Story, root: str, key: str, events: Sequence[StoryEvent]) -> str:
    """How a message ended, in words, from its events."""
    handlers = Counter(event.by for event in events if event.what in ("handled", "handled again", "redelivered"))
    parts = [f"handled by {name}" + (f" {n} times" if n > 1 else "") for name, n in handlers.items()]
    parts = parts or ["never handled" if key in WRITTEN else "whether it was handled was not written down"]
    times = 1 + max((flight.nth for flight in story.flights if flight.head.id == root), default=0)
    parts += [f"sent {times} times"] if times > 1 else []
    ends = {event.what: event for event in events if event.what in ("confirmed", "expired")}
    if "confirmed" in ends:
        parts.append("confirmed")
    elif "expired" in ends:
        parts.append(f"given up: {ends['expired'].note}")
    else:
        parts.append("not confirmed")
    return ", ".join(parts)
