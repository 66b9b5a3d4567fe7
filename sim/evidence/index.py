"""What was planned and what was written down, put side by side so that checks can look things up.

Nothing here asks the library what should have happened: paths come from the graph, contents from the plan.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from typing import Any

from msgspec import Struct, field

from sim.evidence.journal import Entry, Journal, Trace, raised
from sim.evidence.outages import Outages
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.scenario import Example

__all__ = ["Evidence", "Index", "digest"]

CAME = ("handled", "shook", "state", "cohere")
WORDS = ("CONFIRM", "GONE", "BACK")  # what tells a sender of its messages


class Evidence(Struct, kw_only=True):
    """All that a verdict rests on."""

    topology: Topology
    seed: int
    journal: Journal
    examples: dict[int, Example] = field(default_factory=dict)
    session: bool = True  # whether one was played
    unsettled: list[Violation] = field(default_factory=list)  # what did not settle
    expected: dict[str, Any] = field(default_factory=dict)  # by the lab's own programs; None of one that does not say
    died: list[str] = field(default_factory=list)  # processes that ended and should not have


class Index:
    """The journal by what checks ask for."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._durable = {machine.id for machine in evidence.topology.machines if machine.durable}
        self.tree = Tree(evidence.topology)
        self.made = [entry for entry in evidence.journal.of("made") if entry.by]
        self.made_by: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.made:
            self.made_by[entry.by].append(entry)
        self.handled: dict[str, list[Entry]] = defaultdict(list)  # by the id it began under
        self.came: dict[str, list[Entry]] = defaultdict(list)  # these, and what else says that one came
        self.settled: dict[tuple[str, str], Entry] = {}
        self.said_states: dict[str, list[Entry]] = defaultdict(list)  # by the program that said them
        self.heard_states: dict[str, list[Entry]] = defaultdict(list)  # by the machine that the terminal heard them of
        self.orders: dict[str, list[Entry]] = defaultdict(list)  # START, by the program that handled it
        self.began: dict[str, list[Entry]] = defaultdict(list)
        self.sendings: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        self.sent: dict[tuple[str, str, str], list[int]] = defaultdict(list)  # when an id crossed a link
        self.words: dict[tuple[str, str], list[int]] = defaultdict(list)  # CONFIRM of an id, GONE or BACK, to whom
        self.delivered: dict[str, list[Trace]] = defaultdict(list)
        self.gaps: dict[str, list[Trace]] = defaultdict(list)  # what was reported as missing, by the stream's id
        self.expired: dict[str, list[int]] = defaultdict(list)  # when a sender gave something up
        self.met: dict[str, list[int]] = defaultdict(list)  # when who met a neighbour: what waits goes out at once then
        self.given_up: dict[str, int] = {}  # when a message was, by whatever life of its sender
        self.fates: dict[str, Any] = {}  # kept by `fates`, which judges each message once
        self.judged_streams: list[Any] | None = None  # kept by `streamchecks`
        self.by_digest: dict[str, list[tuple[str, str]]] = defaultdict(list)
        calm = all(example.at_s is None for example in evidence.examples.values())
        self.outages = Outages(evidence.journal.entries, evidence.topology, calm=calm)
        for entry in evidence.journal.entries:
            self._note(entry)
        for trace in evidence.journal.traces:
            self._note_effect(trace)

    def _note_effect(self, trace: Trace) -> None:
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
        """What programs raised: machine, exception and traceback, once each, however often it was told."""
        every = [raised(entry) for entry in self.evidence.journal.of("exception")]
        return list({(one["machine"], one["exception"]): one for one in every}.values())

    def edges(self, frm: str, to: str) -> list[tuple[str, str]]:
        """The connections that a message crosses, in order."""
        return list(itertools.pairwise(self.tree.path(frm, to)))

    def durable(self, name: str) -> bool:
        """Whether what a participant promised outlives its process."""
        machine = machine_of(name)
        return machine in self._durable and not name.endswith(".probe")

    def _transmit(self, trace: Trace) -> None:
        edge = (trace.at, trace.peer)
        self.by_digest[trace.digest].append(edge)
        if trace.id:
            self.sendings[trace.id][trace.digest].append(edge)
            self.sent[trace.id, *edge].append(trace.t)
        if trace.key in WORDS and trace.to == trace.peer:
            about = trace.value if trace.key == "CONFIRM" else ""
            self.words[about, trace.peer].append(trace.t)


def digest(payload: bytes) -> str:
    """The fingerprint that traces note of a payload."""
    return hashlib.blake2b(payload, digest_size=10).hexdigest()
