"""The journal of a run: JSON lines that every process appends, and their reader.

A run's `journal` folder has two kinds of file. The emulated programs write `*.events.jsonl` (`Entry`), and the library
writes `*.trace.jsonl` through its option `trace=` (`Trace`). Both use CLOCK_MONOTONIC, which all processes of a machine
share.
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

__all__ = ["Entry", "Journal", "Reader", "Trace", "Writer", "raised"]

TRIES = 3
AT_ONCE_NS = 100_000  # two clocks that are read within this are read at once
BEGINS = re.compile(rb'\{"t":\d+,"(?:by|at)":')


class Entry(Struct, kw_only=True, omit_defaults=True):
    """One line that a process wrote: `by` did `what` at `t` (ns). The fields that `what` does not need are left out."""

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
    first: str = ""  # of a relayed message: the id under which it began
    first_sender: str = ""
    redelivered: bool = False
    stream: str = ""
    n: int = 0
    example: int = -1
    expires_s: float = 0.0  # after how long a message is to be given up
    value: Any = None
    wall: float = 0.0  # what the wall clock of the machine showed at `t`, in seconds; 0: it was not read
    apart: int = 0  # how much later than `t` that may have been (ns)
    begun: int = 0  # made: when the library was called to make it (ns)
    known: tuple[float, float] | None = None  # made: the terminal's clock is so far ahead, and how sure that was (s)
    stamp: str = ""  # the `timestamp` of a message that arrived


class Trace(Struct, kw_only=True):
    """One effect, as the library traced it. For a Transmit, `id` to `origin` come from the head of its message."""

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
    value: str = ""  # of a CONFIRM: the id of the message that it confirms
    origin: str = ""  # of a relayed message: the id under which it began
    ticket: int = 0
    redelivered: bool = False
    reason: str = ""
    recipient: str = ""
    count: int = 0
    first: int = 0
    missing: int = 0


class Journal(Struct):
    """The entries and traces of a run, or of a part of it, each in the order of time."""

    entries: list[Entry] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def of(self, *what: str) -> Iterator[Entry]:
        """The entries whose `what` is one of these."""
        return (entry for entry in self.entries if entry.what in what)

    def example(self, number: int) -> list[Entry]:
        """The entries of storm `number`."""
        return [entry for entry in self.entries if entry.example == number]


class Writer:
    """Appends entries, each in one write. A SIGKILL may tear the last entry, and never one before it."""

    def __init__(self, folder: Path, by: str, *, life: int = 0, has_clock: bool = False) -> None:
        """`has_clock`: the process is one of a machine, whose wall clock it reads."""
        self._fd = os.open(
            folder / f"{by}.events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._by = by
        self.life = life
        self._has_clock = has_clock
        self._encoder = msgspec.json.Encoder()

    def write(self, what: str, **facts: Any) -> None:
        """Append an entry with the present time. `facts` are fields of `Entry`."""
        t, wall, apart = _clocks() if self._has_clock else (time.monotonic_ns(), 0.0, 0)
        entry = Entry(t=t, wall=wall, apart=apart, by=facts.pop("by", self._by), life=self.life, what=what, **facts)
        os.write(self._fd, self._encoder.encode(entry) + b"\n")


    @staticmethod
    def now() -> int:
        """The present time, in ns."""
        return time.monotonic_ns()


class Reader:
    """Reads a folder of journals as it grows. Ignores a last line that a killed process did not finish."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.journal = Journal()

    def more(self) -> Journal:
        """What was written since the last call. It is added to `journal` too."""
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
                complete, newline, _ = file.read().rpartition(b"\n")
            self._read[path] = start + len(complete) + len(newline)
            for line in complete.splitlines():
                yield _decoded(line, decoder)


def _clocks() -> tuple[int, float, int]:
    """The monotonic clock (ns), what the wall clock shows (s), and how much later that may be (ns).

    If a pause comes in between, the wall clock is not read, and 0.
    """
    for _ in range(TRIES):
        t, wall = time.monotonic_ns(), time.time()
        if (apart := time.monotonic_ns() - t) < AT_ONCE_NS:
            return t, wall, apart
    return time.monotonic_ns(), 0.0, 0


def _decoded(line: bytes, decoder: Any) -> Any:
    """Decode one line.

    A killed process may leave a torn entry, and its next life writes its first entry right behind it on the same line.
    Then the entry of the next life is returned.
    """
    try:
        return decoder.decode(line)
    except msgspec.DecodeError:
        *_, start = [0, *(found.start() for found in BEGINS.finditer(line))]
        return decoder.decode(line[start:])


# -- entries in words ------------------------------------------------------------------------------------------------


def raised(entry: Entry) -> dict[str, str]:
    """Machine, exception and traceback of an entry `exception`. A lab's program may send ERROR with any value."""
    value = entry.value if isinstance(entry.value, dict) else {}
    return {
        "machine": str(value.get("machine") or machine_of(entry.first_sender or entry.by)),
        "exception": str(value.get("exception") or entry.value),
        "traceback": str(value.get("traceback") or ""),
    }
