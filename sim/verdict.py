"""What a run came to, as one value: what checks find, what the report shows and what `--json` prints."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, field

from sim.diagram.model import Diagram
from sim.evidence.violation import Violation

__all__ = [
    "Check",
    "ClockRow",
    "Cpu",
    "Event",
    "Latency",
    "LinkRow",
    "MachineRow",
    "ProcessRow",
    "Rate",
    "Report",
    "StreamRow",
    "TrialRow",
    "Violation",
    "to_json",
]

Result = Literal["pass", "fail", "unknown"]


class Check(Struct, kw_only=True):
    """One check: what it looked at, how many, and what it found. `unknown` is what did not settle: no pass."""

    name: str  # handshake, hops, confirm, order, streams, session, expect, …
    looked_at: str  # "812 trials of 10 rigs"
    count: int  # how many it looked at; a check that looked at nothing has not passed
    result: Result
    figures: str = ""  # "0 lost, 0 twice, p99 41 ms"
    broke: list[Violation] = field(default_factory=list)
    doubts: list[Violation] = field(default_factory=list)  # what could not be decided
    explained: list[str] = field(default_factory=list)  # what is missing because of a fault: a sentence each

    @property
    def violations(self) -> list[str]:
        """What broke, then what could not be decided: a sentence each."""
        return [found.text for found in (*self.broke, *self.doubts)]


class MachineRow(Struct, kw_only=True):
    """One machine, and how it fared."""

    id: str
    parent: str | None
    kind: str | None
    depth: int
    fared: Literal["well", "badly", "unknown"]
    why: str = ""  # the first sentence that names it
    sent: int = 0
    handled: int = 0


class Latency(Struct, kw_only=True):
    """Milliseconds from made to handled, of the messages that crossed `hops` links."""

    hops: int
    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    flagged: bool = False  # taken while the CPUs were overloaded


class ClockRow(Struct, kw_only=True):
    """How far the terminal's clock is ahead of one machine's, as that machine said last."""

    machine: str
    offset_ms: float | None = None  # None where it never said
    uncertainty_ms: float | None = None
    told: int = 0  # how often it said


class Rate(Struct, kw_only=True):
    """Messages handled in one second of the run, all machines together, by key."""

    second: int
    by_key: dict[str, int]


class Event(Struct, kw_only=True):
    """One thing that happened, for the timeline: seconds since the run began."""

    at_s: float
    machine: str
    what: str  # start, ready, handshake, START, STOP, graduation, kill, restart, exception, storm, …
    note: str = ""


class LinkRow(Struct, kw_only=True):
    """One thing that a link did: seconds since the run began. A link is named by the lower of its two machines."""

    at_s: float
    link: str
    what: str  # as its relay calls it: connected, reset, …
    facts: str = ""  # "to_parent_bytes 1,204, connections 2"


class TrialRow(Struct, kw_only=True):
    """The trials of one rig: a message a stage."""

    rig: str
    made: int
    sent: int
    handled: int
    confirmed: int
    twice: int
    missing: list[str] = field(default_factory=list)  # ids


class StreamRow(Struct, kw_only=True):
    """One stream, from one machine."""

    machine: str
    stream: str
    to: str
    reliable: bool
    sent: int
    received: int
    missing: list[str] = field(default_factory=list)  # "120-124"
    where: str = ""  # where they were lost, if that is known
    repeated: int = 0
    out_of_order: int = 0
    wrong: int = 0  # arrived, with other bytes
    items_per_s: float = 0.0
    mb_per_s: float = 0.0


class ProcessRow(Struct, kw_only=True):
    """What one process used."""

    name: str
    pid: int
    memory_mb: float  # the most it had, resident
    cpu_pct: float  # of one core, on average


class Cpu(Struct, kw_only=True):
    """How loaded the whole machine was."""

    cores: int
    median_pct: float
    max_pct: float
    overloaded_s: float  # seconds above 90 %


class Report(Struct, kw_only=True):
    """One run."""

    lab: str
    file: str
    seed: int
    started: str  # ISO 8601
    took_s: float
    up_s: float | None
    verdict: Literal["held", "broke", "unsettled", "interrupted"]
    sentence: str  # the verdict, in words that name rigs and numbers
    advice: str  # what to do
    broke: list[str] = field(default_factory=list)  # what broke, worst first; any program's exception first of all
    exceptions: list[str] = field(default_factory=list)  # tracebacks of programs, with the machine's id
    replay: str | None = None  # the command that runs it again
    versions: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    machines: list[MachineRow] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    clocks: list[ClockRow] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    links: list[LinkRow] = field(default_factory=list)  # none where no link had a relay
    diagram: Diagram | None = None  # where something broke, or did not settle
    trials: list[TrialRow] = field(default_factory=list)
    streams: list[StreamRow] = field(default_factory=list)
    processes: list[ProcessRow] = field(default_factory=list)
    cpu: Cpu | None = None
    storm: str = ""  # "25 examples of up to 200 messages: 3,412 messages"
    pace: str = ""  # of a run in virtual time: how much of it passed, and how fast
    not_proven: list[str] = field(default_factory=list)


def to_json(report: Report) -> bytes:
    """What `--json` prints: all fields, and the `violations` of each check as sentences."""
    told = msgspec.to_builtins(report)
    for check, printed in zip(report.checks, told["checks"], strict=True):
        printed["violations"] = check.violations
    return msgspec.json.encode(told)
