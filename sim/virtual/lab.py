"""A lab in virtual time: the very same endpoints, roles, programs and checks, with no process and no socket.

The same topology and seed make the same journal, byte for byte, with the same versions of Python and dependencies.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from autopilot_net.error_report import error_report
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.emulator.convergence import divergences
from sim.emulator.sender import Sender
from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.faults.actions import Action, healing
from sim.lab.names import machine_of
from sim.lab.seeds import seed_of
from sim.lab.topology import Machine, Topology
from sim.lab.tree import Tree
from sim.scenario import Example
from sim.scenario.assignments import assign
from sim.scenario.payloads import noise
from sim.virtual.connections import Wire, Wires
from sim.virtual.driver import Line
from sim.virtual.event_loop import Loop, Process
from sim.virtual.faults import VirtualFaults
from sim.virtual.journal import VirtualJournal
from sim.virtual.links import Rng
from sim.virtual.machines import Files, Host, Station
from sim.virtual.programs import ProgramMemory, Running, VirtualProgram
from sim.virtual.snapshot import snapshots_of, unsettled
from sim.virtual.storms import VirtualStorms
from sim.world import NO_END, LabError

__all__ = ["VirtualLab"]

ARRIVES_S = 1.0  # what nobody repeats has arrived by then, or is lost
LOOK_US = 20_000  # how often it is looked whether what is waited for has come
HANDLER_US = 50
STORM_US = (50, 1_000, 20_000)  # how long a storm's handler takes: one of these, drawn by the seed
STORM_KEYS = ("STORM", "STORM_ITEM")
UNSOUGHT_S = 5.0  # how long what seeks no confirmation, and may be lost, is waited for
CALM_S = 0.2  # and the copies of whatever


class VirtualLab:
    """See `World`. Raises `LabError` where a machine has a program of the lab's own, which runs on processes only."""

    def __init__(
        self, topology: Topology, *, seed: int, folder: object = None, probes: bool = True, storm_us: int | None = None
    ) -> None:
        """`probes`: whether each machine has a node besides, for storms to speak through. `storm_us` is how long the
        handler of a storm's message takes; drawn by the seed if None.
        """
        del folder  # nothing is written
        own = [f"{m.program} of {m.id}" for m in topology.machines if m.program]
        if own:
            raise LabError(
                f"a program of the lab's own runs on processes only, and not in virtual time: {own[0]}; with "
                "`program: null` in the file ours takes its place"
            )
        self.topology = topology
        self.tree = Tree(topology)
        self.seed = seed
        self.has_probes = probes
        self._machines = {machine.id: machine for machine in topology.machines}
        self.died: list[str] = []
        self.settle_s = 3.0 + 7 * topology.repeat_interval_s
        self.loop = Loop(self.raised)
        self.chance = Rng(seed_of(seed, "virtual"))
        self._storm_us = storm_us or STORM_US[self.chance.between(0, len(STORM_US))]
        self.settings = Settings(repeat_interval=topology.repeat_interval_s)
        self.journal = VirtualJournal(self.loop)
        self.running = Running()
        self._memories: dict[str, ProgramMemory] = {}
        self._saved: dict[str, Saved] = {}
        self._files: dict[str, Files] = {}
        self.wires = Wires(topology, self.loop, self.chance, station=self.running.stations.get, lost=self._lost)
        self._lives: Counter[str] = Counter()
        self._heard: set[tuple[Any, ...]] = set()
        self._news = False
        self._journal = self.journal.writer("parent")
        self._faults = VirtualFaults(self.loop, self._journal, self.running, self.wires, self.restart)
        self._storms = VirtualStorms(topology, self._journal, self.running, self.wires, self.until)
        self._actions: Sequence[Action] = ()
        self._examples: dict[int, Example] = {}
        self._playing = False

    # -- for peers: see `Net` ----------------------------------------------------------------------------------------

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Write an effect down."""
        self.journal.trace(endpoint, effect)

    def saved(self, name: str) -> Saved:
        """What an endpoint has kept."""
        if name not in self._saved:
            self._saved[name] = Saved(f"{name}.kept")
        return self._saved[name]

    def handler_us(self, key: str) -> int:
        """How long a handler takes: one of a storm may be slow, so that there is time for it to be killed in it."""
        return self._storm_us if key in STORM_KEYS else HANDLER_US

    def raised(self, process: Process, error: Exception) -> None:
        """Something broke what should bear anything."""
        trace = "".join(traceback.format_exception(error))
        self._journal.write("exception", value=error_report(machine_of(process.name), error, trace))

    def wire(self, line: Line) -> Wire:
        """The connection of a line to its upstream."""
        return self.wires.wire(line)

    def _hear_from(self, process: str, *words: Any) -> None:
        """A process tells something."""
        if words[0] != "exception":  # which the journal has, and nobody waits for
            self._heard.add((*words, process))
            self._news = True

    # -- up ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every machine, all at about the same time."""
        for machine in self.topology.machines:
            for what in ("station", "program"):
                self.loop.after(self.chance.between(0, 50_000), self._starting(machine.id, what))
        self._run(0.06)

    def await_handshakes(self) -> list[str]:
        """Wait until the terminal's program has heard of every machine's program; the machines it has not."""
        terminal = "_" + self.topology.terminal.id
        missing = dict.fromkeys(machine.id for machine in self.topology.machines[1:])

        def is_up() -> bool:
            while missing and ("shook", next(iter(missing)), True, terminal) in self._heard:
                del missing[next(iter(missing))]
            return not missing and self._is_connected()

        self.until(is_up, self.settle_s)
        return [name for name in missing if ("shook", name, True, terminal) not in self._heard]

    def _is_connected(self) -> bool:
        """Whether every node is seen by its station: a storm at once is to find them all."""
        return all(
            self.running.stations[name].line.endpoint.routes.has(node.id)
            for name, program in self.running.programs.items()
            for node in program.nodes
        )

    # -- the session -------------------------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the timed storms. Whether it ended is asked of `heal`, if it cannot yet."""
        self._actions, self._examples = actions, dict(examples)
        for example in examples.values():
            self._storms.connect_peers(example)
        begun = self.loop.now_us
        for action in actions:
            self.loop.at(begun + action.at_us, self._faults.doing(action))
        ends = [action.at_us for action in actions]
        for number, example in sorted(examples.items()):
            ends.append(round((example.at_s or 0.0) * 1_000_000))
            self.loop.at(begun + ends[-1], self._storms.playing(example, number))
        if session:
            self._playing = True
            ends.append(int(self.topology.session.duration_s * 1_000_000))
            self.running.programs[self.topology.terminal.id].emulated.play()
        self._run(max(ends, default=0) / 1_000_000)
        return bool(actions) or self._await_end()

    def heal(self) -> list[Violation]:
        """End every fault, wait for the session's end and until the lab has converged; what has not."""
        for action in healing(self.topology, self._actions):
            self._faults.do(action)
        self._journal.write("healed")
        open_ends = [] if self._await_end() else [NO_END]
        self.until(lambda: not self._divergences(), self.settle_s + 10.0)
        for program in self.running.programs.values():
            program.emulated.call()
        self.until(lambda: not self._divergences(), self.settle_s)
        for name, snapshot in snapshots_of(self.running).items():
            self._journal.write("whole", by=name, value=msgspec.to_builtins(snapshot))
        return [*open_ends, *self._divergences()[:3]]

    def settle(self, token: str) -> list[str]:
        """Wait until nothing is under way in any program; what still is."""
        del token
        self.until(lambda: next(unsettled(self.running), None) is None, self.settle_s)
        due = {("reached", number, name) for number, example in self._examples.items() for name in assign(example)[1]}
        self.until(lambda: due <= self._heard, UNSOUGHT_S)  # what nobody is told of may be on its way yet
        self._run(CALM_S)
        for number, example in sorted(self._examples.items()):
            wanted = {("reached", number, name) for name in assign(example)[1]}
            self.until(lambda wanted=wanted: wanted <= self._heard, ARRIVES_S)  # type: ignore[misc]
            self._storms.record_peers(example, number)
        self._examples.clear()
        return sorted(unsettled(self.running))

    def ask(self) -> None:
        """Have the terminal ask for proof that its copies are whole."""
        self.running.programs[self.topology.terminal.id].emulated.ask()

    def expected(self) -> dict[str, Any]:
        """There are no programs of the lab's own here."""
        return {}

    # -- storms ------------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled; whether it has."""
        senders, due = assign(example)
        self._storms.connect_peers(example)
        self._storms.play(example, number)
        wanted = {("settled", number, name) for name in senders} | {("reached", number, name) for name in due}
        settled = self.until(lambda: wanted <= self._heard, self.settle_s)
        self._storms.record_peers(example, number)
        return settled

    def more(self) -> Journal:
        """What was written down since the last call."""
        return self.journal.more()

    def stop(self) -> None:
        """There is nothing to end."""

    def digest(self) -> str:
        """A fingerprint of all that was written down."""
        return self.journal.digest()

    # -- machines ----------------------------------------------------------------------------------------------------

    def restart(self, name: str, what: str = "machine") -> None:
        """Start what of a machine does not run."""
        machine = self._machines[name]
        station, program = self.running.stations.get(name), self.running.programs.get(name)
        if what != "program" and (station is None or station.process.dead):
            self._start_station(machine)
        if what != "station" and (program is None or program.process.dead):
            self._start_program(machine)

    def _starting(self, name: str, what: str) -> Callable[[], None]:
        return lambda: self.restart(name, what)

    def _start_station(self, machine: Machine) -> None:
        name, life = machine.id, self._next_life(machine.id)
        sender = Sender(self.journal.writer(name, life), partial(self._hear_from, name))
        sender.journal.write("start")
        station = Station(
            self,
            Process(name),
            name,
            upstream=machine.parent,
            forwards=True,
            settings=self.settings,
            life=life,
            durable=machine.durable,
        )
        self.running.stations[name], self.running.senders[name] = station, sender
        sender.add(station)
        role = self._role(machine, station)
        station.take_role(
            role,
            {
                "STORM": lambda message: sender.heard_storm(name, message),
                "STORM_ITEM": lambda message: sender.heard_item(name, message),
                "CRASH": self._faults.crashing(name, sender),
                "CALM": sender.heard,
            },
        )
        if isinstance(role, Pilot):
            role.begin()
            station.connect(station.line)
        self.wires.kick(name)

    def _role(self, machine: Machine, station: Station) -> Pilot | Terminal:
        files = self._files.setdefault(machine.id, Files(self._whole_files() if machine.parent is None else None))
        host = Host(station, files)
        if machine.parent is None:
            return Terminal(host, pilots={other.id: {} for other in self.topology.machines[1:]})
        return Pilot(
            host,
            terminal=self.topology.terminal.id,
            ip="127.0.0.1",
            ping_interval=self.topology.ping_interval_s,
            expected=machine.children,
        )

    def _whole_files(self) -> dict[str, bytes]:
        """What tasks name. The lab's own files are only read on processes: here each is a kilobyte."""
        sizes = {name: int(kb * 1000) for name, kb in self.topology.files.synthetic_kb.items()}
        named = {str(sound) for machine in self.topology.machines for sound in machine.task.get("sounds", [])}
        sizes |= dict.fromkeys(sorted(named - set(sizes)), 1000)
        return {name: noise("uint8", (size,), self.seed).tobytes() for name, size in sizes.items()}

    def _start_program(self, machine: Machine) -> None:
        name = "_" + machine.id
        program = VirtualProgram(
            self,
            machine,
            topology=self.topology,
            seed=self.seed,
            settings=self.settings,
            journal=self.journal.writer(name, self._next_life(name)),
            memory=self._memories.setdefault(machine.id, ProgramMemory()),
            tell=partial(self._hear_from, name),
            with_probe=self.has_probes,
        )
        self.running.programs[machine.id], self.running.senders[name] = program, program.sender

    def _next_life(self, name: str) -> int:
        self._lives[name] += 1
        return self._lives[name] - 1

    def _divergences(self) -> list[Violation]:
        return divergences(self.tree, snapshots_of(self.running))

    def _lost(self, verb: str, wire: Wire, up: bool, payload: bytes) -> None:
        self._faults.lost(verb, wire, up, payload)

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _run(self, seconds: float) -> None:
        end = self.loop.now_us + round(seconds * 1_000_000)
        while self.loop.run(end):
            pass

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until `condition`, at most so long; whether it came."""
        end = self.loop.now_us + round(seconds * 1_000_000)
        while not condition():
            if self.loop.now_us >= end:
                return False
            self._news = False
            look = min(end, self.loop.now_us + LOOK_US)
            while self.loop.run(look) and not self._news:
                pass
        return True

    def _await_end(self) -> bool:
        """Wait for the session's end, if there is one to come."""
        if not self._playing:
            return True
        self._playing = not self.until(
            lambda: ("played", "_" + self.topology.terminal.id) in self._heard, self.settle_s
        )
        return not self._playing

