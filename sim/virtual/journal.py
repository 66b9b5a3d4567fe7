"""The journal of a virtual lab, in memory: entries of its processes, and traces of the effects of its endpoints."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.trace_format import facts
from sim.evidence.journal import Entry, Journal, Trace
from sim.scenario.clocks import MachineClock
from sim.virtual.event_loop import Loop

__all__ = ["VirtualJournal", "VirtualWriter"]

TRACE_FIELDS = frozenset(Trace.__struct_fields__)


class VirtualJournal:
    """The journal of one lab. Its times are those of `loop`."""

    def __init__(self, loop: Loop) -> None:
        self.entries: list[Entry] = []
        self._loop = loop
        self._traces: list[tuple[int, str, str, Effect]] = []
        self._returned = [0, 0]  # how many entries and traces `more` has returned

    @property
    def effects(self) -> int:
        """How many effects were journalled."""
        return len(self._traces)

    def writer(self, by: str, life: int = 0, clock: MachineClock | None = None) -> VirtualWriter:
        """A writer for one life of the process `by`, on a machine with that clock."""
        return VirtualWriter(self, by, life, clock)

    def now(self) -> int:
        """Virtual time, in ns."""
        return self._loop.now_us * 1_000

    def note(self, entry: Entry) -> None:
        """Add an entry, and set its time."""
        entry.t = self.now()
        self.entries.append(entry)

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Add an effect."""
        self._traces.append((self._loop.now_us, endpoint.id, endpoint.incarnation, effect))

    def more(self) -> Journal:
        """What was journalled since the last call."""
        entries, traces = self.entries[self._returned[0] :], self._traces[self._returned[1] :]
        self._returned = [len(self.entries), len(self._traces)]
        return Journal(entries=entries, traces=[_trace(*trace) for trace in traces])

    def digest(self) -> str:
        """A hash of the complete journal, in hex."""
        encode = msgspec.json.Encoder(order="deterministic").encode
        digest = hashlib.blake2b(digest_size=16)
        for entry in self.entries:
            digest.update(encode(entry))
        for trace in self._traces:
            digest.update(encode(_trace(*trace)))
        return digest.hexdigest()


class VirtualWriter:
    """Writes the entries of one life of a process. See `sim.emulator.sender.JournalWriter`."""

    def __init__(self, journal: VirtualJournal, by: str, life: int, clock: MachineClock | None) -> None:
        self.life = life
        self._journal = journal
        self._by = by
        self._clock = clock

    def now(self) -> int:
        """Virtual time, in ns."""
        return self._journal.now()

    def write(self, what: str, **facts: Any) -> None:
        """Add an entry with the present time. `facts` are fields of `Entry`."""
        wall = 0.0 if self._clock is None else self._clock.wall
        self._journal.note(Entry(t=0, wall=wall, by=facts.pop("by", self._by), life=self.life, what=what, **facts))


def _trace(t_us: int, at: str, life: str, effect: Effect) -> Trace:
    fields = {name: value for name, value in facts(effect).items() if name in TRACE_FIELDS}
    return Trace(t=t_us * 1_000, at=at, life=life, do=type(effect).__name__, **fields)
