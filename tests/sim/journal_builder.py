"""Builds journals: of any lab (`Story`), and of a small lab in which faults strike at given seconds (`Tale`)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.fault import Fault
from sim.lab.names import machine_of
from sim.lab.topology import Machine, Stream, Topology, Trials
from sim.verdict import Check

MS = 10**6
EPOCH = 1e9  # the time of day at t == 0, by a clock that is right
SEED = 7
WHEEL = Stream(fields=("x", "y"), rate_hz=10.0)
CAMERA = Stream(shape=(2, 3), dtype="uint16", rate_hz=5.0, reliable=False)


class Story:
    """A journal as programs and the library write it. Two lines are a millisecond apart."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.ahead: dict[str, float] = {}  # how many seconds the wall clock of a machine is ahead
        self._now = 10**9

    def note(self, what: str, by: str, **facts: Any) -> Entry:
        """Add an entry."""
        self._now += MS
        wall = EPOCH + self._now / 1e9 + self.ahead.get(machine_of(by), 0.0)
        self.journal.entries.append(Entry(t=self._now, wall=wall, by=by, what=what, **facts))
        return self.journal.entries[-1]

    def carry(self, id: str, *way: str, sending: str = "first") -> None:
        """A message crossed the links of this path, with the same bytes."""
        for at, peer in pairwise(way):
            self.trace("Transmit", at, peer=peer, digest=f"{id} {sending}", id=id, to=way[-1])

    def trace(self, do: str, at: str, **facts: Any) -> None:
        """Add a trace of an effect."""
        self._now += MS
        self.journal.traces.append(Trace(t=self._now, at=at, life="a", do=do, **facts))

    def message(self, id: str, way: list[str], *, sought: bool = True, **facts: Any) -> None:
        """A message was made, crossed its path, was handled under its own id, and was confirmed if sought."""
        self.note("made", way[0], id=id, to=way[-1], sought=sought, print=f"of {id}", **facts)
        self.carry(id, *way)
        self.note("handled", way[-1], id=id, sender=way[0], print=f"of {id}", **facts)
        if sought:
            self.note("settled", way[0], id=id, to=way[-1], value="confirmed", **facts)

    def relayed(self, id: str, way: list[str], *, by: str, key: str, value: Any = None, then: Any = None) -> None:
        """A program sent a message to a station, which relayed it to its program `by` under a new id."""
        self.note("made", way[0], id=id, key=key, to=way[-1], sought=True, print=f"of {id}")
        self.carry(id, *way)
        own = {"id": f"{way[-1]} for {id}", "sender": way[-1], "first": id, "first_sender": way[0]}
        self.note("handled", by, key=key, print=f"of {id}", value=value, **own)
        for telling in then or []:
            telling()
        self.note("settled", way[0], id=id, key=key, to=way[-1], value="confirmed")

    def shook(self, machine: str, *way: str) -> None:
        """The station and the program of a machine shook hands with the terminal."""
        for sender in (machine, "_" + machine):
            self.note("shook", "_T", first_sender=sender, value={"machine": machine, "way": list(way)})

    def heard(self, machine: str, state: str | None, *, sender: str) -> None:
        """The terminal's program received a state."""
        told = {"state": state, "pilot": machine}
        self.note("state", "_T", sender="T", first_sender=sender, value=told)

    def clock(self, machine: str, offset: float, uncertainty: float) -> None:
        """The terminal's program received a report of a machine's clock."""
        told = {"machine": machine, "offset": offset, "uncertainty": uncertainty}
        self.note("clock", "_T", sender="T", first_sender="_" + machine, value=told)

    def says(self, machine: str, state: str) -> None:
        """A program reported its state, and the terminal received it."""
        self.note("state", "_" + machine, value=state)
        self.heard(machine, state, sender="_" + machine)

    def item(self, stream: str, n: int, *, by: str, to: str, at: str, shown: str, **facts: Any) -> None:
        """An item was made for `to`, and received by `at`."""
        made = shown if "#" in stream else ""  # a session's item is known from the plan
        self.note("item_made", by, stream=stream, n=n, to=to, print=made, **facts)
        self.note("item_got", at, stream=stream, n=n, print=shown, **facts)


def append_to(folder: Path, journal: Journal) -> None:
    """Append a journal to the files of a folder, where `Reader` reads it."""
    for name, lines in (("story.events.jsonl", journal.entries), ("story.trace.jsonl", journal.traces)):
        with (folder / name).open("ab") as file:
            file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)


class Tale(Story):
    """A journal that begins at second 0, with faults."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0
        self.note("start", "T")

    def at(self, seconds: float) -> Tale:
        """Set the time of the next entry."""
        self._now = max(0, int(seconds * 1e9) - MS)
        return self

    def fault(self, verb: str, target: str, *, what: str = "machine", way: str = "both", number: int = 0) -> Entry:
        """The parent process carried out an action on a machine or a link."""
        return self.note("fault", "parent", key=verb, to=target, value={"what": what, "way": way, "fault": number})

    def struck(self, verb: str, target: str, *, since: float, until: float, end: str, **facts: Any) -> Tale:
        """A fault lasted from `since` to `until`. `end` is the verb that ended it."""
        self.at(since).fault(verb, target, **facts)
        self.at(until).fault(end, target, **facts)
        return self

    def begin_life(self, *names: str, life: int = 1) -> None:
        """Processes started in a new life."""
        for name in names:
            self.note("start", name, life=life)

    def frame(self, what: str, link: str, id: str = "") -> Entry:
        """A link dropped or duplicated one frame."""
        return self.note("frame", "parent", key=what, to=link, sender="", id=id, value={"to": ""})

    def made(self, id: str, frm: str, to: str, key: str = "STORM", *, sought: bool = True, **facts: Any) -> Entry:
        """A participant made a message to send."""
        return self.note("made", frm, id=id, key=key, to=to, sought=sought, print=f"of {id}", **facts)

    def handled(self, id: str, by: str, key: str = "STORM", **facts: Any) -> Entry:
        """A participant handled a message: directly, or relayed by its station if `first` is given."""
        own = {"id": id, "sender": "somebody"} if "first" not in facts else {"id": f"other {id}", "sender": "T"}
        return self.note("handled", by, key=key, print=f"of {id}", **{**own, **facts})

    def settled(self, id: str, by: str, value: str = "confirmed", key: str = "STORM", **facts: Any) -> Entry:
        """The sender of a message knows how it ended."""
        return self.note("settled", by, id=id, key=key, value=value, **facts)


def small_lab(*, durable: bool = False, **keys: Any) -> Topology:
    """T with rig_1 and rig_2, and cam below rig_1."""
    machines = (
        Machine("T", children=("rig_1", "rig_2"), durable=durable),
        Machine(
            "rig_1",
            parent="T",
            children=("cam",),
            trials=Trials(),
            durable=durable,
            subjects=("mouse",),
            streams={"wheel": WHEEL, "camera": CAMERA},
        ),
        Machine("rig_2", parent="T", durable=durable),
        Machine("cam", parent="rig_1", durable=durable),
    )
    keys.setdefault("faults", (Fault(at_s=10, cut="rig_1"),))
    return Topology(name="small", path="small.yaml", machines=machines, **keys)


def evidence(tale: Tale, *, durable: bool = False, session: bool = False, **keys: Any) -> Evidence:
    """The evidence of a tale, sorted by time."""
    topology = small_lab(durable=durable, **keys)
    tale.journal.entries.sort(key=lambda entry: entry.t)
    tale.journal.traces.sort(key=lambda trace: trace.t)
    return Evidence(topology=topology, seed=SEED, journal=tale.journal, session=session)


def checked(name: str, tale: Tale, **keys: Any) -> Check:
    """The result of one check."""
    return next(check for check in check_all(evidence(tale, **keys)) if check.name == name)
