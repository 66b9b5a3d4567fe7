"""The result of a run as one value. Checks fill it, the report shows it, and `--json` prints it."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from sim.diagram.model import Diagram
from sim.evidence.violation import Violation

__all__ = [
    "Check",
    "ClockRow",
    "Cpu",
    "Event",
    "Latency",
    "Leg",
    "LinkRow",
    "MachineRow",
    "OutputRow",
    "ProcessRow",
    "Result",
    "Rate",
    "Report",
    "SlowRow",
    "StreamRow",
    "TrialRow",
    "Violation",
    "over_sessions",
    "stream_label",
    "to_json",
]

Result = Literal["pass", "fail", "unknown"]


class Check(Struct, kw_only=True):
    """The result of one check. `unknown` is no pass: something could not be decided."""

    name: str  # handshake, hops, confirm, order, streams, session, expect, …
    looked_at: str  # such as "812 trials of 10 rigs"
    count: int  # how many things it looked at. A check that looked at nothing has not passed
    result: Result
    figures: str = ""  # "0 lost, 0 twice, p99 41 ms"
    broke: list[Violation] = field(default_factory=list)
    doubts: list[Violation] = field(default_factory=list)  # what could not be decided
    follows: list[Violation] = field(default_factory=list)  # what may follow from a process that ended or hangs
    explained: list[str] = field(default_factory=list)  # sentences about losses that a fault explains

    @property
    def violations(self) -> list[str]:
        """The sentences of `broke`, then those of `doubts`."""
        return [found.text for found in (*self.broke, *self.doubts)]


class MachineRow(Struct, kw_only=True):
    """One machine, and whether violations or doubts name it."""

    id: str
    parent: str | None
    kind: str | None
    depth: int
    fared: Literal["well", "badly", "unknown"]
    why: str = ""  # the first sentence that names it
    sent: int = 0
    handled: int = 0


class Latency(Struct, kw_only=True):
    """The time (ms) from making to handling, for messages that crossed `hops` links."""

    hops: int
    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    flagged: bool = False  # measured while the CPUs were overloaded


class Leg(Struct, kw_only=True):
    """A part of the way of a message, and how long it took."""

    what: str  # "waiting in _rig_1", "from rig_1 to T"
    ms: float


class SlowRow(Struct, kw_only=True):
    """One of the slowest messages of a run, and where its time went."""

    id: str
    key: str
    frm: str
    to: str
    at_s: float  # when it was made, in seconds since the run began
    took_ms: float
    legs: list[Leg] = field(default_factory=list)
    busy: bool = False  # the CPUs of this computer were full while it was under way
    fault: str = ""  # the fault that struck its path meanwhile


class ClockRow(Struct, kw_only=True):
    """The last report of a machine about how far the terminal's clock is ahead of its own."""

    machine: str
    offset_ms: float | None = None  # None if it never reported
    uncertainty_ms: float | None = None
    true_ms: float | None = None  # how far it really was then, by what both clocks showed
    told: int = 0  # how many reports there were
    sets: int = 0  # how often its clock was set during the run
    latency_ms: float | None = None  # half of its messages to the terminal took less, by the clocks of both machines


class Rate(Struct, kw_only=True):
    """The messages that all machines handled in one second of the run, by key."""

    second: int
    by_key: dict[str, int]


class Event(Struct, kw_only=True):
    """An event of the timeline. `at_s` is in seconds since the run began."""

    at_s: float
    machine: str
    what: str  # start, ready, handshake, START, STOP, graduation, kill, restart, exception, storm, …
    note: str = ""


class LinkRow(Struct, kw_only=True):
    """An event of a link, which has the id of its lower machine. `at_s` is in seconds since the run began."""

    at_s: float
    link: str
    what: str  # the name that its relay gives: connected, reset, …
    facts: str = ""  # "to_parent_bytes 1,204, connections 2"


class TrialRow(Struct, kw_only=True):
    """The trials of one rig. Counts are of messages, of which a trial has one for each stage."""

    rig: str
    made: int
    sent: int
    handled: int
    confirmed: int
    twice: int
    missing: list[str] = field(default_factory=list)  # ids


class StreamRow(Struct, kw_only=True):
    """One stream, from one machine. A rig that graduates has one row for each session."""

    machine: str
    stream: str  # its name in the file, or the name that a lab's own program gives it
    session: int | None = None  # its number, if the rig has several
    to: str
    reliable: bool
    sent: int
    is_counted: bool = True  # False: nobody says how many were sent, and `sent` has those that arrived
    received: int
    missing: list[str] = field(default_factory=list)  # "120-124"
    where: str = ""  # where or why items were lost, if that is known
    repeated: int = 0
    out_of_order: int = 0
    wrong: int = 0  # items that arrived with other bytes
    items_per_s: float = 0.0
    mb_per_s: float = 0.0

    @property
    def label(self) -> str:
        """Its name in sentences."""
        return stream_label(self.stream, self.session)


def stream_label(stream: str, session: int | None) -> str:
    """The name of a stream in sentences: that of the file, with the session if the rig has several."""
    return stream if session is None else f"{stream} of session {session}"


def over_sessions(rows: list[StreamRow]) -> StreamRow:
    """One row for a stream in all sessions of its rig. `missing` names the session of each item."""
    if len(rows) == 1:
        return rows[0]
    received = sum(row.received for row in rows)
    return replace(
        rows[0],
        session=None,
        sent=sum(row.sent for row in rows),
        received=received,
        missing=[f"{run} of session {row.session}" for row in rows for run in row.missing],
        where=", ".join(dict.fromkeys(row.where for row in rows if row.where)),
        repeated=sum(row.repeated for row in rows),
        out_of_order=sum(row.out_of_order for row in rows),
        wrong=sum(row.wrong for row in rows),
        items_per_s=round(sum(row.items_per_s * row.received for row in rows) / max(received, 1), 1),
        mb_per_s=round(sum(row.mb_per_s * row.received for row in rows) / max(received, 1), 3),
    )


class OutputRow(Struct):
    """The last lines that the program of a machine printed and logged."""

    machine: str
    log: str  # its file, from the folder of the report
    lines: list[str]


class ProcessRow(Struct, kw_only=True):
    """The resources that one process used."""

    name: str
    pid: int
    memory_mb: float  # the peak of its resident memory
    cpu_pct: float  # of one core, on average


class Cpu(Struct, kw_only=True):
    """The load of the computer during the run."""

    cores: int
    median_pct: float
    max_pct: float
    overloaded_s: float  # seconds above 90 %


class Report(Struct, kw_only=True):
    """All results of one run."""

    lab: str
    file: str
    seed: int
    started: str  # ISO 8601
    took_s: float
    up_s: float | None
    verdict: Literal["held", "broke", "unsettled", "interrupted"]
    sentence: str  # the verdict in words, with rigs and numbers
    advice: str  # what the user should do
    broke: list[str] = field(default_factory=list)  # violations, exceptions of programs first, then worst first
    exceptions: list[str] = field(default_factory=list)  # tracebacks of programs, with the machine's id
    replay: str | None = None  # the command that repeats the run
    versions: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    machines: list[MachineRow] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    slowest: list[SlowRow] = field(default_factory=list)  # the slowest first
    clocks: list[ClockRow] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    links: list[LinkRow] = field(default_factory=list)  # empty if no link had a relay
    diagram: Diagram | None = None  # if something broke or did not settle
    trials: list[TrialRow] = field(default_factory=list)
    streams: list[StreamRow] = field(default_factory=list)
    outputs: list[OutputRow] = field(default_factory=list)  # of programs that printed or logged something
    processes: list[ProcessRow] = field(default_factory=list)
    cpu: Cpu | None = None
    storm: str = ""  # such as "25 examples of up to 200 messages: 3,412 messages"
    pace: str = ""  # for a run in virtual time: how much time passed, and how fast
    not_proven: list[str] = field(default_factory=list)


def to_json(report: Report) -> bytes:
    """What `--json` prints: all fields, and also `violations` of each check as sentences."""
    document = msgspec.to_builtins(report)
    for check, printed in zip(report.checks, document["checks"], strict=True):
        printed["violations"] = check.violations
    return msgspec.json.encode(document)
