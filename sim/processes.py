"""A lab of real processes on loopback: started, played on, stormed, stopped; and nothing of it outlives the parent.

The parent holds every port bound and unlistened, so that a station which is killed gets its port back, and hears from
each process over a pipe of its own. It waits for words and for ends of processes, never for time to pass.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq

from sim import guardian
from sim.actors import Actor
from sim.faults import Action
from sim.journal import Journal, Reader, Writer
from sim.machines import ProgramProcess, make_station
from sim.parts import parts
from sim.payloads import noise, opaque_bytes
from sim.scenario import Crash, Example, Opaque, Twice, twice_id
from sim.speaker import Place
from sim.topology import Machine, Topology, graph
from sim.world import LabError

__all__ = ["Lab", "LabError", "preload", "uninterrupted"]

STOP_S = 3.0
ACTOR_S = 5.0  # how long after all else has settled an actor waits for what can no longer be repeated
READY_S = 60.0


class Lab:
    """One lab. Use as a context manager: whatever happens, its processes end."""

    def __init__(self, topology: Topology, *, seed: int, folder: Path) -> None:
        self.topology = topology
        self.graph = graph(topology)
        self.folder = folder
        self.shook: Counter[str] = Counter()
        self.exceptions: list[Any] = []
        self.died: list[str] = []
        self.settle_s = 3.0 + 7 * topology.repeat_interval_s
        self._seed = seed
        self._expected: dict[str, Any] = {}
        self._heard: set[tuple[Any, ...]] = set()
        self._lines: dict[str, Connection] = {}
        self._stations: dict[str, Any] = {}
        self._programs: dict[str, ProgramProcess] = {}
        self._lives: Counter[str] = Counter()
        self._held: list[socket.socket] = []
        self._ports: dict[str, int] = {}
        self._actors: dict[str, Actor] = {}
        self._guardian: subprocess.Popen[bytes] | None = None
        self._may_end = False
        self._doomed: set[str] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        for name in ("journal", "logs", "files", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._journal = Writer(folder / "journal", "parent")
        self._reader = Reader(folder / "journal")

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- up ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every process, and wait until each says that it is ready. Raises `LabError`."""
        self._make_files()
        self._guardian = subprocess.Popen(  # noqa: S603  # our own file, by our own interpreter
            [sys.executable, "-I", guardian.__file__], stdin=subprocess.PIPE, process_group=0
        )
        self._place = Place(topology=self.topology, seed=self._seed, folder=self.folder, group=self._guardian.pid)
        self._hold_ports()
        for machine in self.topology.machines:
            self._start_station(machine)
        for machine in self.topology.machines:
            line, theirs = multiprocessing.Pipe()
            program = ProgramProcess(self._place, machine, self._ports[machine.id], theirs, 0)
            program.start()
            theirs.close()
            self._lines["_" + machine.id], self._programs[machine.id] = line, program
        wanted = {("ready", name) for name in self._lines}
        if not self._wait(lambda: wanted <= self._heard, READY_S):
            late = sorted(name for _, name in wanted - self._heard)
            raise LabError(f"not ready within {READY_S:.0f} s: {', '.join(late)}; see {self.folder / 'logs'}")

    def await_handshakes(self) -> list[str]:
        """Wait until the terminal's program has heard of every machine's program; the machines it has not."""
        expected = [machine.id for machine in self.topology.machines[1:]]

        def missing() -> list[str]:
            return [name for name in expected if ("shook", name, True, self._terminal) not in self._heard]

        self._wait(lambda: not missing(), self.settle_s)
        return missing()

    @property
    def processes(self) -> dict[str, int]:
        """Name → process id, of those that run."""
        every = {f"{name} station": p for name, p in self._stations.items()}
        every |= {f"{name} program": p for name, p in self._programs.items()}
        return {name: process.pid for name, process in every.items() if process.is_alive()}

    # -- the session ---------------------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session; whether it came to its end."""
        del actions, examples
        if not session:
            return True
        self._lines[self._terminal].send(("play",))
        return self._wait(
            lambda: ("played", self._terminal) in self._heard, self.topology.session.duration_s + self.settle_s
        )

    def heal(self) -> list[str]:
        """There is nothing to heal yet."""
        return []

    def ask(self) -> None:
        """Have the terminal ask for proof that its copies are whole."""
        self._lines[self._terminal].send(("ask",))

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; what still is, by id."""
        programs = ["_" + machine.id for machine in self.topology.machines]
        for name in programs:
            self._send(name, "settle", token, self.settle_s)

        def answers() -> list[tuple[Any, ...]]:
            return [words for words in self._heard if words[0] == "settled all" and words[1] == token]

        self._wait(lambda: len(answers()) == len(programs), self.settle_s + 5)
        silent = set(programs) - {words[-1] for words in answers()}
        return [*(f"{name} does not answer" for name in sorted(silent)), *(i for words in answers() for i in words[2])]

    def expected(self) -> dict[str, Any]:
        """What each of the lab's own programs says that it should have produced; None of one that does not say."""
        own = [machine.id for machine in self.topology.machines if machine.program]
        for name in own:
            self._send("_" + name, "expected")
        self._wait(lambda: len(self._expected) == len(own), 5.0)
        return {name: self._expected.get(name) for name in own}

    # -- storms --------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled; whether it has."""
        senders, due = parts(example)
        for name, count in sorted(due.items()):
            self._send(name, "expect", number, count)
        for name, ops in sorted(senders.items()):
            self._send(name, "storm", number, ops)
        self._act(example, number)
        for op in example.ops:
            if isinstance(op, Crash):
                self._await_crash(op)
        wanted = {("settled", number, name) for name in senders} | {("reached", number, name) for name in due}
        settled = self._wait(lambda: wanted <= self._heard, self.settle_s)
        self._hear_actors(example, number)
        return settled

    def _act(self, example: Example, number: int) -> None:
        """The bare actors' part."""
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = actor.twice(op, number, n)
                self._journal.write("made twice", by=actor.name, id=said, key="STORM", to=op.to, example=number, n=n)
            elif isinstance(op, Opaque):
                actor, other = self._actor(op.at), self._actor(op.to, "b")
                actor.opaque(opaque_bytes(op.size, op.seed, number, n), self.path(op.at, op.to), other.name)

    def _hear_actors(self, example: Example, number: int) -> None:
        deadline = time.monotonic() + ACTOR_S
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = twice_id(actor.name, number, n)
                how = "confirmed" if actor.confirmed(said, deadline) else "no confirmation came"
                self._journal.write("settled", by=actor.name, id=said, key="STORM", to=op.to, example=number, value=how)
            elif isinstance(op, Opaque):
                other, sent = self._actor(op.to, "b"), opaque_bytes(op.size, op.seed, number, n)
                came = other.receive(deadline, lambda frames, sent=sent: frames == [sent]) is not None
                self._journal.write("opaque", by=other.name, value=came, example=number, n=n)

    def _await_crash(self, op: Crash) -> None:
        """Wait for the station to be killed in its handler, start it again, and wait until all below is known again."""
        below = [name for name in self._subtree(op.to) if name != self.topology.terminal.id]
        before = {name: self.shook[name] for name in below}
        station = self._stations[op.to]
        self._doomed.add(op.to)
        if not connection.wait([station.sentinel], self.settle_s):
            self._doomed.discard(op.to)
            return  # it was not killed: the checks will find no handling that began
        station.join()
        self._journal.write("kill", to=op.to)
        self._lines.pop(op.to).close()
        self._heard.discard(("ready", op.to))
        self._lives[op.to] += 1
        self._start_station(self.topology.machine(op.to))
        self._wait(lambda: ("ready", op.to) in self._heard, READY_S)
        self._doomed.discard(op.to)
        self._journal.write("restart", to=op.to)
        self._wait(lambda: all(self.shook[name] > before[name] for name in below), self.settle_s)

    def path(self, frm: str, to: str) -> list[str]:
        """The machines from one to another, both included, by the tree."""
        import networkx as nx

        return [str(name) for name in nx.shortest_path(self.graph.to_undirected(as_view=True), frm, to)]

    def _subtree(self, machine: str) -> list[str]:
        import networkx as nx

        return [machine, *sorted(nx.descendants(self.graph, machine))]

    def _actor(self, machine: str, suffix: str = "a") -> Actor:
        name = f"actor.{machine}.{suffix}"
        if name not in self._actors:
            if self._context is None:
                self._context = zmq.Context()
            actor = self._actors[name] = Actor(self._context, name, machine, self._ports[machine])
            if not actor.hello(time.monotonic() + READY_S):
                raise LabError(f"the station {machine} does not answer a bare zmq peer")
        return self._actors[name]

    def more(self) -> Journal:
        """What was written down since the last call."""
        return self._reader.more()

    # -- down ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End everything: programs say KILL to their stations; what is left after a moment is killed as a group."""
        with uninterrupted():
            self._stop()

    def _stop(self) -> None:
        self._may_end = True
        for name in list(self._lines):
            if name.startswith("_"):
                self._send(name, "quit")
        every = [*self._programs.values(), *self._stations.values()]
        deadline = time.monotonic() + STOP_S
        while (left := [p.sentinel for p in every if p.is_alive()]) and time.monotonic() < deadline:
            connection.wait(left, max(0.0, deadline - time.monotonic()))
        self.kill()
        for process in every:
            process.join(STOP_S)
        things: list[Any] = [*self._lines.values(), *self._actors.values(), *self._held]
        for thing in things:
            thing.close()
        if self._context is not None:
            self._context.term()
        self._lines, self._actors, self._held, self._context = {}, {}, [], None

    def kill(self) -> None:
        """Kill the whole group at once."""
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            self._guardian.wait(STOP_S)
            self._guardian = None

    # -- below ---------------------------------------------------------------------------------------------------

    @property
    def _terminal(self) -> str:
        return "_" + self.topology.terminal.id

    def _start_station(self, machine: Machine) -> None:
        line, theirs = multiprocessing.Pipe()
        station = make_station(self._place, machine, self._ports, theirs, self._lives[machine.id])
        station.begin()
        theirs.close()
        self._lines[machine.id], self._stations[machine.id] = line, station

    def _hold_ports(self) -> None:
        for machine in self.topology.machines:
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            self._held.append(held)
            self._ports[machine.id] = held.getsockname()[1]

    def _make_files(self) -> None:
        """Give the terminal the files that tasks name: the lab's own, and made-up ones of the sizes in the file."""
        target = self.folder / "files" / self.topology.terminal.id
        target.mkdir(parents=True, exist_ok=True)
        for name, kilobytes in self.topology.files.synthetic_kb.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise("uint8", (int(kilobytes * 1000),), self._seed).tobytes())
        named = {str(sound) for machine in self.topology.machines for sound in machine.task.get("sounds", [])}
        for name in sorted(named - set(self.topology.files.synthetic_kb)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((self.topology.file_dir / name).read_bytes())

    def _send(self, name: str, *words: Any) -> None:
        try:
            self._lines[name].send(words)
        except OSError:
            self._note_end(name)

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Hear what processes say until `condition`; False if it did not come by `timeout`, or could not any more."""
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self._lines:
                return False
            ready = connection.wait(list(self._lines.values()), left)
            self._hear(ready)
        return True

    def _hear(self, ready: Iterable[Any]) -> None:
        names = {line: name for name, line in self._lines.items()}
        for line in ready:
            try:
                words = line.recv()
            except (EOFError, OSError):
                self._note_end(names[line])
                continue
            if words[0] == "shook":
                self.shook[words[1]] += 1
            elif words[0] == "exception":
                self.exceptions.append(words[1])
                continue
            elif words[0] == "expected":
                self._expected[words[-1].removeprefix("_")] = words[1]
                continue
            self._heard.add(tuple(tuple(word) if isinstance(word, list) else word for word in words))

    def _note_end(self, name: str) -> None:
        line = self._lines.get(name)
        if line is None or name in self._doomed:
            return
        del self._lines[name]
        line.close()
        if not self._may_end:
            self.died.append(name)
            self._journal.write("died", to=name)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: what must be done, ending processes and writing the report, is done even if it is pressed twice."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def preload() -> None:
    """Have the fork server import once what every process needs; call it before the first process starts."""
    multiprocessing.set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(["sim.machines"])
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a pool of threads in each of 80 processes helps nobody
