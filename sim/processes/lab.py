"""A lab of real processes on loopback: started, played with its faults, healed, stormed, and stopped.

The parent process keeps every station's port bound. It waits for reports and for processes to end, and for time only
between one fault and the next. However the parent ends, no process of the lab outlives it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from sim.emulator.convergence import divergences
from sim.evidence.journal import Journal, Reader, Writer
from sim.evidence.violation import Violation
from sim.faults.actions import Action, healing
from sim.faults.compile import actions
from sim.lab.fault import Link
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.processes import reaper
from sim.processes.clocks.wall_clocks import WallClocks
from sim.processes.faults import IMPOSSIBLE, LINK_VERBS, FaultInjector
from sim.processes.relay_process import LinkRelays, RelayedLink, RelayError
from sim.processes.signals import SignalPlayer
from sim.processes.start_up import RunContext, hold_port, make_files, started, uninterrupted
from sim.processes.storms import RunningStorm, StormPlayer
from sim.processes.supervisor import Supervisor
from sim.processes.watch.foreground import NO_LIMIT_S
from sim.scenario import Crash, Example
from sim.world import NO_END, LabError, settling_s

__all__ = ["Lab", "LabError"]

STOP_S = 8.0  # longer than the threads of a program may take to end
READY_S = 60.0
SNAPSHOTS_S = 0.2  # the wait between two requests for snapshots
CALM_S = 3.0  # with two repeats, how long a listen may run after a session without faults


class Lab:
    """One lab. Use it as a context manager, or call `stop`: its processes end in any case. Called by one thread.

    A link has a relay if a fault of the topology strikes it, or if the topology gives it a latency or a rate. `relayed`
    names more links, for actions that are made by hand. The program of the machine `debug` is in our terminal, and
    nothing waits for a limited time only.
    """

    def __init__(
        self, topology: Topology, *, seed: int, folder: Path, relayed: Iterable[str] = (), debug: str = ""
    ) -> None:
        self.topology = topology
        self.tree = Tree(topology)
        self.folder = folder
        self.died: list[str] = []
        self._debug = debug
        self.settle_s = self._limit(settling_s(topology))
        self._seed = seed
        self._relayed = {action.target for action in actions(topology, seed=seed) if action.verb in LINK_VERBS}
        self._relayed |= {*relayed, *(machine.id for machine in topology.machines if machine.link is not None)}
        self._stations = [machine.id for machine in topology.machines]
        self._programs = ["_" + machine.id for machine in topology.machines]
        self._terminal = "_" + topology.terminal.id
        self._held: dict[str, socket.socket] = {}
        self._supervisor: Supervisor | None = None
        self._player: StormPlayer | None = None
        self._faults: FaultInjector | None = None
        self._relays: LinkRelays | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._actions: tuple[Action, ...] = ()
        self._timed: list[RunningStorm] = []
        self._has_session = False
        for name in ("journal", "logs", "files", "state", "durable"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._journal = Writer(folder / "journal", "parent")
        self.clocks = WallClocks(topology, seed=seed, folder=folder, journal=self._journal)
        self._reader = Reader(folder / "journal")

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def supervisor(self) -> Supervisor:
        """The processes. Raises `LabError` if none was started."""
        return started(self._supervisor)

    @property
    def player(self) -> StormPlayer:
        """Plays storms. Raises `LabError` if no process was started."""
        return started(self._player)

    @property
    def faults(self) -> FaultInjector:
        """Carries out faults. Raises `LabError` if no process was started."""
        return started(self._faults)

    @property
    def processes(self) -> dict[str, int]:
        """Display name → process id, of the processes that run."""
        links = {} if self._relays is None or self._relays.pid is None else {"links": self._relays.pid}
        return {**({} if self._supervisor is None else self._supervisor.processes), **links}

    # -- up ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every process, and wait until each reports that it is ready. Raises `LabError`."""
        make_files(self.topology, self.folder / "files", seed=self._seed)
        self._reaper = subprocess.Popen(  # noqa: S603  # our own file, by our own interpreter
            [sys.executable, "-I", reaper.__file__], stdin=subprocess.PIPE, process_group=0
        )
        context = RunContext(
            self.topology, self._seed, self.folder, self._reaper.pid, debug=self._debug, pid=os.getpid()
        )
        self._held |= {name: hold_port() for name in self._stations}
        ports = {name: int(held.getsockname()[1]) for name, held in self._held.items()}
        upward = self._start_relays(context, ports)
        self._supervisor = Supervisor(context, self._journal, ports=ports, upward=upward, died=self.died)
        self._player = StormPlayer(self.topology, self._supervisor, self._journal, ports=ports)
        self._faults = FaultInjector(self.topology, self._supervisor, self._relays, self._journal, tree=self.tree)
        for name in [*self._stations, *self._programs]:
            self._supervisor.start(name)
        self._await_ready()

    def await_handshakes(self) -> list[str]:
        """Wait until every machine's program has shaken hands with the terminal's; the machines that have not."""
        expected = [machine.id for machine in self.topology.machines[1:]]

        def missing() -> list[str]:
            return [id for id in expected if ("shook", id, True, self._terminal) not in self.supervisor.reports]

        self.supervisor.wait(lambda: not missing(), self.settle_s)
        return missing()

    def _limit(self, seconds: float) -> float:
        return NO_LIMIT_S if self._debug else seconds

    def more(self) -> Journal:
        """What was journalled since the last call."""
        return self._reader.more()

    def _start_relays(self, context: RunContext, ports: Mapping[str, int]) -> dict[str, int]:
        """Start the relays. Returns the port that each machine connects to."""
        below = self.topology.machines[1:]
        upward = {machine.id: ports[str(machine.parent)] for machine in below}
        links = [
            RelayedLink(name=machine.id, port=upward[machine.id], link=machine.link or Link())
            for machine in below
            if machine.id in self._relayed
        ]
        if links:
            self._relays = LinkRelays(context, links)
            try:
                self._relays.start()
            except RelayError as error:
                raise LabError(str(error)) from error
            upward |= self._relays.ports
        return upward

    def _await_ready(self) -> None:
        """Wait until all processes that run are ready. Raises `LabError`."""
        supervisor = self.supervisor
        if not supervisor.wait(lambda: supervisor.all_reported("ready", by=supervisor.names), self._limit(READY_S)):
            late = sorted(name for name in supervisor.names if ("ready", name) not in supervisor.reports)
            supervisor.dump_stacks(late)
            raise LabError(f"not ready within {READY_S:.0f} s: {', '.join(late)}; see {self.folder / 'logs'}")

    # -- the session and its faults --------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults, and the storms that have a time. Leaves out verbs in `IMPOSSIBLE`.

        Returns whether the session came to its end. With actions it returns True: then `heal` awaits the end.
        """
        self._actions = tuple(action for action in actions if action.verb not in IMPOSSIBLE)
        for example in examples.values():
            self.player.connect_peers(example)
        begun = time.monotonic()
        self._has_session = session
        if session:
            self.supervisor.send(self._terminal, "play")
        for at_s, do in self._timetable(examples):
            self.supervisor.wait_until(begun + at_s)
            do()
        if session:
            self.supervisor.wait_until(begun + self.topology.session.duration_s)
        return bool(actions) or self._await_end()

    def heal(self) -> list[Violation]:
        """End every fault that lasts, and wait until the lab has converged; what has not."""
        for action in healing(self.topology, self._actions):
            self.faults.do(action)
        self._journal.write("healed")
        self._await_ready()
        open_ends = [] if self._await_end() else [NO_END]
        awaited = self.faults.awaited_handshakes
        self.supervisor.wait(lambda: not awaited(), self.settle_s)
        self.supervisor.order(self._programs, "call")
        late = [Violation("", (name,), (), f"{name} has not shaken hands again") for name in awaited()]
        return [*open_ends, *late, *self._await_convergence()]

    def ask(self) -> None:
        """Have the terminal ask every pilot for proof that its copies are whole."""
        self.supervisor.send(self._terminal, "ask")

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; what still is, in words."""
        left = [what for storm in self._timed for what in self._end_timed(storm)]
        self._timed.clear()
        supervisor = self.supervisor
        supervisor.order(self._programs, "settle", token, self.settle_s)

        def answers() -> list[tuple[Any, ...]]:
            return [report for report in supervisor.reports if report[0] == "settled all" and report[1] == token]

        def silent() -> list[str]:
            return sorted(set(self._programs) - {report[-1] for report in answers()})

        supervisor.wait(lambda: not any(map(supervisor.is_alive, silent())), self.settle_s + 5)
        supervisor.dump_stacks(silent())
        open_ids = [id for report in answers() for id in report[2]]
        return [*left, *(f"{name} does not answer" for name in silent()), *open_ids]

    def expected(self) -> dict[str, Any]:
        """What each of the lab's own programs expects of its session; None for a program that does not say."""
        own = [machine.id for machine in self.topology.machines if machine.program]
        supervisor = self.supervisor
        supervisor.order(["_" + name for name in own], "expected")
        supervisor.wait(lambda: len(supervisor.expected) == len(own), self._limit(5.0))
        return {name: supervisor.expected.get(name) for name in own}

    def _timetable(self, examples: Mapping[int, Example]) -> list[tuple[float, Callable[[], Any]]]:
        table: list[tuple[float, Callable[[], Any]]] = [
            (action.at_us / 1e6, partial(self.faults.do, action)) for action in self._actions
        ]
        table += [(example.at_s or 0.0, partial(self._start_timed, n, example)) for n, example in examples.items()]
        return sorted([*table, *(self.clocks.settings() if self._has_session else ())], key=lambda entry: entry[0])

    def _await_end(self) -> bool:
        """Wait until the terminal has played its session, if there is one; whether it has."""
        if not self._has_session:
            return True
        hangs_s = self.settle_s if self._actions else CALM_S + 2 * self.topology.repeat_interval_s
        self.supervisor.order(self._programs, "watch", self._limit(hangs_s))
        return self.supervisor.wait(lambda: ("played", self._terminal) in self.supervisor.reports, self.settle_s)

    def _await_convergence(self) -> list[Violation]:
        """Ask everybody for snapshots until all are right, or time is up; what is not right."""
        deadline, number, supervisor = time.monotonic() + self.settle_s, 0, self.supervisor
        every = [*self._stations, *self._programs]
        while True:
            number += 1
            supervisor.order(every, "whole", number)
            supervisor.wait(partial(supervisor.all_answered, number), self.settle_s)
            answered = {name for name in every if supervisor.has_answered(name, number)}
            snapshots = {name: supervisor.snapshots[name][1] if name in answered else None for name in every}
            wrong = divergences(self.tree, snapshots)
            if not wrong or time.monotonic() > deadline:
                break
            supervisor.wait_until(time.monotonic() + SNAPSHOTS_S)
        for name, snapshot in snapshots.items():
            if snapshot is not None:
                value = {name: getattr(snapshot, name) for name in snapshot.__struct_fields__}
                self._journal.write("whole", by=name, value=value)
        return wrong

    # -- storms --------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled; whether it has."""
        self.supervisor.doomed |= {op.to for op in example.ops if isinstance(op, Crash)}
        storm = self.player.start(number, example)
        for op in example.ops:
            if isinstance(op, Crash):
                self._await_crash(op)
        settled = self.supervisor.wait(lambda: not self.player.owing(storm, "settled", "reached"), self.settle_s)
        self.player.record_peers(storm)
        return settled

    def signal(self) -> bool:
        """Play the signals, and wait for the answers; whether all came."""
        return SignalPlayer(self.topology, self.supervisor, self._journal, ports=self.player.ports).play()

    def _start_timed(self, number: int, example: Example) -> None:
        """Start a storm during the session. `settle` waits for it."""
        self._timed.append(self.player.start(number, example))

    def _end_timed(self, storm: RunningStorm) -> list[str]:
        """Wait until a storm among faults has settled; what has not, in words. The checks judge what never arrived."""
        self.supervisor.wait(lambda: not self.player.owing(storm, "settled"), self.settle_s)
        left = [f"storm {storm.number} of {name}" for name in self.player.owing(storm, "settled")]
        # Unconfirmed messages may be lost for good. Those that still arrive do so within a repeat interval.
        self.supervisor.wait(lambda: not self.player.owing(storm, "reached"), self.topology.repeat_interval_s)
        self.player.record_peers(storm)
        return left

    def _await_crash(self, op: Crash) -> None:
        """Wait until the station is killed in its handler, restart it, and wait until all below it is known again."""
        supervisor = self.supervisor
        below = [name for name in self.tree.subtree(op.to) if name != self.topology.terminal.id]
        before = {name: supervisor.handshakes[name] for name in below}
        facts = {"what": "station", "way": "both", "fault": -1}
        self._journal.write("fault", key="kill", to=op.to, value=facts)
        if not connection.wait([supervisor.sentinel(op.to)], self.settle_s):
            return  # it was not killed: the checks will find no handling that began
        supervisor.reap(op.to)
        self._journal.write("fault", key="restart", to=op.to, value=facts)
        supervisor.start(op.to)
        self._await_ready()
        supervisor.wait(lambda: all(supervisor.handshakes[name] > before[name] for name in below), self.settle_s)

    # -- down ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End everything. Programs send KILL to their stations; after a moment the whole process group is killed."""
        if self._debug and self._supervisor is not None:
            with contextlib.suppress(KeyboardInterrupt):  # which ends the time that its `close()` has
                self._supervisor.quit(NO_LIMIT_S)
        with uninterrupted():
            self._stop()

    def _stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.quit(STOP_S)
        if self._relays is not None:
            self._relays.stop()  # before the group is killed, so that it journals what it carried
        self.kill()
        if self._supervisor is not None:
            self._supervisor.close(STOP_S)
        if self._player is not None:
            self._player.close()
        for held in self._held.values():
            held.close()

    def kill(self) -> None:
        """Kill the whole process group at once."""
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait(STOP_S)
            self._reaper = None
