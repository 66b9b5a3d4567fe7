"""Traces -> flights: which frame went from whom to whom when, and when it was seen to have come.

A trace says what was sent, not what came in. That a frame came is known by what its reader did next: it sent the same
bytes on, it handed the message to its handler, it answered, or it took it for confirmed.
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
    """What the head of a message tells. `about` is the id it is about: its own, or the one that it confirms."""

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
    nth: int = 0  # so many times it had left its sender before
    ended: int | None = None  # when it was seen to have come
    quiet: bool = False  # nothing need have come of it, so that nothing is known if nothing has

    @property
    def confirms(self) -> bool:
        return self.head.key == "CONFIRM"


def head_of(trace: Trace) -> Head | None:
    """What the trace tells of the message; None if it is no message of a known form."""
    if not trace.key:
        return None
    about = trace.value if trace.key == "CONFIRM" and trace.value else trace.id
    return Head(trace.id, trace.to, trace.sender, trace.key, about)


class Origins:
    """Of what stations relay under ids of their own: the id under which it began.

    A station that was killed counts from 0 again, so that an id means another message in each of its lives.
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
                self._known(entry)

    def root(self, id: str, t: int) -> str:
        """The id under which what was called `id` at `t` began: its own, if it was not relayed."""
        return next((one.first for one in reversed(self._lives.get(id, ())) if one.begun <= t), "") or id

    def roots(self, id: str) -> list[str]:
        """The same, whenever that was."""
        return [one.first or id for one in self._lives.get(id, ())] or [id]

    def __contains__(self, id: str) -> bool:
        return id in self._lives

    def _known(self, entry: Entry) -> None:
        """The head of a trace does not reach beyond a long value; whoever handled it knows all of it."""
        lives = self._lives[entry.id]
        one = next((one for one in reversed(lives) if one.begun <= entry.t), None)
        if one is None:
            lives.insert(0, _Life(0, "", entry.first))
        else:
            one.first = entry.first


class _Life(Struct):
    """What an id means from `begun` on."""

    begun: int
    life: str
    first: str = ""


def flights_of(journal: Journal, is_told: Callable[[str, int], bool]) -> list[Flight]:
    """The flights of the messages that are told, and of their confirmations, in the order of time.

    `is_told` is asked about an id at a time (ns), since ids are used again.
    """
    found = []
    digests: dict[str, str] = {}
    for trace in journal.traces:
        head = head_of(trace) if trace.do == "Transmit" else None
        if head is not None and is_told(head.about, trace.t):
            digests.setdefault(head.id, trace.digest)
            found.append(Flight(t=trace.t, at=trace.at, peer=trace.peer, head=head, digest=trace.digest))
    for entry in journal.of("made twice"):
        if is_told(entry.id, entry.t):
            found += [_by_bare_peer(entry, digests) for _ in range(2)]
    found.sort(key=lambda flight: flight.t)
    _see(found, _Seen(journal, found, is_told))
    _count(found)
    return found


def _by_bare_peer(entry: Entry, digests: dict[str, str]) -> Flight:
    """A bare peer traces nothing, but it is known that it sent this to the station it is at, at least twice."""
    head = Head(entry.id, entry.to, entry.by, entry.key, entry.id)
    return Flight(t=entry.t, at=entry.by, peer=machine_of(entry.by), head=head, digest=digests.get(entry.id, ""))


class _Seen:
    """What each participant did, by what would have made it do so."""

    def __init__(self, journal: Journal, flights: Iterable[Flight], is_told: Callable[[str, int], bool]) -> None:
        self.forwards: dict[tuple[str, str], list[Flight]] = defaultdict(list)
        self.answers: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.delivered: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.confirmed: dict[tuple[str, str], list[int]] = defaultdict(list)
        for flight in flights:
            self.forwards[flight.at, flight.digest].append(flight)
            if flight.confirms and flight.head.sender == flight.at:
                self.answers[flight.at, flight.head.about].append(flight.t)
        for trace in journal.traces:
            if trace.do in ("Deliver", "Confirmed") and is_told(trace.id, trace.t):
                seen = self.delivered if trace.do == "Deliver" else self.confirmed
                seen[trace.at, trace.id].append(trace.t)


def _see(flights: Sequence[Flight], seen: _Seen) -> None:
    """Find out which of them came. Those of the same bytes to the same neighbour are looked at together, as are
    those of one message that went no further: its repeats differ by a byte or two, and are handled once."""
    ended: dict[tuple[str, str, str], list[Flight]] = defaultdict(list)
    passed: dict[tuple[str, str, str], list[Flight]] = defaultdict(list)
    for flight in flights:
        onward = [one for one in seen.forwards[flight.peer, flight.digest] if one.peer != flight.at]
        if onward and flight.peer != flight.head.sender:
            passed[flight.at, flight.peer, flight.digest].append(flight)
        else:
            ended[flight.peer, flight.head.about, flight.head.key].append(flight)
    for (at, peer, digest), some in passed.items():
        times = [one.t for one in seen.forwards[peer, digest] if one.peer != at]
        _settle(some, times)
    for (peer, about, _), some in ended.items():
        delivered, answers = seen.delivered[peer, about], seen.answers[peer, about]
        if some[0].confirms:
            _settle(some, seen.confirmed[peer, about])
        else:
            _settle(some, delivered, answers)
        for flight in some:
            is_read = flight.confirms and flight.head.to == peer
            flight.quiet = flight.ended is None and (is_read or peer.startswith("actor."))


def _settle(flights: Sequence[Flight], times: Sequence[int], answers: Sequence[int] = ()) -> None:
    """Say when each of `flights` came, by `times` at which it shows, and by `answers` to it.

    What shows before the next was sent is of the last that was sent. What shows beyond that is of earlier ones, which
    waited on the way; but as many answers as there were deliveries come of those. None overtakes another.
    """
    sent = [flight.t for flight in flights]
    came: dict[int, int] = {}
    beyond: list[tuple[int, bool]] = []
    for t, is_answer in sorted([*((t, False) for t in times), *((t, True) for t in answers)]):
        last = bisect_right(sent, t) - 1
        if last >= 0 and last not in came:
            came[last] = t
        elif last >= 0:
            beyond.append((t, is_answer))
    late = [t for t, is_answer in beyond if not is_answer] + [t for t, is_answer in beyond if is_answer][len(times) :]
    for t in late:
        waiting = [n for n in range(bisect_right(sent, t)) if n not in came]
        if waiting:
            came[waiting[-1]] = t
    packed: Counter[int] = Counter()
    for n, t in zip(sorted(came), sorted(came.values()), strict=True):
        first = bisect_left(sent, sent[n])  # of those that were sent at once, it was the first
        flights[first + packed[first]].ended = t
        packed[first] += 1


def _count(flights: Sequence[Flight]) -> None:
    """Number the sendings of each message: a hop has the number of the one that came before it."""
    begun: dict[str, int] = defaultdict(int)
    came: dict[tuple[str, str, int], int] = {}  # by who read it, its bytes and when
    for flight in flights:
        before = came.get((flight.at, flight.digest, flight.t))
        if before is None:
            before = begun[flight.head.id]
            begun[flight.head.id] += 1
        flight.nth = before
        if flight.ended is not None:
            came[flight.peer, flight.digest, flight.ended] = flight.nth
