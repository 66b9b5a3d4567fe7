"""Supervises the processes of a lab: starts, kills, restarts, pauses and ends them, and reads their reports.

A process is named by its participant on the wire: `rig_1` is a station, `_rig_1` is a program. A process that ends
without having been killed here has died.
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

from sim.emulator.convergence import Snapshot
from sim.evidence.journal import Writer
from sim.processes.machines import ProgramProcess, make_station
from sim.processes.start_up import RunContext
from sim.processes.watch.deaths import death_facts
from sim.world import LabError

__all__ = ["Supervisor"]

GATHER_S = 0.3  # how long the supervisor looks for more processes that ended, once one has
# The exit codes of a process that was told to end, or was killed here. `multiprocessing` says 255 where its fork server
# has not told how a process ended, as when both end at about the same time.
WELL = (None, 0, -signal.SIGKILL, 255)
STATION_S = 2.0  # from the end of the programs until all stations have ended
END_S = 1.0  # from a closed pipe until the process has ended


class Supervisor:
    """The processes of one lab. One thread calls it.

    `ports` has the port at which each station listens, `upward` the port to which each connects. A process that dies is
    added to `died`. A report is a tuple of words, which ends with the name of its process.
    """

    def __init__(
        self, context: RunContext, journal: Writer, *, ports: dict[str, int], upward: dict[str, int], died: list[str]
    ) -> None:
        self.handshakes: Counter[str] = Counter()  # machine -> handshakes that reached the terminal's program
        self.reports: set[tuple[Any, ...]] = set()
        self.expected: dict[str, Any] = {}  # machine -> what its own program expects
        self.snapshots: dict[str, tuple[int, Snapshot]] = {}  # the last one, with the number of the request
        self.lives: dict[str, int] = {}  # how often each was restarted
        self.hanging: list[str] = []  # the listens that do not return, each with its machine
        self.may_end = False
        self.doomed: set[str] = set()  # whose end is planned, though nobody here kills them
        self._died = died
        self._context = context
        self._journal = journal
        self._ports = ports
        self._upward = upward
        self._pipes: dict[str, Connection] = {}
        self._processes: dict[str, Any] = {}
        self._paused: dict[str, list[tuple[Any, ...]]] = {}  # with the orders to send when it is resumed

    # -- lives -----------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a process, for the first time or again, and do not wait until it is ready."""
        machine = self._context.topology.machine(name.removeprefix("_"))
        life = self.lives[name] = self.lives.get(name, -1) + 1
        pipe, theirs = multiprocessing.Pipe()
        if name.startswith("_"):
            program = ProgramProcess(self._context, machine, self._ports[machine.id], theirs, life)
            program.start()
            self._processes[name] = program
        else:
            port, above = self._ports[machine.id], self._upward.get(machine.id, 0)
            station = make_station(self._context, machine, port, above, theirs, life)
            station.begin()
            self._processes[name] = station
        theirs.close()
        self._pipes[name] = pipe

    def kill(self, names: Iterable[str]) -> None:
        """SIGKILL these processes, one right after the other. They are dead when it returns."""
        killed = list(names)
        for name in killed:
            self._processes[name].kill()
        for name in killed:
            self.reap(name)

    def reap(self, name: str) -> None:
        """Join a process that was killed: read its last reports, and forget that it was ready."""
        self._processes[name].join()
        pipe = self._pipes.pop(name, None)
        while pipe is not None and pipe.poll() and self._read(pipe):
            pass
        if pipe is not None:
            pipe.close()
        self.doomed.discard(name)
        self._paused.pop(name, None)
        self.reports.discard(("ready", name))

    def pause(self, name: str) -> None:
        """Pause a process by SIGSTOP."""
        self._paused[name] = []
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Resume a process by SIGCONT, and send it the orders that it got meanwhile."""
        self._signal(name, signal.SIGCONT)
        for order in self._paused.pop(name):
            self.send(name, *order)

    def dump_stacks(self, names: Iterable[str]) -> None:
        """Have each of these that runs write the stacks of all its threads into its log, whatever it is busy with."""
        for name in names:
            if name in self._pipes:
                self._signal(name, signal.SIGUSR1)

    def is_alive(self, name: str) -> bool:
        """Whether it runs, paused or not."""
        return name in self._pipes

    def is_paused(self, name: str) -> bool:
        """Whether it is paused."""
        return name in self._paused

    def is_up(self, name: str) -> bool:
        """Whether it runs and is not paused."""
        return self.is_alive(name) and not self.is_paused(name)

    def sentinel(self, name: str) -> int:
        """What `multiprocessing.connection.wait` takes to wait until a process has ended."""
        return int(self._processes[name].sentinel)

    @property
    def names(self) -> list[str]:
        """The names of the processes that run."""
        return list(self._pipes)

    @property
    def processes(self) -> dict[str, int]:
        """Display name → process id, of those that run."""
        every = list(self._processes.items())
        return {_display_name(name): int(process.pid) for name, process in every if process.is_alive()}

    # -- reports and orders ----------------------------------------------------------------------------------------

    def send(self, name: str, *order: Any) -> None:
        """Send an order. A dead process gets none. A paused one gets it when it is resumed: a full pipe would block."""
        if name in self._paused:
            self._paused[name].append(order)
        elif name in self._pipes:
            try:
                self._pipes[name].send(order)
            except OSError:
                self._note_end(name)

    def order(self, names: Iterable[str], *order: Any) -> None:
        """Send an order to each of these."""
        for name in names:
            self.send(name, *order)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Read reports until `condition` holds. False after `timeout` seconds, or when no process is left.

        Raises `LabError` once a process has ended by itself, or a listen hangs: what others wait for may never come.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            self._refuse_deaths()
            left = deadline - time.monotonic()
            if left <= 0 or not self._pipes:
                return False
            self._read_any(left)
        return True

    def wait_until(self, at: float) -> None:
        """Read reports until the monotonic clock says `at`. Raises `LabError` once a process has ended by itself."""
        while (left := at - time.monotonic()) > 0:
            self._refuse_deaths()
            self._read_any(left)
        self._refuse_deaths()

    def all_reported(self, *words: Any, by: Iterable[str]) -> bool:
        """Whether each of `by` that runs has made this report."""
        return all((*words, name) in self.reports for name in by if name in self._pipes)

    def has_answered(self, name: str, number: int) -> bool:
        """Whether the last snapshot of a process is for this request."""
        return name in self.snapshots and self.snapshots[name][0] == number

    def all_answered(self, number: int) -> bool:
        """Whether those of all that run are."""
        return all(self.has_answered(name, number) for name in self._pipes)

    def _signal(self, name: str, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself: its pipe will show it
            os.kill(self._processes[name].pid, what)

    def _read_any(self, timeout: float) -> None:
        names = {pipe: name for name, pipe in self._pipes.items()}
        for pipe in connection.wait(list(names), timeout):
            if isinstance(pipe, Connection) and not self._read(pipe):
                self._note_end(names[pipe])

    def _read(self, pipe: Connection) -> bool:
        """Read one report; False if the process has closed its pipe."""
        try:
            report = pipe.recv()
        except (EOFError, OSError):
            return False
        what, name = report[0], report[-1]
        if what == "expected":
            self.expected[name.removeprefix("_")] = report[1]
        elif what == "whole":
            self.snapshots[name] = (report[1], report[2])
        elif what == "hangs":
            self.hanging.append(f"{report[1]} of {name.removeprefix('_')}")
        elif what != "exception":  # the process has journalled it
            if what == "shook":
                self.handshakes[report[1]] += 1
            self.reports.add(tuple(tuple(word) if isinstance(word, list) else word for word in report))
        return True

    def _refuse_deaths(self) -> None:
        if self.hanging:
            raise LabError(f"the lab was stopped, since these do not return: {', '.join(self.hanging)}")
        if self._died:
            until = time.monotonic() + GATHER_S
            while (left := until - time.monotonic()) > 0 and self._pipes:
                self._read_any(left)
            raise LabError(f"the lab was stopped, since these ended by themselves: {', '.join(self._died)}")

    def _note_end(self, name: str) -> None:
        pipe = self._pipes.pop(name, None)
        if pipe is None:
            return
        pipe.close()
        self._paused.pop(name, None)
        if not self.may_end and name not in self.doomed:
            self._died.append(name)
            self._processes[name].join(END_S)
            self._note_death(name)

    def _note_death(self, name: str) -> None:
        facts = death_facts(self._context.folder, name, self._processes[name].exitcode)
        self._journal.write("died", to=name, value=facts)

    # -- down ------------------------------------------------------------------------------------------------------

    def quit(self, timeout: float) -> None:
        """Have each program send KILL to its station, and wait until all have ended. Paused processes are killed.

        Programs have `timeout` seconds. The station of a program that has died is told by nobody.
        """
        if self._pipes:
            self._read_any(0)  # one may have ended since the last wait
        self.may_end = True
        self.kill(list(self._paused))
        for name in self.names:
            if name.startswith("_"):
                self.send(name, "quit")
        self._await_ends([name for name in self._processes if name.startswith("_")], timeout)
        self._await_ends(list(self._processes), STATION_S)

    def _await_ends(self, names: list[str], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        every = [self._processes[name] for name in names]
        while (left := [p.sentinel for p in every if p.is_alive()]) and time.monotonic() < deadline:
            connection.wait(left, max(0.0, deadline - time.monotonic()))

    def close(self, timeout: float) -> None:
        """Join all processes and close their pipes. They have been killed before. Notes who ended badly meanwhile."""
        for name, process in self._processes.items():
            if name == "_" + self._context.debug and process.is_alive():
                process.kill()  # it is not in the group that was killed
            process.join(timeout)
            if name not in self._died and process.exitcode not in WELL:
                self._died.append(name)
                self._note_death(name)
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes = {}


def _display_name(name: str) -> str:
    return f"{name[1:]} program" if name.startswith("_") else f"{name} station"
