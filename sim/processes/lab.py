"""A lab of real processes on loopback: started, played on amid faults, healed, stormed, stopped; nothing outlives it.

The parent holds every port bound and unlistened, so that a station which is killed gets its port back. It waits for
words and for ends of processes; time alone it waits for only between one fault and the next.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from sim.emulator.convergence import lacks
from sim.emulator.sender import Place
from sim.evidence.journal import Journal, Reader, Writer
from sim.faults.actions import Action, healing
from sim.faults.compile import actions
from sim.lab.fault import ACTION_VERBS
from sim.lab.topology import Link, Topology
from sim.lab.tree import Tree
from sim.processes import reaper
from sim.processes.relay_process import LinkError, Links, Relayed
from sim.processes.storms import Storms, Underway
from sim.processes.supervisor import Crew
from sim.scenario import Crash, Example
from sim.scenario.payloads import noise
from sim.world import LabError

__all__ = ["IMPOSSIBLE", "Lab", "LabError", "preload", "uninterrupted"]

IMPOSSIBLE = frozenset(verb for verb, facts in ACTION_VERBS.items() if facts.is_virtual)
"""What cannot be done to processes: TCP would hide it."""

STOP_S = 3.0
READY_S = 60.0
AGAIN_S = 0.2  # until a lab that is not yet whole is asked again
LINK_VERBS = {verb for verb, facts in ACTION_VERBS.items() if facts.on == "link"} - IMPOSSIBLE


class Lab:
    """One lab. Use as a context manager, or call `stop`: whatever happens, its processes end.

    The links that the topology's faults strike, and those that are like something, go through relays; `relayed` names
    more of them, for actions that are made by hand.
    """

    def __init__(self, topology: Topology, *, seed: int, folder: Path, relayed: Iterable[str] = ()) -> None:
        self.topology = topology
        self.tree = Tree(topology)
        self.folder = folder
        self.died: list[str] = []
        self.settle_s = 3.0 + 7 * topology.repeat_interval_s
        self._seed = seed
        self._relayed = {action.target for action in actions(topology, seed=seed) if action.verb in LINK_VERBS}
        self._relayed |= {*relayed, *(machine.id for machine in topology.machines if machine.link is not None)}
        self._held: list[socket.socket] = []
        self._ports: dict[str, int] = {}
        self._crew: Crew | None = None
        self._storms: Storms | None = None
        self._links: Links | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._actions: tuple[Action, ...] = ()
        self._timed: list[Underway] = []
        self._owed: dict[str, int] = {}  # machines that have to shake hands anew, and how often they had before
        self._plays = False  # whether there is a session
        for name in ("journal", "logs", "files", "state", "durable"):
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
        self._reaper = subprocess.Popen(  # noqa: S603  # our own file, by our own interpreter
            [sys.executable, "-I", reaper.__file__], stdin=subprocess.PIPE, process_group=0
        )
        place = Place(topology=self.topology, seed=self._seed, folder=self.folder, group=self._reaper.pid)
        self._hold_ports()
        upward = self._start_links(place)
        self._crew = Crew(place, self._journal, ports=self._ports, upward=upward, died=self.died)
        self._storms = Storms(self._crew, self._journal, ports=self._ports, path=self.tree.machines_between)
        for name in [*self._stations, *self._programs]:
            self._crew.start(name)
        self._await_ready()
        if self.died:
            raise LabError(f"ended before it was ready: {', '.join(self.died)}; see {self.folder / 'logs'}")

    def await_handshakes(self) -> list[str]:
        """Wait until the terminal's program has heard of every machine's program; the machines it has not."""
        expected = [machine.id for machine in self.topology.machines[1:]]

        def missing() -> list[str]:
            return [name for name in expected if ("shook", name, True, self._terminal) not in self.crew.heard]

        self.crew.wait(lambda: not missing(), self.settle_s)
        return missing()

    @property
    def crew(self) -> Crew:
        """The processes. Raises `LabError` where none was started."""
        if self._crew is None:
            raise LabError("the lab was not started")
        return self._crew

    @property
    def storms(self) -> Storms:
        """Who plays them. Raises `LabError` where no process was started."""
        if self._storms is None:
            raise LabError("the lab was not started")
        return self._storms

    @property
    def processes(self) -> dict[str, int]:
        """Name → process id, of those that run."""
        links = {} if self._links is None or self._links.pid is None else {"links": self._links.pid}
        return {**({} if self._crew is None else self._crew.processes), **links}

    # -- the session and its faults --------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the storms that have a time; whether the session came to its end, which is
        asked of `heal` where something was done to the lab. What cannot be done (`IMPOSSIBLE`) is left out.
        """
        self._actions = tuple(action for action in actions if action.verb not in IMPOSSIBLE)
        for example in examples.values():
            self.storms.call_actors(example)
        begun = time.monotonic()
        self._plays = session
        if session:
            self.crew.send(self._terminal, "play")
        for at_s, do in self._timetable(examples):
            self.crew.wait_until(begun + at_s)
            do()
        if session:
            self.crew.wait_until(begun + self.topology.session.duration_s)
        return bool(actions) or self._await_end()

    def heal(self) -> list[str]:
        """End every fault that still lasts, and wait until the lab is whole; what of it is not, in words."""
        for action in healing(self.topology, self._actions):
            self._do(action)
        self._journal.write("healed")
        self._await_ready()
        ended = [] if self._await_end() else ["the session did not come to its end"]

        def owing() -> list[str]:
            return [name for name, before in self._owed.items() if self.crew.shook[name] <= before]

        self.crew.wait(lambda: not owing(), self.settle_s)
        for name in self._programs:
            self.crew.send(name, "call")
        return [*ended, *(f"{name} has not shaken hands again" for name in owing()), *self._await_whole()]

    def ask(self) -> None:
        """Have the terminal ask for proof that its copies are whole."""
        self.crew.send(self._terminal, "ask")

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; what still is, in words."""
        left = [what for storm in self._timed for what in self._end_timed(storm)]
        self._timed.clear()
        for name in self._programs:
            self.crew.send(name, "settle", token, self.settle_s)

        def answers() -> list[tuple[Any, ...]]:
            return [words for words in self.crew.heard if words[0] == "settled all" and words[1] == token]

        def silent() -> list[str]:
            return sorted(set(self._programs) - {words[-1] for words in answers()})

        self.crew.wait(lambda: not any(map(self.crew.is_there, silent())), self.settle_s + 5)
        return [*left, *(f"{name} does not answer" for name in silent()), *(i for words in answers() for i in words[2])]

    def expected(self) -> dict[str, Any]:
        """What each of the lab's own programs says that it should have produced; None of one that does not say."""
        own = [machine.id for machine in self.topology.machines if machine.program]
        for name in own:
            self.crew.send("_" + name, "expected")
        self.crew.wait(lambda: len(self.crew.expected) == len(own), 5.0)
        return {name: self.crew.expected.get(name) for name in own}

    def _timetable(self, examples: Mapping[int, Example]) -> list[tuple[float, Callable[[], Any]]]:
        table: list[tuple[float, Callable[[], Any]]] = [
            (action.at_us / 1e6, partial(self._do, action)) for action in self._actions
        ]
        table += [(example.at_s or 0.0, partial(self._storm_amid, n, example)) for n, example in examples.items()]
        return sorted(table, key=lambda entry: entry[0])

    def _await_end(self) -> bool:
        """Wait until the terminal has played its session, if there is one to come; whether it has."""
        if not self._plays:
            return True
        return self.crew.wait(lambda: ("played", self._terminal) in self.crew.heard, self.settle_s)

    # -- faults ----------------------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        """Do one thing, and write it down before. What is so already is not done again."""
        names = [name for name in self._struck(action) if self._can(action.verb, name)]
        if ACTION_VERBS[action.verb].on == "machine":
            if names:
                self._note(action)
                self._strike(action.verb, names)
        elif self._links is None:
            raise LabError(f"the link of {action.target} has no relay, so {action.verb} is not possible")
        else:
            self._note(action)
            try:
                self._links.do(action)
            except LinkError as error:
                raise LabError(str(error)) from error

    def _note(self, action: Action) -> None:
        facts: dict[str, Any] = {"what": action.what, "way": action.way, "fault": action.fault}
        if action.verb == "shape":
            facts |= {name: getattr(action, name) for name in ("latency_ms", "jitter_ms", "rate_mbit")}
        self._journal.write("fault", key=action.verb, to=action.target, value=facts)

    def _struck(self, action: Action) -> list[str]:
        both = {"station": action.target, "program": "_" + action.target}
        return list(both.values()) if action.what == "machine" else [both[action.what]]

    def _can(self, verb: str, name: str) -> bool:
        there, still = self.crew.is_there(name), self.crew.is_still(name)
        return {"kill": there, "restart": not there, "pause": there and not still, "resume": still}.get(verb, False)

    def _strike(self, verb: str, names: list[str]) -> None:
        if verb == "kill":
            self.crew.kill(names)
        for name in names:
            if verb == "restart":
                self._owe(name)
                self.crew.start(name)
            elif verb == "pause":
                self.crew.stop(name)
            elif verb == "resume":
                self.crew.go_on(name)

    def _owe(self, name: str) -> None:
        """Who has to shake hands again when `name` has started: its machine, and behind a station all that is below."""
        machines = [name[1:]] if name.startswith("_") else self.tree.subtree(name)
        for machine in machines:
            if machine != self.topology.terminal.id:
                self._owed[machine] = self.crew.shook[machine]

    def _await_ready(self) -> None:
        """Wait until all who live are ready. Raises `LabError`."""
        if not self.crew.wait(lambda: self.crew.all_said("ready", by=self.crew.names), READY_S):
            late = sorted(name for name in self.crew.names if ("ready", name) not in self.crew.heard)
            raise LabError(f"not ready within {READY_S:.0f} s: {', '.join(late)}; see {self.folder / 'logs'}")

    def _await_whole(self) -> list[str]:
        """Ask everybody for a picture of the lab until all of them are right, or time is up; what is not right."""
        deadline, number, crew = time.monotonic() + self.settle_s, 0, self.crew
        every = [*self._stations, *self._programs]
        while True:
            number += 1
            for name in every:
                crew.send(name, "whole", number)
            crew.wait(partial(self._all_answered, number), self.settle_s)
            pictures = {name: crew.pictures[name][1] if self._answered(name, number) else None for name in every}
            wrong = lacks(self.topology, pictures)
            if not wrong or time.monotonic() > deadline:
                break
            crew.wait_until(time.monotonic() + AGAIN_S)
        for name, picture in pictures.items():
            if picture is not None:
                value = {name: getattr(picture, name) for name in picture.__struct_fields__}
                self._journal.write("whole", by=name, value=value)
        return wrong

    def _all_answered(self, number: int) -> bool:
        return all(self._answered(name, number) for name in self.crew.names)

    def _answered(self, name: str, number: int) -> bool:
        return name in self.crew.pictures and self.crew.pictures[name][0] == number

    # -- storms --------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled; whether it has."""
        storm = self.storms.begin(number, example)
        for op in example.ops:
            if isinstance(op, Crash):
                self._await_crash(op)
        settled = self.crew.wait(lambda: not self.storms.open(storm, "settled", "reached"), self.settle_s)
        self.storms.hear_actors(storm)
        return settled

    def _storm_amid(self, number: int, example: Example) -> None:
        """Send what can be sent now. Nobody waits for it before `settle`."""
        self._timed.append(self.storms.begin(number, example))

    def _end_timed(self, storm: Underway) -> list[str]:
        """Wait until a storm amid faults has settled; what has not, in words. What never arrived is for the checks."""
        self.crew.wait(lambda: not self.storms.open(storm, "settled"), self.settle_s)
        left = [f"storm {storm.number} of {name}" for name in self.storms.open(storm, "settled")]
        # What nobody repeats may be lost for good; of the rest, all but the last moment is known.
        self.crew.wait(lambda: not self.storms.open(storm, "reached"), self.topology.repeat_interval_s)
        self.storms.hear_actors(storm)
        return left

    def _await_crash(self, op: Crash) -> None:
        """Wait for the station to be killed in its handler, start it again, and wait until all below is known again."""
        below = [name for name in self.tree.subtree(op.to) if name != self.topology.terminal.id]
        before = {name: self.crew.shook[name] for name in below}
        facts = {"what": "station", "way": "both", "fault": -1}
        self._journal.write("fault", key="kill", to=op.to, value=facts)
        if not connection.wait([self.crew.sentinel(op.to)], self.settle_s):
            return  # it was not killed: the checks will find no handling that began
        self.crew.bury(op.to)
        self._journal.write("fault", key="restart", to=op.to, value=facts)
        self.crew.start(op.to)
        self._await_ready()
        self.crew.wait(lambda: all(self.crew.shook[name] > before[name] for name in below), self.settle_s)

    def more(self) -> Journal:
        """What was written down since the last call."""
        return self._reader.more()

    # -- down ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End everything: programs say KILL to their stations; what is left after a moment is killed as a group."""
        with uninterrupted():
            self._stop()

    def _stop(self) -> None:
        if self._crew is not None:
            self._crew.quit(STOP_S)
        if self._links is not None:
            self._links.stop()  # before the group is killed, so that it has written down what it carried
        self.kill()
        if self._crew is not None:
            self._crew.close(STOP_S)
        if self._storms is not None:
            self._storms.close()
        for held in self._held:
            held.close()

    def kill(self) -> None:
        """Kill the whole group at once."""
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait(STOP_S)
            self._reaper = None

    # -- below ---------------------------------------------------------------------------------------------------

    @property
    def _terminal(self) -> str:
        return "_" + self.topology.terminal.id

    @property
    def _stations(self) -> list[str]:
        return [machine.id for machine in self.topology.machines]

    @property
    def _programs(self) -> list[str]:
        return ["_" + machine.id for machine in self.topology.machines]

    def _start_links(self, place: Place) -> dict[str, int]:
        """Start the relays; where each machine connects to."""
        below = self.topology.machines[1:]
        upward = {machine.id: self._ports[str(machine.parent)] for machine in below}
        wires = [
            Relayed(name=machine.id, port=upward[machine.id], link=machine.link or Link())
            for machine in below
            if machine.id in self._relayed
        ]
        if wires:
            self._links = Links(place, wires)
            try:
                self._links.start()
            except LinkError as error:
                raise LabError(str(error)) from error
            upward |= self._links.ports
        return upward

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
    multiprocessing.set_forkserver_preload(["sim.processes.machines"])
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a pool of threads in each of 80 processes helps nobody
