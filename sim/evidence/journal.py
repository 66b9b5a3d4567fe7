"""What happened, in order: JSON lines that every process appends as it goes, and their reader.

Two kinds of file lie in a run's `journal` folder: `*.events.jsonl`, written by the emulated programs (`Entry`), and
`*.trace.jsonl`, written by the library's own `trace=` (`Trace`). Both use CLOCK_MONOTONIC, which is one clock for all
processes of a machine.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from sim.lab.names import machine_of

__all__ = ["Entry", "Journal", "Reader", "Trace", "Writer", "facts_told", "fault_told", "raised"]

BEGINS = re.compile(rb'\{"t":\d+,"(?:by|at)":')


class Entry(Struct, kw_only=True, omit_defaults=True):
    """One line of a program: `by` did `what` at `t` (ns)."""

    t: int
    by: str
    life: int = 0
    what: str  # made, settled, began, handled, item_made, item_got, state, clock, shook, cohere, exception, start, …
    id: str = ""
    key: str = ""
    to: str = ""
    sender: str = ""
    hops: list[str] = field(default_factory=list)
    sought: bool = False
    print: str = ""  # the fingerprint of a value
    first: str = ""  # of what was relayed: the id under which it began
    first_sender: str = ""
    redelivered: bool = False
    stream: str = ""
    n: int = 0
    example: int = -1
    value: Any = None


class Trace(Struct, kw_only=True):
    """One effect, as the library traced it. Of a Transmit, `id` to `origin` are what the head of its message tells."""

    t: int
    at: str
    life: str
    do: str
    peer: str = ""
    frames: list[str] = field(default_factory=list)
    size: int = 0
    digest: str = ""
    head: str = ""
    id: str = ""
    to: str = ""
    sender: str = ""
    key: str = ""
    value: str = ""  # of a CONFIRM, the id that it is about
    origin: str = ""  # of what was relayed, the id under which it began
    ticket: int = 0
    redelivered: bool = False
    reason: str = ""
    recipient: str = ""
    count: int = 0
    first: int = 0
    missing: int = 0


class Journal(Struct):
    """All of a run, or of a part of it, in the order of time."""

    entries: list[Entry] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def of(self, *what: str) -> Iterator[Entry]:
        """The entries of these kinds."""
        return (entry for entry in self.entries if entry.what in what)

    def example(self, number: int) -> list[Entry]:
        """The entries of one storm."""
        return [entry for entry in self.entries if entry.example == number]


class Writer:
    """Appends entries, each in one write. A SIGKILL may tear the one under way, and nothing that was written before."""

    def __init__(self, folder: Path, by: str, *, life: int = 0) -> None:
        self._fd = os.open(
            folder / f"{by}.events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._by = by
        self.life = life
        self._encoder = msgspec.json.Encoder()

    def write(self, what: str, **facts: Any) -> None:
        """Note that `what` happened, now."""
        entry = Entry(t=time.monotonic_ns(), by=facts.pop("by", self._by), life=self.life, what=what, **facts)
        os.write(self._fd, self._encoder.encode(entry) + b"\n")


class Reader:
    """Reads a folder as it grows. What a killed process left of its last line is not believed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.journal = Journal()

    def more(self) -> Journal:
        """What is new since the last call, added to `journal` too."""
        new = Journal(
            entries=sorted(self._new("*.events.jsonl", Entry), key=lambda entry: entry.t),
            traces=sorted(self._new("*.trace.jsonl", Trace), key=lambda trace: trace.t),
        )
        self.journal.entries += new.entries
        self.journal.traces += new.traces
        return new

    def _new(self, pattern: str, kind: Any) -> Iterable[Any]:
        decoder = msgspec.json.Decoder(kind)
        for path in sorted(self._folder.glob(pattern)):
            start = self._read.get(path, 0)
            with path.open("rb") as file:
                file.seek(start)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._read[path] = start + len(whole) + len(newline)
            for line in whole.splitlines():
                yield _decoded(line, decoder)


def _decoded(line: bytes, decoder: Any) -> Any:
    """One line; where a killed process left it torn, and its next life wrote on right behind that, the next life's."""
    try:
        return decoder.decode(line)
    except msgspec.DecodeError:
        *_, start = [0, *(found.start() for found in BEGINS.finditer(line))]
        return decoder.decode(line[start:])


# -- what an entry says ----------------------------------------------------------------------------------------------


def raised(entry: Entry) -> dict[str, str]:
    """Machine, exception and traceback. A lab's program may send ERROR by itself, with whatever in it."""
    value = entry.value if isinstance(entry.value, dict) else {}
    return {
        "machine": str(value.get("machine") or machine_of(entry.first_sender or entry.by)),
        "exception": str(value.get("exception") or entry.value),
        "traceback": str(value.get("traceback") or ""),
    }


def facts_told(value: Any) -> str:
    """'bytes_up 1,204, for_s 3': the facts of an entry in words, without what is empty."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    told = {name: fact for name, fact in value.items() if fact not in (None, "", [], {})}
    return ", ".join(f"{name} {fact:,}" if type(fact) is int else f"{name} {fact}" for name, fact in told.items())


def fault_told(entry: Entry) -> str:
    """What there is to say of a fault beside its verb and whom it struck; nothing if all of it is as usual."""
    usual = {"what": "machine", "way": "both", "probability": 1.0}
    value = entry.value if isinstance(entry.value, dict) else {}
    told = {name: fact for name, fact in value.items() if usual.get(name) != fact}
    return facts_told({name: fact for name, fact in told.items() if name not in ("at_us", "fault")})
