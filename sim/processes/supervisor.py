"""The processes of a lab and the lines to them: started, heard, killed, started again, stopped still, ended.

A participant is named as it is on the wire: `rig_1` is a station, `_rig_1` is a program. Who ends without having been
killed here has died.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from sim.emulator.convergence import Picture
from sim.emulator.sender import Place
from sim.evidence.journal import Writer
from sim.processes.machines import ProgramProcess, make_station

__all__ = ["Crew"]


class Crew:
    """All participants of one lab. `ports` has where each station listens, `upward` where each connects to; who
    has died is added to `died`.
    """

    def __init__(
        self, place: Place, journal: Writer, *, ports: dict[str, int], upward: dict[str, int], died: list[str]
    ) -> None:
        self.shook: Counter[str] = Counter()  # how often the terminal's program heard of a machine
        self.heard: set[tuple[Any, ...]] = set()  # words, the participant last
        self.expected: dict[str, Any] = {}
        self.pictures: dict[str, tuple[int, Picture]] = {}
        self._died = died
        self.lives: dict[str, int] = {}
        self.may_end = False
        self._place = place
        self._journal = journal
        self._ports = ports
        self._upward = upward
        self._lines: dict[str, Connection] = {}
        self._processes: dict[str, Any] = {}
        self._still: dict[str, list[tuple[Any, ...]]] = {}  # who is stopped, and what it is to be told when it goes on

    # -- lives -----------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a participant, for the first time or again, and do not wait until it is ready."""
        machine = self._place.topology.machine(name.removeprefix("_"))
        life = self.lives[name] = self.lives.get(name, -1) + 1
        line, theirs = multiprocessing.Pipe()
        if name.startswith("_"):
            program = ProgramProcess(self._place, machine, self._ports[machine.id], theirs, life)
            program.start()
            self._processes[name] = program
        else:
            port, above = self._ports[machine.id], self._upward.get(machine.id, 0)
            station = make_station(self._place, machine, port, above, theirs, life)
            station.begin()
            self._processes[name] = station
        theirs.close()
        self._lines[name] = line

    def kill(self, names: Iterable[str]) -> None:
        """SIGKILL all of these, one right after the other; they are dead when it returns."""
        killed = list(names)
        for name in killed:
            self._processes[name].kill()
        for name in killed:
            self.bury(name)

    def bury(self, name: str) -> None:
        """Somebody has been killed: hear what it had yet said, and forget that it was ready."""
        self._processes[name].join()
        line = self._lines.pop(name)
        while line.poll() and self._hear(line):
            pass
        line.close()
        self._still.pop(name, None)
        self.heard.discard(("ready", name))

    def stop(self, name: str) -> None:
        """SIGSTOP: it stands still."""
        self._still[name] = []
        self._signal(name, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """SIGCONT: it goes on, and is told what it was to be told meanwhile."""
        self._signal(name, signal.SIGCONT)
        for words in self._still.pop(name):
            self.send(name, *words)

    def is_there(self, name: str) -> bool:
        """Whether it lives, stopped or not."""
        return name in self._lines

    def is_still(self, name: str) -> bool:
        """Whether it is stopped."""
        return name in self._still

    def is_up(self, name: str) -> bool:
        """Whether it lives and is not stopped."""
        return self.is_there(name) and not self.is_still(name)

    def sentinel(self, name: str) -> int:
        """What `multiprocessing.connection.wait` takes to wait for its end."""
        return int(self._processes[name].sentinel)

    @property
    def names(self) -> list[str]:
        """Those that live."""
        return list(self._lines)

    @property
    def processes(self) -> dict[str, int]:
        """Name → process id, of those that run."""
        every = list(self._processes.items())
        return {_spoken(name): int(process.pid) for name, process in every if process.is_alive()}

    # -- lines -----------------------------------------------------------------------------------------------------

    def send(self, name: str, *words: Any) -> None:
        """Order something. To the dead it is not said; to who stands still, when it goes on: a full pipe blocks."""
        if name in self._still:
            self._still[name].append(words)
        elif name in self._lines:
            try:
                self._lines[name].send(words)
            except OSError:
                self._note_end(name)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Hear what processes say until `condition`; False if it did not come by `timeout`, or could not any more."""
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self._lines:
                return False
            self._listen(left)
        return True

    def wait_until(self, at: float) -> None:
        """Hear what processes say until then."""
        while (left := at - time.monotonic()) > 0:
            self._listen(left)

    def all_said(self, *words: Any, by: Iterable[str]) -> bool:
        """Whether each of `by` that lives has said these words."""
        return all((*words, name) in self.heard for name in by if name in self._lines)

    def _signal(self, name: str, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself, which its line will tell
            os.kill(self._processes[name].pid, what)

    def _listen(self, timeout: float) -> None:
        names = {line: name for name, line in self._lines.items()}
        for line in connection.wait(list(names), timeout):
            if isinstance(line, Connection) and not self._hear(line):
                self._note_end(names[line])

    def _hear(self, line: Connection) -> bool:
        """Whether there was more to hear."""
        try:
            words = line.recv()
        except (EOFError, OSError):
            return False
        what, name = words[0], words[-1]
        if what == "expected":
            self.expected[name.removeprefix("_")] = words[1]
        elif what == "whole":
            self.pictures[name] = (words[1], words[2])
        elif what != "exception":  # which is in the journal
            if what == "shook":
                self.shook[words[1]] += 1
            self.heard.add(tuple(tuple(word) if isinstance(word, list) else word for word in words))
        return True

    def _note_end(self, name: str) -> None:
        line = self._lines.pop(name, None)
        if line is None:
            return
        line.close()
        self._still.pop(name, None)
        if not self.may_end:
            self._died.append(name)
            self._journal.write("died", to=name)

    # -- down ------------------------------------------------------------------------------------------------------

    def quit(self, timeout: float) -> None:
        """Have programs say KILL to their stations, and wait until all have ended; who stands still is killed."""
        self.may_end = True
        self.kill(list(self._still))
        for name in self.names:
            if name.startswith("_"):
                self.send(name, "quit")
        deadline = time.monotonic() + timeout
        every = self._processes.values()
        while (left := [p.sentinel for p in every if p.is_alive()]) and time.monotonic() < deadline:
            connection.wait(left, max(0.0, deadline - time.monotonic()))

    def close(self, timeout: float) -> None:
        """Everything has been killed."""
        for process in self._processes.values():
            process.join(timeout)
        for line in self._lines.values():
            line.close()
        self._lines = {}


def _spoken(name: str) -> str:
    return f"{name[1:]} program" if name.startswith("_") else f"{name} station"
