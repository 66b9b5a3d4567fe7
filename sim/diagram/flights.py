"""Makes flights from traces: which participant sent a frame to which neighbour, and when it arrived.

A trace tells what was sent, not what arrived. What the receiver did next shows that a frame arrived: it forwarded the
same bytes, delivered the message to its handler, answered, or noted the message as confirmed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.names import machine_of

__all__ = ["Flight", "Head", "Origins", "flights_of"]


class Head(Struct, frozen=True):
    """The head of a message. `about` is the id of the message that it confirms, or else its own id."""

    id: str
    to: str
    sender: str
    key: str
    about: str


class Flight(Struct, kw_only=True):
    """One frame from one participant to its neighbour."""

    t: int
    at: str
    peer: str
    head: Head
    digest: str
    nth: int = 0  # how many times the sender had sent the message before
    ended: int | None = None  # when the trace of its receiver shows that it has arrived
    quiet: bool = False  # it may have arrived without a trace, so no trace does not mean that it was lost

    @property
    def confirms(self) -> bool:
        return self.head.key == "CONFIRM"


def head_of(trace: Trace) -> Head | None:
    """The head of the message of a Transmit; None if its form is unknown."""
    if not trace.key:
        return None
    about = trace.value if trace.key == "CONFIRM" and trace.value else trace.id
    return Head(trace.id, trace.to, trace.sender, trace.key, about)


class Origins:
    """Maps the id of a relayed message to the id under which it began. Stations relay under ids of their own.

    A killed station counts from 0 again, so an id may be a different message in each of its lives.
    """

    def __init__(self, journal: Journal) -> None:
        self._lives: dict[str, list[_Life]] = defaultdict(list)
        for trace in journal.traces:
            head = head_of(trace) if trace.do == "Transmit" else None
            if head is None or head.sender != trace.at:
                continue
            lives = self._lives[head.id]
            if not lives or lives[-1].life != trace.life:
                lives.append(_Life(trace.t, trace.life))
            if trace.origin:
                lives[-1].first = trace.origin
        for entry in journal.entries:
            if entry.first:
                self._add_origin(entry)

    def root(self, id: str, t: int) -> str:
        """The id under which the message `id` at time `t` (ns) began. It is `id` if the message was not relayed."""
        return next((life.first for life in reversed(self._lives.get(id, ())) if life.begun <= t), "") or id

    def roots(self, id: str) -> list[str]:
        """The ids under which the messages called `id` began, one for each life of the sender."""
        return [life.first or id for life in self._lives.get(id, ())] or [id]

    def __contains__(self, id: str) -> bool:
        return id in self._lives

    def _add_origin(self, entry: Entry) -> None:
        """Take the origin from an entry of the handler. Traces lack it for a message with a long value."""
        lives = self._lives[entry.id]
        life = next((life for life in reversed(lives) if life.begun <= entry.t), None)
        if life is None:
            lives.insert(0, _Life(0, "", entry.first))
        else:
            life.first = entry.first


class _Life(Struct):
    """The message that an id stands for from `begun` on, in one life of its sender."""

    begun: int
    life: str
    first: str = ""


def flights_of(journal: Journal, is_shown: Callable[[str, int], bool]) -> list[Flight]:
    """The flights of the messages to show, and of their confirmations, in the order of time.

    `is_shown(id, t)` tells whether to show the message that has this id at time `t` (ns), since ids are used again.
    """
    found = []
    digests: dict[str, str] = {}
    for trace in journal.traces:
        head = head_of(trace) if trace.do == "Transmit" else None
        if head is not None and is_shown(head.about, trace.t):
            digests.setdefault(head.id, trace.digest)
            found.append(Flight(t=trace.t, at=trace.at, peer=trace.peer, head=head, digest=trace.digest))
    for entry in journal.of("made twice"):
        if is_shown(entry.id, entry.t):
            found += [_by_raw_peer(entry, digests) for _ in range(2)]
    found.sort(key=lambda flight: flight.t)
    _match_arrivals(found, _Reactions(journal, found, is_shown))
    _count(found)
    return found


def _by_raw_peer(entry: Entry, digests: dict[str, str]) -> Flight:
    """The flight from a raw peer to its station. A raw peer writes no trace, but its entry tells that it sent twice."""
    head = Head(entry.id, entry.to, entry.by, entry.key, entry.id)
    return Flight(t=entry.t, at=entry.by, peer=machine_of(entry.by), head=head, digest=digests.get(entry.id, ""))


class _Reactions:
    """What each participant did because a frame had arrived, by (participant, digest or message id)."""

    def __init__(self, journal: Journal, flights: Iterable[Flight], is_shown: Callable[[str, int], bool]) -> None:
        self.forwards: dict[tuple[str, str], list[Flight]] = defaultdict(list)
        self.answers: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.delivered: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.confirmed: dict[tuple[str, str], list[int]] = defaultdict(list)
        for flight in flights:
            self.forwards[flight.at, flight.digest].append(flight)
            if flight.confirms and flight.head.sender == flight.at:
                self.answers[flight.at, flight.head.about].append(flight.t)
        for trace in journal.traces:
            if trace.do in ("Deliver", "Confirmed") and is_shown(trace.id, trace.t):
                times = self.delivered if trace.do == "Deliver" else self.confirmed
                times[trace.at, trace.id].append(trace.t)


def _match_arrivals(flights: Sequence[Flight], reactions: _Reactions) -> None:
    """Set `ended` and `quiet` of each flight.

    Flights of the same bytes over the same link that were forwarded are matched together. So are the flights of one
    message that went no further: its repeats differ by a few bytes, and only one of them is handled.
    """
    ended: dict[tuple[str, str, str], list[Flight]] = defaultdict(list)
    passed: dict[tuple[str, str, str], list[Flight]] = defaultdict(list)
    for flight in flights:
        forwards = [forward for forward in reactions.forwards[flight.peer, flight.digest] if forward.peer != flight.at]
        if forwards and flight.peer != flight.head.sender:
            passed[flight.at, flight.peer, flight.digest].append(flight)
        else:
            ended[flight.peer, flight.head.about, flight.head.key].append(flight)
    for (at, peer, digest), group in passed.items():
        times = [forward.t for forward in reactions.forwards[peer, digest] if forward.peer != at]
        _assign_arrivals(group, times)
    for (peer, about, _), group in ended.items():
        delivered, answers = reactions.delivered[peer, about], reactions.answers[peer, about]
        if group[0].confirms:
            _assign_arrivals(group, reactions.confirmed[peer, about])
        else:
            _assign_arrivals(group, delivered, answers)
        for flight in group:
            is_read = flight.confirms and flight.head.to == peer
            flight.quiet = flight.ended is None and (is_read or peer.startswith("actor."))


def _assign_arrivals(flights: Sequence[Flight], times: Sequence[int], answers: Sequence[int] = ()) -> None:
    """Set `ended` of each flight, from the `times` of reactions to their arrival, and of `answers`.

    The first reaction after a flight was sent, and before the next was, is to that flight. The other reactions are to
    earlier flights, which were delayed. Each delivery also causes one answer, so as many answers as there are `times`
    do not count. No flight overtakes another.
    """
    sent = [flight.t for flight in flights]
    came: dict[int, int] = {}
    others: list[tuple[int, bool]] = []
    for t, is_answer in sorted([*((t, False) for t in times), *((t, True) for t in answers)]):
        last = bisect_right(sent, t) - 1
        if last >= 0 and last not in came:
            came[last] = t
        elif last >= 0:
            others.append((t, is_answer))
    late = [t for t, is_answer in others if not is_answer] + [t for t, is_answer in others if is_answer][len(times) :]
    for t in late:
        waiting = [n for n in range(bisect_right(sent, t)) if n not in came]
        if waiting:
            came[waiting[-1]] = t
    assigned: Counter[int] = Counter()
    for n, t in zip(sorted(came), sorted(came.values()), strict=True):
        first = bisect_left(sent, sent[n])  # of flights sent at the same time, the first arrives first
        flights[first + assigned[first]].ended = t
        assigned[first] += 1


def _count(flights: Sequence[Flight]) -> None:
    """Set `nth` of each flight. A forwarded frame has the number of the flight that brought it."""
    begun: dict[str, int] = defaultdict(int)
    came: dict[tuple[str, str, int], int] = {}  # (receiver, digest, time of arrival) -> nth
    for flight in flights:
        before = came.get((flight.at, flight.digest, flight.t))
        if before is None:
            before = begun[flight.head.id]
            begun[flight.head.id] += 1
        flight.nth = before
        if flight.ended is not None:
            came[flight.peer, flight.digest, flight.ended] = flight.nth
