"""Which faults struck a run when, and what that may have kept away.

An outage explains only what was under way there and then: on its path, and in its time.
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

FLIGHT_S = 3.0  # how long a message may be under way, in pipes that flow


class Outages:
    """All of a run's outages, by what they struck."""

    def __init__(self, entries: Iterable[Entry], topology: Topology, *, calm: bool = True) -> None:
        """`calm`: no storm was played amid the session and its faults, in which a station may be killed."""
        self._tree = Tree(topology)
        self._read = OutageReader(entries, topology, self._tree, calm=calm)
        self.every = sorted(self._read.found, key=_order)  # as they were done
        excusing = [outage for outage in [*self.every, *_echoes(self.every)] if outage.excuses]
        self.all = sorted(map(self._kept_apart, excusing), key=_order)  # which excuse something
        self.doubled = self._read.doubled  # ids of messages that came twice over a link, and `sender_` of each
        self._kills = [outage for outage in self.every if outage.verb == "kill"]
        self._at: dict[Process, list[Outage]] = defaultdict(list)
        for outage in self.all:
            self._at[outage.kind, outage.machine].append(outage)

    def __bool__(self) -> bool:
        return bool(self.all)

    # -- questions -----------------------------------------------------------------------------------------------------

    def on(self, path: Sequence[str], *, both_ways: bool = False) -> list[Outage]:
        """Those that struck a participant on the path, or a link between two of them, in the direction of the path."""
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
        """What may have kept something away that set out on this path at `since`; None if nothing can have.

        Without `until`, it may have been under way for a moment, and longer where it had to wait. What a `drop` took,
        it took by its id: one of `ids`, or what begins with one that ends in `_`, as those of a sender's messages do.
        """
        end = self.under_way(path, since) if until is None else until
        outages = (outage for outage in self.on(path) if outage.overlaps(since, end))
        return next((outage for outage in outages if self._can_lose(outage, ids, since, end)), None)

    def under_way(self, path: Sequence[str], since: int) -> int:
        """Until when something that set out at `since` may be on this path: for a moment, and through what slows it."""
        end = since + seconds(FLIGHT_S)
        for outage in self.on(path):
            meets = outage.begins <= end and (outage.ends is None or outage.ends >= since)
            if ACTION_VERBS[outage.verb].is_slow and meets:
                end = max(end, (outage.ends or outage.begins) + seconds(FLIGHT_S))
        return end

    def unbroken(self, path: Sequence[str], since: int, until: int) -> tuple[int, Outage | None]:
        """The longest time (ns) in that span in which the path was whole and known to be; and what broke it first."""
        struck = [outage for outage in self.on(path, both_ways=True) if outage.overlaps(since, until)]
        struck = [outage for outage in struck if not ACTION_VERBS[outage.verb].is_harmless or outage.is_crawl]
        longest, free_from = 0, since
        for outage in struck:
            longest = max(longest, outage.begins - seconds(BEFORE_S) - free_from)
            free_from = max(free_from, until if outage.ends is None else outage.ends + outage.notice)
        return max(longest, until - free_from), struck[0] if struck else None

    def killed(self, name: str, since: int, until: int | None = None) -> Outage | None:
        """The first kill of the process of a participant in that span."""
        for outage in self._at.get(process_of(name), ()):
            late = until is not None and outage.begins > until
            if outage.verb == "kill" and outage.begins >= since - seconds(BEFORE_S) and not late:
                return outage
        return None

    def is_dead(self, name: str, t: int) -> bool:
        """Whether a fault had killed the process of a participant by `t`, and it was not started again."""
        kills = [outage for outage in self._kills if (outage.kind, outage.machine) == process_of(name)]
        slack = seconds(BEFORE_S)
        return any(o.begins - slack <= t and (o.ends is None or t <= o.ends + slack) for o in kills)

    def last_start(self, name: str) -> int | None:
        """When the process of a participant was started again the last time; None if it never was."""
        started = self._read.started.get(process_of(name))
        return started.t if started is not None else None

    def last_life(self, name: str) -> int | None:
        """The number of its last life; None if it was never started again."""
        started = self._read.started.get(process_of(name))
        return started.life if started is not None else None

    def relays_killed(self, stations: Collection[str], since: int, until: int) -> Outage | None:
        """A kill of one of these stations in that span: what it had passed on, it may pass on again."""
        kills = (self.killed(station, since, until) for station in sorted(stations))
        return next((kill for kill in kills if kill is not None), None)

    # -- below ---------------------------------------------------------------------------------------------------------

    def _kept_apart(self, outage: Outage) -> Outage:
        """A link is blocked while the connections on it are to be made anew: then none is, in whatever direction."""
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
        # Probes have no name either: who misses three in a row takes the connection for deaf, with all that is on it.
        return any(late - early <= seconds(DEAF_S) for early, late in zip(unnamed, unnamed[2:], strict=False))


def _order(outage: Outage) -> tuple[int, str, str, bool]:
    return outage.begins, outage.kind, outage.machine, outage.up


def _echoes(outages: list[Outage]) -> Iterator[Outage]:
    """The other direction of what was cut one way: its connections end with the cut, too."""
    cuts = {(outage.machine, outage.up, outage.ends): outage for outage in outages if outage.verb == "cut"}
    for (machine, up, ends), cut in cuts.items():
        if ends is not None and (machine, not up, ends) not in cuts:
            yield replace(cut, up=not up, verb="reset", begins=ends)
