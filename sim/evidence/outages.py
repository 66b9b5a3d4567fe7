"""Which outages a run had, and which messages each may have cost.

An outage explains only a message that was under way on a path it struck, at a time when it lasted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace

from sim.evidence.journal import Entry
from sim.evidence.outage import BEFORE_S, CONNECT_S, DEAF_S, Outage, OutageReader, seconds
from sim.lab.fault import ACTION_VERBS
from sim.lab.names import Process, process_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree

__all__ = ["Outages"]

FLIGHT_S = 3.0  # how long a message may be under way where nothing slows it


class Outages:
    """All outages of a run. Times are in ns."""

    def __init__(
        self, entries: Iterable[Entry], topology: Topology, *, calm: bool = True, small_pipes: bool = False
    ) -> None:
        """`calm`: no storm was played during the session and its faults. See `OutageReader`."""
        self._tree = Tree(topology)
        self._read = OutageReader(entries, topology, self._tree, calm=calm, small_pipes=small_pipes)
        self.every = sorted(self._read.found, key=_order)  # in the order in which they began
        excusing = [outage for outage in [*self.every, *_echoes(self.every)] if outage.excuses]
        self.all = sorted(map(self._marked_apart, excusing), key=_order)  # those of `every` that may excuse something
        self.doubled = self._read.doubled  # ids of the messages that a link duplicated, and the `sender_` of each
        self._kills = [outage for outage in self.every if outage.verb == "kill"]
        self._at: dict[Process, list[Outage]] = defaultdict(list)
        for outage in self.all:
            self._at[outage.kind, outage.machine].append(outage)

    def __bool__(self) -> bool:
        return bool(self.all)

    # -- questions -----------------------------------------------------------------------------------------------------

    def on(self, path: Sequence[str], *, both_ways: bool = False) -> list[Outage]:
        """The outages of the participants on a path, and of the links between them in the direction of the path."""
        if not self.all:
            return []
        found = {id(outage): outage for name in path for outage in self._at.get(process_of(name), ())}
        for a, b in pairwise(path):
            lower, up = self._tree.link(a, b) or ("", True)
            for outage in self._at.get(("link", lower), ()):
                if both_ways or outage.up is up or outage.deafens:
                    found[id(outage)] = outage
        return sorted(found.values(), key=lambda outage: outage.begins)

    def explain(
        self, path: Sequence[str], since: int, *, ids: Collection[str], until: int | None = None
    ) -> Outage | None:
        """The outage that may have cost a message which was sent on this path at `since`; None if there is none.

        Without `until`, the message was under way as long as `under_way` says. A `drop` explains a loss only if it took
        a message of one of these `ids`. An id that ends in `_` stands for all messages of a sender.
        """
        end = self.under_way(path, since) if until is None else until
        outages = (outage for outage in self.on(path) if outage.overlaps(since, end))
        return next((outage for outage in outages if self._can_lose(outage, ids, since, end)), None)

    def under_way(self, path: Sequence[str], since: int) -> int:
        """Until when a message that was sent at `since` may be on this path. Outages that delay messages prolong it."""
        end = since + seconds(FLIGHT_S)
        for outage in self.on(path):
            meets = outage.begins <= end and (outage.ends is None or outage.ends >= since)
            if ACTION_VERBS[outage.verb].is_slow and meets:
                end = max(end, (outage.ends or outage.begins) + seconds(FLIGHT_S))
        return end

    def unbroken(self, path: Sequence[str], since: int, until: int) -> tuple[int, Outage | None]:
        """The longest time within the span in which no outage struck the path, and the first outage that did."""
        struck = [outage for outage in self.on(path, both_ways=True) if outage.overlaps(since, until)]
        struck = [outage for outage in struck if not ACTION_VERBS[outage.verb].is_harmless or outage.is_crawl]
        longest, free_from = 0, since
        for outage in struck:
            longest = max(longest, outage.begins - seconds(BEFORE_S) - free_from)
            free_from = max(free_from, until if outage.ends is None else outage.ends + outage.notice)
        return max(longest, until - free_from), struck[0] if struck else None

    def killed(self, name: str, since: int, until: int | None = None) -> Outage | None:
        """The first kill of the process of a participant in that span, or None."""
        for outage in self._at.get(process_of(name), ()):
            is_later = until is not None and outage.begins > until
            if outage.verb == "kill" and outage.begins >= since - seconds(BEFORE_S) and not is_later:
                return outage
        return None

    def is_dead(self, name: str, t: int) -> bool:
        """Whether the process of a participant was dead at `t` because a fault had killed it."""
        kills = [outage for outage in self._kills if (outage.kind, outage.machine) == process_of(name)]
        slack = seconds(BEFORE_S)
        return any(o.begins - slack <= t and (o.ends is None or t <= o.ends + slack) for o in kills)

    def last_start(self, name: str) -> int | None:
        """When the process of a participant was last restarted, or None."""
        started = self._read.started.get(process_of(name))
        return started.t if started is not None else None

    def last_life(self, name: str) -> int | None:
        """The number of the last life of a participant's process. None if it was never restarted."""
        started = self._read.started.get(process_of(name))
        return started.life if started is not None else None

    def relays_killed(self, stations: Collection[str], since: int, until: int) -> Outage | None:
        """A kill of one of these stations in that span, or None. A restarted station may relay a message again."""
        kills = (self.killed(station, since, until) for station in sorted(stations))
        return next((kill for kill in kills if kill is not None), None)

    # -- below ---------------------------------------------------------------------------------------------------------

    def _marked_apart(self, outage: Outage) -> Outage:
        """The outage, marked `is_apart` if a connection of the cut or held link broke too and could not be remade."""
        if outage.kind != "link" or outage.verb not in ("cut", "hold"):
            return outage
        ends = {("link", outage.machine), ("station", outage.machine), ("station", self._tree.parent(outage.machine))}
        since, until = outage.begins - seconds(CONNECT_S), outage.ends
        breaks = [o for o in self.every if o.verb in ("reset", "kill") and (o.kind, o.machine) in ends]
        if not any(since <= (o.ends or o.begins) and (until is None or o.begins <= until) for o in breaks):
            return outage
        return replace(outage, is_apart=True)

    def _can_lose(self, outage: Outage, ids: Collection[str], since: int, until: int) -> bool:
        if outage.verb != "drop":
            return not ACTION_VERBS[outage.verb].is_harmless
        times = [t for id in ids for t in self._read.lost.get((outage.machine, id), [])]
        if any(since <= t <= until for t in times):
            return True
        on_link = (t for link, t in self._read.unnamed if link == outage.machine)
        unnamed = [t for t in on_link if since - seconds(DEAF_S) <= t <= until]
        if not ids:
            return any(t >= since for t in unnamed)
        # Probes of the library have no id either. A peer that misses three in a row gives the connection up, and what
        # is on it is lost.
        return any(third - first <= seconds(DEAF_S) for first, third in zip(unnamed, unnamed[2:], strict=False))


def _order(outage: Outage) -> tuple[int, str, str, bool]:
    return outage.begins, outage.kind, outage.machine, outage.up


def _echoes(outages: list[Outage]) -> Iterator[Outage]:
    """For each cut of one direction that ended, a reset of the other: the connections are closed when the cut ends."""
    cuts = {(outage.machine, outage.up, outage.ends): outage for outage in outages if outage.verb == "cut"}
    for (machine, up, ends), cut in cuts.items():
        if ends is not None and (machine, not up, ends) not in cuts:
            yield replace(cut, up=not up, verb="reset", begins=ends)
