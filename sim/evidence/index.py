"""The plan and the journal of a run, indexed so that checks can look things up.

Nothing here asks the library what should have happened. Paths come from the topology, contents from the plan.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from typing import Any

from msgspec import Struct, field

from sim.evidence.journal import Entry, Journal, Trace, raised
from sim.evidence.outage import seconds
from sim.evidence.outages import Outages
from sim.evidence.spans import Span, touches
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.scenario import Bounds, Example
from sim.scenario.assignments import busy_s

__all__ = ["Evidence", "Index", "digest"]

BUSY_S = 10.0  # for how long after its CPUs were full a computer may still be late
CAME = ("handled", "shook", "state", "cohere")
SLOWER = 2  # times the slowest recent confirmation passes before a sender repeats
WORDS = ("CONFIRM", "GONE", "BACK")  # the keys of answers about a message to its sender


class Evidence(Struct, kw_only=True):
    """Everything that a verdict is based on."""

    topology: Topology
    seed: int
    journal: Journal
    examples: dict[int, Example] = field(default_factory=dict)
    session: bool = True  # whether a session was played
    unsettled: list[Violation] = field(default_factory=list)  # doubts: messages that did not settle, and the like
    expected: dict[str, Any] = field(default_factory=dict)  # machine -> what its own program says it made, or None
    died: list[str] = field(default_factory=list)  # processes that ended and were not told to
    bounds: Bounds = Bounds()
    busy: list[Span] = field(default_factory=list)  # when the CPUs of this computer were full


class Index:
    """The journal, indexed. The lists are in the order of time, and times are in ns."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._durable = {machine.id for machine in evidence.topology.machines if machine.durable}
        self.tree = Tree(evidence.topology)
        # How long slow handlers of storms may keep the session waiting. And how seldom a message may be repeated after
        # any slow handler: see `Outbox`.
        self.slow_s = sum(busy_s(example) for example in evidence.examples.values() if example.at_s is not None)
        slowest_s = sum(map(busy_s, evidence.examples.values()))
        self.repeat_s = max(evidence.topology.repeat_interval_s, SLOWER * slowest_s)
        self.made = [entry for entry in evidence.journal.of("made") if entry.by]
        self.made_by: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.made:
            self.made_by[entry.by].append(entry)
        self.handled: dict[str, list[Entry]] = defaultdict(list)  # by the id under which a message began
        self.came: dict[str, list[Entry]] = defaultdict(list)  # by the same: all entries of `CAME`
        self.settled: dict[tuple[str, str], Entry] = {}  # by sender and message id
        self.said_states: dict[str, list[Entry]] = defaultdict(list)  # by the program that reported them
        self.heard_states: dict[str, list[Entry]] = defaultdict(list)  # by machine: as the terminal received them
        self.orders: dict[str, list[Entry]] = defaultdict(list)  # START, by the program that handled it
        self.began: dict[str, list[Entry]] = defaultdict(list)  # by message id: its handler began
        # message id -> digest of a payload -> the links that it crossed, as (from, to)
        self.sendings: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        self.sent: dict[tuple[str, str, str], list[int]] = defaultdict(list)  # (message id, from, to) -> times
        self.words: dict[tuple[str, str], list[int]] = defaultdict(list)  # (id; "" of GONE and BACK, recipient)
        self._makers = {entry.id: entry.by for entry in self.made}
        self._asked: set[tuple[str, str]] = set()  # (participant, recipient that it asked whether it is one of ours)
        self.last_effect: dict[str, int] = {}  # by participant: when it last had one
        self.delivered: dict[str, list[Trace]] = defaultdict(list)  # by message id
        self.gaps: dict[str, list[Trace]] = defaultdict(list)  # by the id of a stream: what was reported as missing
        self.expired: dict[str, list[int]] = defaultdict(list)  # by sender: when it gave a message up
        self.met: dict[str, list[int]] = defaultdict(list)  # by participant: when a neighbour connected
        self.given_up: dict[str, int] = {}  # message id -> when any life of its sender gave it up
        self.fates: dict[str, Any] = {}  # the cache of `message_fates.fate_of`
        self.judged_streams: list[Any] | None = None  # the cache of `sim.checks.streams`
        self.by_digest: dict[str, list[tuple[str, str]]] = defaultdict(list)  # payload digest -> links, as (from, to)
        self._read()

    def _read(self) -> None:
        evidence = self.evidence
        calm = all(example.at_s is None for example in evidence.examples.values())
        has_small_pipes = evidence.bounds.pipe_bytes is not None
        entries = evidence.journal.entries
        self.outages = Outages(entries, evidence.topology, calm=calm, small_pipes=has_small_pipes)
        for entry in evidence.journal.entries:
            self._note(entry)
        for trace in evidence.journal.traces:
            self._note_effect(trace)

    def _note_effect(self, trace: Trace) -> None:
        self.last_effect[trace.at] = max(trace.t, self.last_effect.get(trace.at, 0))
        if trace.do == "Transmit":
            self._transmit(trace)
        elif trace.do == "Deliver":
            self.delivered[trace.id].append(trace)
        elif trace.do == "Gap":
            self.gaps[trace.sender].append(trace)
        elif trace.do == "PeerUp":
            self.met[trace.at].append(trace.t)
        elif trace.do == "Expired":
            self.expired[trace.at].append(trace.t)
            self.given_up[trace.id] = trace.t

    def _note(self, entry: Entry) -> None:
        if entry.what in CAME and (entry.first or entry.id):
            self.came[entry.first or entry.id].append(entry)
        if entry.what == "handled":
            self.handled[entry.first or entry.id].append(entry)
            if entry.key == "START":
                self.orders[entry.by].append(entry)
        elif entry.what == "settled":
            self.settled[entry.by, entry.id] = entry
        elif entry.what == "began":
            self.began[entry.id].append(entry)
        elif entry.what == "state" and entry.sender:
            self.heard_states[str(entry.value["pilot"])].append(entry)
        elif entry.what == "state":
            self.said_states[entry.by].append(entry)

    def exceptions(self) -> list[dict[str, str]]:
        """The exceptions of programs: machine, exception and traceback. Each is listed once, even if reported twice."""
        errors = [raised(entry) for entry in self.evidence.journal.of("exception")]
        return list({(error["machine"], error["exception"]): error for error in errors}.values())

    def edges(self, frm: str, to: str) -> list[tuple[str, str]]:
        """The links that a message crosses, in order, as (from, to)."""
        return list(itertools.pairwise(self.tree.path(frm, to)))

    def times_sent(self, made: Entry) -> list[int]:
        """When its sender put a message on the first link of its path, repeats included."""
        edges = self.edges(made.by, made.to)
        return self.sent.get((made.id, *edges[0]), []) if edges else []

    def was_busy(self, since: int, until: int) -> bool:
        """Whether the CPUs of this computer were full in that span or shortly before, so that anything may be late."""
        return touches(self.evidence.busy, since - seconds(BUSY_S), until)

    def has_asked(self, by: str, to: str) -> bool:
        """Whether a sender asked if the recipient is Autopilot's own, as it does instead of repeating messages."""
        return (by, to) in self._asked

    def durable(self, name: str) -> bool:
        """Whether the messages that a participant has promised outlive its process."""
        machine = machine_of(name)
        return machine in self._durable and not name.endswith(".probe")

    def _transmit(self, trace: Trace) -> None:
        edge = (trace.at, trace.peer)
        self.by_digest[trace.digest].append(edge)
        if trace.id:
            self.sendings[trace.id][trace.digest].append(edge)
            self.sent[trace.id, *edge].append(trace.t)
        if trace.key == "CONFIRM" and self._makers.get(trace.value) == trace.at:
            self._asked.add((trace.at, trace.to))  # about a message of its own, so it is a question
        if trace.key in WORDS and trace.to == trace.peer:
            about = trace.value if trace.key == "CONFIRM" else ""
            self.words[about, trace.peer].append(trace.t)


def digest(payload: bytes) -> str:
    """The digest of a payload, as traces have it."""
    return hashlib.blake2b(payload, digest_size=10).hexdigest()
