"""Where the time of a message went: how long it waited at each participant, and how long each hop took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from sim.checks.expect.traffic import Transit, messages
from sim.evidence.index import Index
from sim.evidence.journal import Trace
from sim.evidence.spans import merged
from sim.lab.names import in_plain_words
from sim.verdict import Leg, SlowRow

__all__ = ["Journeys", "slowest_rows"]

SHOWN = 5
LEAST_SHARE = 0.02  # a leg of less of the whole is not named in a sentence


class Journeys:
    """Reads from the traces when a message left each participant on its way."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._made = {entry.id: entry for entry in index.made}
        self._sent: dict[tuple[str, str, str], list[int]] | None = None  # (first id, from, to) -> times
        self._reached: dict[tuple[str, str], int] = {}  # (first id, station) -> when it was handed to its role

    def legs(self, transit: Transit) -> list[Leg]:
        """The parts of the way of a message, in order. Together they are its whole time."""
        self._read()
        if transit.batch:
            return self._item_legs(transit)
        came = transit.came
        if came is None or not transit.id or self._sent is None:
            return []
        frm, to = transit.path
        way = self._index.tree.path(frm, to)
        way = way if to in way else [*way, to]
        found: list[Leg] = []
        for here, there in reversed(list(pairwise(way))):
            times = [t for t in self._sent.get((transit.id, here, there), []) if transit.made <= t <= came]
            if not times:
                continue  # the hop left no trace: its time is in the one before
            found.append(Leg(what=in_plain_words(f"from {here} to {there}"), ms=(came - times[-1]) / 1e6))
            arrived = transit.made if here == frm else min(times[0], self._reached.get((transit.id, here), times[0]))
            again = f", sent {len(times)} times" if len(times) > 1 else ""
            found.append(Leg(what=in_plain_words(f"waiting in {here}{again}"), ms=(times[-1] - arrived) / 1e6))
            came = arrived
        found.append(Leg(what=f"from {frm}", ms=(came - transit.made) / 1e6))
        return [Leg(what=leg.what, ms=round(leg.ms, 3)) for leg in reversed(found) if leg.ms > 0]

    def words(self, transit: Transit) -> str:
        """'_rig_1_7 (312 ms: 290 waiting in _rig_1, 20 from rig_1 to T)'."""
        legs = [leg for leg in self.legs(transit) if leg.ms >= LEAST_SHARE * transit.ms]
        where = ", ".join(f"{_digits(leg.ms)} {leg.what}" for leg in legs)
        return f"{transit.id or transit.item} ({_digits(transit.ms)} ms{f': {where}' if where else ''})"

    def slowest_words(self, transits: Sequence[Transit]) -> str:
        """Messages or items that were slow, for the end of a sentence."""
        return f"; slowest: {'; '.join(map(self.words, transits))}" if transits else ""

    def _item_legs(self, transit: Transit) -> list[Leg]:
        """The parts of the way of an item. It waits for its batch, which each station on the way may have noted."""
        at, since = transit.path[0], transit.made
        found: list[Leg] = []
        for station in self._index.tree.path(*transit.path)[1:]:
            reached = self._reached.get((transit.batch, station))
            if reached is not None and since <= reached <= (transit.came or reached):
                what = f"in a batch of {at}, and from there to {station}" if not found else f"from {at} to {station}"
                found.append(Leg(what=in_plain_words(what), ms=round((reached - since) / 1e6, 3)))
                at, since = station, reached
        rest = round(((transit.came or since) - since) / 1e6, 3)
        return [*found, Leg(what=f"from {at} to {transit.path[1]}", ms=rest)]

    def _read(self) -> None:
        if self._sent is not None:
            return
        self._sent = defaultdict(list)
        for trace in self._index.evidence.journal.traces:
            if trace.do == "Transmit" and trace.id and trace.key != "CONFIRM":
                self._sent[trace.origin or trace.id, trace.at, trace.peer].append(trace.t)
            elif trace.do == "Deliver":
                self._reached.setdefault((_first_id(trace), trace.at), trace.t)


def _digits(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 10 else f"{ms:.2g}"


def _first_id(trace: Trace) -> str:
    return trace.origin or trace.id


def slowest_rows(index: Index) -> list[SlowRow]:
    """The slowest messages of the session and of the storms, the slowest first."""
    begun = min((entry.t for entry in index.evidence.journal.entries), default=0)
    made = {entry.id: entry for entry in index.made if index.handled[entry.id]}
    transits = messages(index, "", made.values(), merged(index.evidence.busy)).came
    journeys = Journeys(index)
    return [
        SlowRow(
            id=transit.id,
            key=made[transit.id].key,
            frm=in_plain_words(transit.path[0]),
            to=in_plain_words(transit.path[1]),
            at_s=round((transit.made - begun) / 1e9, 3),
            took_ms=round(transit.ms, 3),
            legs=journeys.legs(transit),
            busy=transit.is_busy,
            fault=_fault(index, transit),
        )
        for transit in sorted(transits, key=lambda transit: -transit.ms)[:SHOWN]
    ]


def _fault(index: Index, transit: Transit) -> str:
    way = [*index.tree.path(*transit.path), transit.path[1]]
    struck = index.outages.on(way, both_ways=True)
    until = transit.came or transit.made
    return next((outage.words for outage in struck if outage.overlaps(transit.made, until)), "")
