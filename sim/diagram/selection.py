"""Whose story is told: the messages of it, what crossed which link, and what happened to them.

It is that of the messages that violations name; if they name none, of those that did not go well, else of those of
storms and trials.
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
HANDLED = ("handled", "state", "cohere", "shook")  # what programs write down of those that they handled
WRITTEN = (*SHOWN, "STATE", "COHERE", "HANDSHAKE")
MARGIN_NS = 10**9  # what was so long before the story, or after it, is part of it


class StoryEvent(Struct, kw_only=True):
    """A mark, before it has a place."""

    t: int
    by: str
    what: str
    id: str = ""
    note: str = ""


class Story(Struct, kw_only=True):
    """What is told: messages by the id under which they began, and everything about them."""

    topology: Topology
    tree: Tree
    journal: Journal
    roots: list[str]
    origins: Origins
    flights: list[Flight] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # of the roots that are told, from 1
    left_out: int = 0
    arrows_left_out: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """From when to when it goes, with a margin."""
        times = [flight.t for flight in self.flights]
        times += [e.t for e in self.journal.entries if e.id and e.what != "made" and self.number(e.first or e.id, e.t)]
        return min(times, default=0) - MARGIN_NS, max(times, default=0) + MARGIN_NS

    def number(self, id: str, t: int) -> int:
        """The number of the message that `id` was at `t`, or was relayed from; 0 if it is not told."""
        return self.numbers.get(self.origins.root(id, t), 0)

    def node(self, name: str) -> Lifeline | None:
        """Where a participant is; None of somebody who is on no machine."""
        machine = self.tree.machine_of(name)
        return None if machine is None else Lifeline(machine, name != machine)


# -- whose story -----------------------------------------------------------------------------------------------------


def story_of(journal: Journal, topology: Topology, violations: Sequence[Violation]) -> Story | None:
    """The story of the messages that these are about; None if no message was ever made."""
    origins = Origins(journal)
    made = {entry.id: entry for entry in journal.of("made", "made twice")}
    named = [id for violation in violations for id in violation.messages]
    found = [[id] if id in made else origins.roots(id) for id in named if id in made or id in origins]
    roots = list(dict.fromkeys(root for some in found for root in some))
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
    """The messages that were handled once, and confirmed if that was asked for."""
    handled = Counter(entry.first or entry.id for entry in journal.of("handled"))
    confirmed = {entry.id for entry in journal.of("settled") if entry.value == "confirmed"}
    made = journal.of("made", "made twice")
    return {one.id for one in made if handled[one.id] == 1 and (one.id in confirmed or not _asks(one))}


def _asks(made: Entry) -> bool:
    return made.sought or made.what == "made twice"


def _make_room(story: Story) -> None:
    """Keep the first messages, as many as there is room for, and number them as they were sent.

    Of one that alone has too many arrows, keep the first.
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


# -- what happened in it --------------------------------------------------------------------------------------------


def events_of(story: Story) -> Iterator[StoryEvent]:
    """What happened to the messages of a story, and the exceptions there were; in no order."""
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
    """What endpoints dropped for somebody of the story: a drop does not say which message it was."""
    ends = {flight.head.to for flight in story.flights}
    begin, end = story.span
    drops = [one for one in story.journal.traces if one.do == "Dropped" and one.recipient in ends]
    for trace in [one for one in drops if begin <= one.t <= end][:MOST_DROPS]:
        yield StoryEvent(t=trace.t, by=trace.at, what="dropped", note=_dropped(trace))


def _dropped(trace: Trace) -> str:
    count = f"{trace.count} " if trace.count > 1 else ""
    return f"{count}for {trace.recipient}, neighbour {trace.peer or 'none'}: {trace.reason}"


def _exceptions(story: Story) -> Iterator[StoryEvent]:
    told: set[tuple[str, str]] = set()
    for entry in story.journal.of("exception"):
        said = raised(entry)
        if (said["machine"], said["exception"]) not in told:
            told.add((said["machine"], said["exception"]))
            yield StoryEvent(t=entry.t, by="_" + said["machine"], what="raised", note=said["exception"][:200])


def outcome_of(story: Story, root: str, key: str, events: Sequence[StoryEvent]) -> str:
    """What became of a message, in words, by its events."""
    by = Counter(event.by for event in events if event.what in ("handled", "handled again", "redelivered"))
    parts = [f"handled by {name}" + (f" {n} times" if n > 1 else "") for name, n in by.items()]
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
