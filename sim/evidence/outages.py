"""When what was struck by which fault, from what the journal says was done; and what that may have kept away.

An outage is a span of time in which a station, a program or one direction of a link was dead, stood still, or did not
carry everything. It explains only what was under way there and then: on its way, and in its time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from sim.evidence.journal import Entry
from sim.lab.names import Process, process_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree

__all__ = ["BEFORE_S", "SILENT", "Outage", "Outages", "seconds"]

Kind = Literal["station", "program", "link"]

# How long after an outage something may still be lost to it. Whoever stands behind a connection that died in silence
# gives it up after seven seconds, looked at once a second; a router, after three questions of the system's, two seconds
# apart. Then it connects anew, within a second, shakes hands, and what was unconfirmed goes out again.
DEAF_S = 8.0
SILENT_S = 6.0
CONNECT_S = 2.0
NOTICE_S = max(DEAF_S, SILENT_S) + CONNECT_S
FLIGHT_S = 3.0  # how long a message may be under way, in pipes that flow
BEFORE_S = 0.5  # a fault is written down when it is done, by another process than those whom it strikes

OPENS = {"kill", "pause", "cut", "hold", "shape", "drop", "duplicate", "reset"}
CLOSES: dict[str, set[str]] = {
    "resume": {"pause"},
    "heal": {"cut", "shape", "drop", "duplicate"},
    "release": {"hold"},
    "shape": {"shape"},  # another takes its place
    "kill": {"pause"},  # its next life does not stand still
}
SILENT = {"kill", "pause", "cut", "hold"}  # nothing gets through, and who is behind it may have to find out by itself
SLOW = {"pause", "cut", "hold", "shape"}  # what was under way then may get through, later
HARMLESS = {"shape", "duplicate"}  # what they strike is late, or comes twice, but it is there
WORDS = {  # what it did, how it ended, and if it never did
    "kill": ("was killed at", ", back at", ", never back"),
    "pause": ("was paused at", ", on again at", ", never on again"),
    "cut": ("was cut at", ", whole again at", ", never whole again"),
    "hold": ("was held at", ", released at", ", never released"),
    "shape": ("was slow from", " to", ""),
    "drop": ("lost messages from", " to", ""),
    "duplicate": ("doubled messages from", " to", ""),
    "reset": ("lost its connections at", "", ""),
}


class Outage(Struct, frozen=True, kw_only=True):
    """One thing that was not as it should be from `begins` to `ends` (ns); None: to the end of the run."""

    kind: Kind
    machine: str  # of a link, the one at its lower end
    verb: str
    up: bool = True  # of a link: the direction; both ways are two of these
    begins: int
    ends: int | None = None
    fault: int = 0  # which of the topology's
    is_apart: bool = False  # of a link: its connections had broken, and none could be made meanwhile, either way
    is_crawl: bool = False  # of a slow link: an answer may take longer than it is waited for
    excuses: bool = True  # not the kill that a storm on a calm lab asks for, which costs nobody else anything
    words: str = ""  # "rig_2 was killed at 15.0 s, back at 35.1 s"

    @property
    def notice(self) -> int:
        """Nanoseconds after its end in which something may be lost to it yet."""
        return seconds(NOTICE_S if self.verb in SILENT else CONNECT_S)

    def overlaps(self, since: int, until: int) -> bool:
        """Whether something that was under way from `since` to `until` may have met it."""
        return self.begins - seconds(BEFORE_S) <= until and (self.ends is None or since <= self.ends + self.notice)

    @property
    def deafens(self) -> bool:
        """Whether it costs the other direction too: the connection was taken for deaf, or was to be made anew."""
        is_long = self.ends is None or self.ends - self.begins >= seconds(DEAF_S - 1)
        return self.is_apart or (self.verb in SILENT and is_long)


class Outages:
    """All of a run's outages, by what they struck."""

    def __init__(self, entries: Iterable[Entry], topology: Topology, *, calm: bool = True) -> None:
        """`calm`: no storm was played amid the session and its faults, in which a station may be killed."""
        self.all: list[Outage] = []  # which excuse something, in the order in which they began
        self._calm = calm and not topology.faults
        self._waits_s = topology.repeat_interval_s
        self.doubled: set[str] = set()  # ids of messages that came twice over a link, and `sender_` of each
        # Where and when messages were taken out of a link, one by one: by id, by `sender_`, and what was no message.
        self._lost: dict[tuple[str, str], list[int]] = {}
        self._lost_by: dict[tuple[str, str], list[int]] = {}
        self._unnamed: list[tuple[str, int]] = []
        self._tree = Tree(topology)
        self._open: dict[tuple[Kind, str, bool, str], Outage] = {}
        self._restarted: dict[Process, int] = {}  # which are dead, and have been started, at this time
        self._started: dict[Process, Entry] = {}
        self._begun: int | None = None
        for entry in entries:
            self._begun = entry.t if self._begun is None else self._begun
            self._read(entry)
        for key, outage in list(self._open.items()):
            self._close(outage, self._restarted.get(key[:2]) if outage.verb == "kill" else None)
        self._kills = [outage for outage in self.all if outage.verb == "kill"]
        self.all = [self._kept_apart(outage) for outage in [*self.all, *_echoes(self.all)] if outage.excuses]
        self.all.sort(key=lambda outage: (outage.begins, outage.kind, outage.machine, outage.up))
        self._at: dict[Process, list[Outage]] = defaultdict(list)
        for outage in self.all:
            self._at[outage.kind, outage.machine].append(outage)

    def __bool__(self) -> bool:
        return bool(self.all)

    # -- questions -----------------------------------------------------------------------------------------------------

    def on(self, way: Sequence[str], *, both_ways: bool = False) -> list[Outage]:
        """Those that struck a participant on the way, or a link between two of them, in the direction of the way."""
        if not self.all:
            return []
        found = {id(outage): outage for name in way for outage in self._at.get(process_of(name), ())}
        for a, b in pairwise(way):
            lower, up = self._tree.link(a, b) or ("", True)
            for outage in self._at.get(("link", lower), ()):
                if both_ways or outage.up is up or outage.deafens:
                    found[id(outage)] = outage
        return sorted(found.values(), key=lambda outage: outage.begins)

    def explain(
        self, way: Sequence[str], since: int, *, ids: Collection[str], until: int | None = None
    ) -> Outage | None:
        """What may have kept something away that set out on this way at `since`; None if nothing can have.

        Without `until`, it may have been under way for a moment, and longer where it had to wait. What a `drop` took,
        it took by its id: one of `ids`, or what begins with one that ends in `_`, as those of a sender's messages do.
        """
        end = self.under_way(way, since) if until is None else until
        outages = (outage for outage in self.on(way) if outage.overlaps(since, end))
        return next((outage for outage in outages if self._can_lose(outage, ids, since, end)), None)

    def under_way(self, way: Sequence[str], since: int) -> int:
        """Until when something that set out at `since` may be on this way: for a moment, and through what slows it."""
        end = since + seconds(FLIGHT_S)
        for outage in self.on(way):
            if outage.verb in SLOW and outage.begins <= end and (outage.ends is None or outage.ends >= since):
                end = max(end, (outage.ends or outage.begins) + seconds(FLIGHT_S))
        return end

    def unbroken(self, way: Sequence[str], since: int, until: int) -> tuple[int, Outage | None]:
        """The longest time (ns) in that span in which the way was whole and known to be; and what broke it first."""
        struck = [outage for outage in self.on(way, both_ways=True) if outage.overlaps(since, until)]
        struck = [outage for outage in struck if outage.verb not in HARMLESS or outage.is_crawl]
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
        started = self._started.get(process_of(name))
        return started.t if started is not None else None

    def last_life(self, name: str) -> int | None:
        """The number of its last life; None if it was never started again."""
        started = self._started.get(process_of(name))
        return started.life if started is not None else None

    def relays_killed(self, stations: Collection[str], since: int, until: int) -> Outage | None:
        """A kill of one of these stations in that span: what it had passed on, it may pass on again."""
        kills = (self.killed(station, since, until) for station in sorted(stations))
        return next((kill for kill in kills if kill is not None), None)

    # -- below ---------------------------------------------------------------------------------------------------------

    def _can_lose(self, outage: Outage, ids: Collection[str], since: int, until: int) -> bool:
        if outage.verb != "drop":
            return outage.verb not in HARMLESS
        times = [t for id in ids for t in self._lost_of(outage.machine, id)]
        if any(since <= t <= until for t in times):
            return True
        unnamed = [t for link, t in self._unnamed if link == outage.machine and since - seconds(DEAF_S) <= t <= until]
        if not ids:
            return any(t >= since for t in unnamed)
        # Probes have no name either: who misses three in a row takes the connection for deaf, with all that is on it.
        return any(late - early <= seconds(DEAF_S) for early, late in zip(unnamed, unnamed[2:], strict=False))

    def _lost_of(self, link: str, id: str) -> list[int]:
        if id.endswith("_"):
            return self._lost_by.get((link, id), [])
        return self._lost.get((link, id), [])

    def _read(self, entry: Entry) -> None:
        if entry.what == "frame":
            self._read_frame(entry)
        elif entry.what == "start":
            kind, machine = process_of(entry.by)
            self._end({"kill", "pause"}, kind, machine, True, entry.t)
            if entry.life:
                self._started[kind, machine] = entry
        elif entry.what == "healed":
            self._calm = True  # from here on
            for outage in [o for o in self._open.values() if o.verb != "kill"]:
                self._close(outage, entry.t)
        elif entry.what in ("kill", "restart"):
            self._fault(entry, entry.what, {"what": "station"})
        elif entry.what == "fault":
            facts = entry.value if isinstance(entry.value, dict) else {}
            self._fault(entry, entry.key, facts)

    def _read_frame(self, entry: Entry) -> None:
        if entry.key == "duplicate":
            self.doubled |= {entry.id, _sender_part(entry.id)}
        elif entry.id:
            self._lost.setdefault((entry.to, entry.id), []).append(entry.t)
            self._lost_by.setdefault((entry.to, _sender_part(entry.id)), []).append(entry.t)
        else:
            self._unnamed.append((entry.to, entry.t))

    def _fault(self, entry: Entry, verb: str, facts: dict[str, object]) -> None:
        for kind, up in _struck(verb, str(facts.get("what", "machine")), str(facts.get("way", "both"))):
            self._end(CLOSES.get(verb, set()), kind, entry.to, up, entry.t)
            if verb == "restart" and (kind, entry.to, up, "kill") in self._open:  # else it lives, and goes on living
                self._restarted[kind, entry.to] = entry.t
            elif verb == "kill" and (kind, entry.to) in self._restarted:
                self._end({"kill"}, kind, entry.to, up, self._restarted[kind, entry.to])  # before it was up
            key = (kind, entry.to, up, verb)
            if verb not in OPENS or key in self._open:
                continue
            number = facts.get("fault")
            outage = Outage(
                kind=kind,
                machine=entry.to,
                verb=verb,
                up=up,
                begins=entry.t,
                fault=number if isinstance(number, int) else -1,
                is_crawl=verb == "shape" and self._is_crawl(facts),
                excuses=not self._calm,
                words=self._name(kind, entry.to, str(facts.get("what", "machine"))),
            )
            self._open[key] = outage
            if verb == "reset":
                self._close(outage, entry.t)

    def _end(self, verbs: set[str], kind: Kind, machine: str, up: bool, t: int) -> None:
        for verb in sorted(verbs):
            outage = self._open.get((kind, machine, up, verb))
            if outage is not None:
                self._close(outage, t)

    def _close(self, outage: Outage, t: int | None) -> None:
        self._open.pop((outage.kind, outage.machine, outage.up, outage.verb), None)
        if outage.verb == "kill":
            self._restarted.pop((outage.kind, outage.machine), None)
        did, ended, never = WORDS[outage.verb]
        words = f"{outage.words} {did} {self._clock(outage.begins)}"
        words += never if t is None else f"{ended} {self._clock(t)}" if ended else ""
        fields = {name: getattr(outage, name) for name in outage.__struct_fields__}
        self.all.append(Outage(**{**fields, "ends": t, "words": words}))

    def _kept_apart(self, outage: Outage) -> Outage:
        """A link is blocked while the connections on it are to be made anew: then none is, in whatever direction."""
        if outage.kind != "link" or outage.verb not in ("cut", "hold"):
            return outage
        ends = {("link", outage.machine), ("station", outage.machine), ("station", self._tree.parent(outage.machine))}
        since, until = outage.begins - seconds(CONNECT_S), outage.ends
        breaks = [o for o in self.all if o.verb in ("reset", "kill") and (o.kind, o.machine) in ends]
        if not any(since <= (o.ends or o.begins) and (until is None or o.begins <= until) for o in breaks):
            return outage
        return Outage(**{**{name: getattr(outage, name) for name in outage.__struct_fields__}, "is_apart": True})

    def _is_crawl(self, facts: dict[str, object]) -> bool:
        numbers = [facts.get(name) for name in ("latency_ms", "jitter_ms")]
        late_ms = sum(number for number in numbers if isinstance(number, int | float))
        return facts.get("rate_mbit") is not None or 2 * late_ms / 1e3 >= self._waits_s

    def _clock(self, t: int) -> str:
        return f"{(t - (self._begun or 0)) / 1e9:.1f} s"

    def _name(self, kind: Kind, machine: str, what: str) -> str:
        if kind == "link":
            return f"the link from {machine} up to {self._tree.parent(machine)}"
        return machine if what == "machine" else f"the {what} of {machine}"


def _struck(verb: str, what: str, way: str) -> list[tuple[Kind, bool]]:
    """What an action of this verb concerns: processes, or directions of a link."""
    if verb in ("kill", "restart", "pause", "resume"):
        kinds: list[Kind] = ["station", "program"]
        return [(kind, True) for kind in kinds if what in ("machine", kind)]
    return [("link", up) for up in (True, False) if way in ("both", "up" if up else "down")]


def _echoes(outages: list[Outage]) -> Iterator[Outage]:
    """The other direction of what was cut one way: its connections end with the cut, too."""
    cuts = {(outage.machine, outage.up, outage.ends): outage for outage in outages if outage.verb == "cut"}
    for (machine, up, ends), cut in cuts.items():
        if ends is not None and (machine, not up, ends) not in cuts:
            fields = {name: getattr(cut, name) for name in cut.__struct_fields__}
            yield Outage(**{**fields, "up": not up, "verb": "reset", "begins": ends})


def _sender_part(id: str) -> str:
    """`rig_1_` of `rig_1_17`, and of `rig_1_17.1`, which a later life sent."""
    return id.rpartition("_")[0] + "_"


def seconds(value: float) -> int:
    """Seconds as nanoseconds."""
    return int(value * 1e9)
