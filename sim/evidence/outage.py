"""Reads the outages of a run from its journal.

An outage is a span of time in which a station, a program or one direction of a link did not work as usual: it was dead,
paused, or lost or delayed messages. A fault of a whole machine is two outages, one of its station and one of its
program, since each ends at its own time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sim.evidence.journal import Entry
from sim.lab.fault import ACTION_VERBS
from sim.lab.names import Process, process_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree

__all__ = ["BEFORE_S", "CONNECT_S", "DEAF_S", "Outage", "OutageReader", "seconds"]

Kind = Literal["station", "program", "link"]

# How long after the end of an outage a message may still be lost to it. The lower end of a connection that died
# silently gives it up after seven seconds, and checks once a second. The upper end, a ROUTER, gives it up after three
# TCP keepalive probes, two seconds apart. Then the lower end reconnects within a second, and repeats what was
# unconfirmed.
DEAF_S = 8.0
SILENT_S = 6.0
CONNECT_S = 2.0
ROUND_TRIPS = 8  # a lower end whose answers were slow, as over a pause, waits for so many of the slowest round trip
FULL_S = 30.0  # how long one that never brought anything is given, where its pipe is full
PROBE_S = 1.0  # between two probes: a round trip may seem so much slower than it was
BEFORE_S = 0.5  # slack before a fault: the process that journals it is not the one that it strikes

OPENS = {verb for verb, facts in ACTION_VERBS.items() if facts.state}
CLOSES: dict[str, set[str]] = {  # verb -> the verbs it ends. A kill ends with the entry `start` of the process
    end: {
        verb
        for verb, facts in ACTION_VERBS.items()
        if verb != "kill" and end in (facts.ended_by, facts.gives_way_to)
    }
    for end in ACTION_VERBS
}


class Outage(Struct, frozen=True, kw_only=True):
    """One outage, from `begins` to `ends` (ns). `ends` is None if it lasted to the end of the run."""

    kind: Kind
    machine: str  # of a link: the machine at its lower end
    verb: str
    up: bool = True  # of a link: its direction. A fault of both directions is two outages
    begins: int
    ends: int | None = None
    ended_by: str = ""  # the verb of the action that ended it, `start` or `healed`
    fault: int = 0  # the number of the fault in the topology
    what: str = "machine"  # of a process: what the fault struck: machine, station or program
    is_apart: bool = False  # of a link: its connections broke too, so both directions were interrupted
    is_crawl: bool = False  # of a slow link: an answer may take longer than the repeat interval
    deaf_s: float = DEAF_S  # how long the lower end of a silent connection may wait until it gives that up
    excuses: bool = True  # False for the kill by a storm on a calm lab, where no other message is under way
    words: str = ""  # "rig_2 was killed at 15.0 s, back at 35.1 s"

    @property
    def state(self) -> str:
        """The state of the target during the outage: down, paused, cut, held, slow, …"""
        return ACTION_VERBS[self.verb].state

    def covers(self, t: int) -> bool:
        """Whether the outage lasted at `t` (ns)."""
        return self.begins <= t and (self.ends is None or t < self.ends)

    def lasts(self, since: int, until: int) -> bool:
        """Whether the outage lasted at any time from `since` to `until` (ns), unlike `overlaps` without a margin."""
        return self.begins <= until and (self.ends is None or self.ends > since)

    @property
    def notice(self) -> int:
        """How long after its end a message may still be lost to it (ns)."""
        silent_s = max(self.deaf_s, SILENT_S) if ACTION_VERBS[self.verb].is_silent else 0.0
        return seconds(silent_s + CONNECT_S)

    def overlaps(self, since: int, until: int) -> bool:
        """Whether it may have struck a message that was under way from `since` to `until` (ns)."""
        return self.begins - seconds(BEFORE_S) <= until and (self.ends is None or since <= self.ends + self.notice)

    @property
    def deafens(self) -> bool:
        """Whether the other direction of the link loses messages too, since the connection was closed or given up."""
        is_long = self.ends is None or self.ends - self.begins >= seconds(DEAF_S - 1)
        return self.is_apart or (ACTION_VERBS[self.verb].is_silent and is_long)


class OutageReader:
    """Reads the entries of a journal, which must be in the order of time.

    `calm`: no storm was played during the session and its faults. The kill by a storm then excuses nothing.
    `small_pipes`: a few messages fill a pipe.
    """

    def __init__(
        self, entries: Iterable[Entry], topology: Topology, tree: Tree, *, calm: bool, small_pipes: bool = False
    ) -> None:
        self.found: list[Outage] = []  # in the order in which they ended
        self.doubled: set[str] = set()  # ids of the messages that a link duplicated, and the `sender_` of each
        # When a link dropped single messages: (link, message id or `sender_`) -> times; and (link, time) of frames
        # without an id.
        self.lost: dict[tuple[str, str], list[int]] = {}
        self.unnamed: list[tuple[str, int]] = []
        self.started: dict[Process, Entry] = {}
        self._least_s = FULL_S if small_pipes else DEAF_S
        self._calm = calm and not topology.faults
        self._waits_s = topology.repeat_interval_s
        self._tree = tree
        self._open: dict[tuple[Kind, str, bool, str], Outage] = {}
        self._restarted: dict[Process, int] = {}  # dead processes that were restarted and are not up yet
        self._begun: int | None = None
        for entry in entries:
            self._begun = entry.t if self._begun is None else self._begun
            self._read(entry)
        for key, outage in list(self._open.items()):
            restarted = self._restarted.get(key[:2]) if outage.verb == "kill" else None
            self._close(outage, restarted, "restart" if restarted is not None else "")
        self.found = [replace(outage, deaf_s=self._deaf_s(outage)) for outage in self.found]

    def _read(self, entry: Entry) -> None:
        if entry.what == "frame":
            self._read_frame(entry)
        elif entry.what == "start":
            kind, machine = process_of(entry.by)
            self._end({"kill", "pause"}, kind, machine, True, entry.t, "start")
            if entry.life:
                self.started[kind, machine] = entry
        elif entry.what == "healed":
            self._calm = True
            for outage in [o for o in self._open.values() if o.verb != "kill"]:
                self._close(outage, entry.t, "healed")
        elif entry.what in ("fault", "kill", "restart") and entry.to in self._tree:
            facts = entry.value if isinstance(entry.value, dict) else {}
            is_order = entry.what == "fault"  # else the station's own process journalled it
            self._fault(entry, entry.key if is_order else entry.what, facts if is_order else {"what": "station"})

    def _read_frame(self, entry: Entry) -> None:
        if entry.key == "duplicate":
            self.doubled |= {entry.id, _sender_part(entry.id)}
        elif entry.id:
            self.lost.setdefault((entry.to, entry.id), []).append(entry.t)
            self.lost.setdefault((entry.to, _sender_part(entry.id)), []).append(entry.t)
        else:
            self.unnamed.append((entry.to, entry.t))

    def _fault(self, entry: Entry, verb: str, facts: dict[str, object]) -> None:
        what = str(facts.get("what") or "machine")
        for kind, up in _struck(verb, what, str(facts.get("way") or "both")):
            self._end(CLOSES.get(verb, set()), kind, entry.to, up, entry.t, verb)
            # A restart of a live process does nothing.
            if verb == "restart" and (kind, entry.to, up, "kill") in self._open:
                self._restarted[kind, entry.to] = entry.t
            elif verb == "kill" and (kind, entry.to) in self._restarted:
                restarted = self._restarted[kind, entry.to]  # it is killed again before it was up
                self._end({"kill"}, kind, entry.to, up, restarted, "restart")
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
                what=what,
                is_crawl=verb == "shape" and self._is_crawl(facts),
                excuses=not self._calm,
                words=self._name(kind, entry.to, what),
            )
            self._open[key] = outage
            if ACTION_VERBS[verb].ended_by is None:
                self._close(outage, entry.t, verb)

    def _end(self, verbs: set[str], kind: Kind, machine: str, up: bool, t: int, by: str) -> None:
        for verb in sorted(verbs):
            outage = self._open.get((kind, machine, up, verb))
            if outage is not None:
                self._close(outage, t, by)

    def _close(self, outage: Outage, t: int | None, by: str) -> None:
        self._open.pop((outage.kind, outage.machine, outage.up, outage.verb), None)
        if outage.verb == "kill":
            self._restarted.pop((outage.kind, outage.machine), None)
        did, ended, never = ACTION_VERBS[outage.verb].phrases
        words = f"{outage.words} {did} {self._clock(outage.begins)}"
        words += never if t is None else f"{ended} {self._clock(t)}" if ended else ""
        self.found.append(replace(outage, ends=t, ended_by=by, words=words))

    def _deaf_s(self, outage: Outage) -> float:
        """How long a connection that falls silent for good is waited for by its lower end, after pauses and holds."""
        if outage.verb != "mute":
            return DEAF_S
        ends = {outage.machine, self._tree.parent(outage.machine)}
        before = [o for o in self.found if o.begins <= outage.begins and o.machine in ends]
        lasted = [(o.ends or outage.begins) - o.begins for o in before if o.verb in ("pause", "hold")]
        return max(self._least_s, ROUND_TRIPS * (max(lasted) / 1e9 + PROBE_S) if lasted else 0.0)

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
    """What an action of this verb strikes: processes, or directions of a link. The bool is up."""
    if ACTION_VERBS[verb].on == "machine":
        kinds: list[Kind] = ["station", "program"]
        return [(kind, True) for kind in kinds if what in ("machine", kind)]
    return [("link", up) for up in (True, False) if way in ("both", "up" if up else "down")]


def _sender_part(id: str) -> str:
    """`rig_1_` of `rig_1_17`, and of `rig_1_17.1` of a later life."""
    return id.rpartition("_")[0] + "_"


def seconds(value: float) -> int:
    """Seconds as nanoseconds."""
    return int(value * 1e9)
