"""A lab in virtual time: the `World` that runs the library's endpoints, roles and programs without a process or socket.

The same topology and seed give the same journal, byte for byte, with the same versions of Python and dependencies.
Starting machines is in `start_up.py`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from autopilot_net import Message
from autopilot_net.error_report import error_report
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.outbox_channel import Window
from sim.emulator.convergence import divergences
from sim.evidence.journal import Journal
from sim.evidence.violation import Violation
from sim.faults.actions import Action, healing
from sim.lab.names import machine_of
from sim.lab.seeds import seed_of
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.scenario import Bounds, Example
from sim.scenario.assignments import HANDLER_US, assign, busy_s, size_of
from sim.scenario.clocks import MachineClock, clock_plans
from sim.virtual.driver import Line
from sim.virtual.event_loop import Loop, Process
from sim.virtual.faults import VirtualFaults
from sim.virtual.handler_thread import HandlerTimes
from sim.virtual.journal import VirtualJournal
from sim.virtual.machines import Station
from sim.virtual.programs import Running, snapshots_of, unsettled
from sim.virtual.signals import VirtualSignals
from sim.virtual.start_up import MachineStarter
from sim.virtual.storms import VirtualStorms
from sim.virtual.wires.connections import Wire, Wires
from sim.virtual.wires.links import Rng
from sim.world import NO_END, LabError, settling_s

__all__ = ["VirtualLab"]

ARRIVES_S = 1.0  # a message that is not repeated arrives within this, or is lost
LOOK_US = 20_000  # how often a condition is checked while nothing is reported
UNSOUGHT_S = 5.0  # the wait for messages that seek no confirmation: they may be lost
CALM_S = 0.2  # the wait for late copies of messages


class VirtualLab:
    """See `World`. Raises `LabError` if a machine has a program of the lab's own, which runs on processes only."""

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        folder: object = None,
        probes: bool = True,
        storm_us: int | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """With `probes`, each program has a second node, which sends and receives for storms. `storm_us` is how long
        the handler of a storm's message takes, in microseconds. None draws it by the seed.
        """
        del folder  # the lab of processes has it; nothing is written here
        self._refuse_own_programs(topology)
        self.topology = topology
        self.tree = Tree(topology)
        self._machines = {machine.id: machine for machine in topology.machines}
        self.died: list[str] = []
        self.settle_s = settling_s(topology)
        self.loop = Loop(self.raised)
        self.chance = Rng(seed_of(seed, "virtual"))
        self._times = HandlerTimes(storm_us or HANDLER_US[self.chance.between(0, len(HANDLER_US))])
        plans = clock_plans(topology, seed)
        self.clocks = {id: MachineClock(plan, lambda: self.loop.now) for id, plan in plans.items()}
        self.journal = VirtualJournal(self.loop)
        self.running = Running()
        self._saved: dict[str, Saved] = {}
        self.wires = Wires(topology, self.loop, self.chance, station=self.running.stations.get, lost=self._lost)
        self._reports: set[tuple[Any, ...]] = set()
        self._has_new_report = False
        self._journal = self.journal.writer("parent")
        self._faults = VirtualFaults(self.loop, self._journal, self.running, self.wires, self.restart)
        self.pipe_bytes = (bounds or Bounds()).pipe_bytes
        self._starter = self._make_starter(seed, probes, bounds or Bounds())
        self._storms = VirtualStorms(topology, self._journal, self.running, self.wires, self.until)
        self._actions: Sequence[Action] = ()
        self._examples: dict[int, Example] = {}
        self._playing = False

    @staticmethod
    def _refuse_own_programs(topology: Topology) -> None:
        own = [f"{m.program} of {m.id}" for m in topology.machines if m.program]
        if own:
            raise LabError(
                f"a program of the lab's own runs on processes only, and not in virtual time: {', '.join(own)}"
            )

    def _make_starter(self, seed: int, with_probes: bool, bounds: Bounds) -> MachineStarter:
        window = Window(bounds.window_messages, bounds.window_bytes)
        return MachineStarter(
            self,
            self.topology,
            self.running,
            self.journal,
            seed=seed,
            settings=Settings(repeat_interval=self.topology.repeat_interval_s, window=window),
            with_probes=with_probes,
            tell=self._take_report,
            crashing=self._faults.crashing,
            ended=self._note_end,
        )

    # -- for peers: see `Net` ----------------------------------------------------------------------------------------

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Journal an effect."""
        self.journal.trace(endpoint, effect)

    def saved(self, name: str) -> Saved:
        """The durable records of an endpoint. They outlive its process."""
        if name not in self._saved:
            self._saved[name] = Saved(f"{name}.kept")
        return self._saved[name]

    def clock(self, machine: str) -> MachineClock:
        """The wall clock of a machine."""
        return self.clocks[machine]

    def handler_us(self, message: Message) -> int:
        """How long the handler of a message takes, in microseconds."""
        return self._times.of(message)

    def raised(self, process: Process, error: Exception) -> None:
        """Journal an exception that escaped a call of `process`."""
        trace = "".join(traceback.format_exception(error))
        self._journal.write("exception", value=error_report(machine_of(process.name), error, trace))

    def _note_end(self, station: Station) -> None:
        """Journal that a station ended by itself, and end it."""
        self._journal.write("died", to=station.id)
        self.died.append(station.id)
        station.process.dead = True
        station.end()

    def wire(self, line: Line) -> Wire:
        """A new wire from a line to its upstream."""
        return self.wires.wire(line)

    def _take_report(self, process: str, *words: Any) -> None:
        """Note a report of a process. `until` then checks its condition at once."""
        if words[0] != "exception":  # nothing waits for one, and the journal has it
            self._reports.add((*words, process))
            self._has_new_report = True

    # -- up ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every machine, all at about the same time."""
        for machine in self.topology.machines:
            for what in ("station", "program"):
                self.loop.after(self.chance.between(0, 50_000), self._starting(machine.id, what))
        self._run(0.06)

    def await_handshakes(self) -> list[str]:
        """Wait for the handshakes of all machines with the terminal's program. Returns the machines without one."""
        terminal = "_" + self.topology.terminal.id
        missing = dict.fromkeys(machine.id for machine in self.topology.machines[1:])

        def is_up() -> bool:
            while missing and ("shook", next(iter(missing)), True, terminal) in self._reports:
                del missing[next(iter(missing))]
            return not missing and self._is_connected()

        self.until(is_up, self.settle_s)
        return [name for name in missing if ("shook", name, True, terminal) not in self._reports]

    def _is_connected(self) -> bool:
        """Whether every node is connected to its station. A storm right after the handshakes needs all of them."""
        return all(
            self.running.stations[name].line.endpoint.routes.has(node.id)
            for name, program in self.running.programs.items()
            for node in program.nodes
        )

    # -- the session -------------------------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        """Play the session, the faults and the timed storms. Returns whether the session ended.

        With `actions` it returns True at once: the faults may still last, so `heal` waits for the end.
        """
        self._actions, self._examples = actions, dict(examples)
        for example in examples.values():
            self._storms.connect_peers(example)
        begun = self.loop.now_us
        for id, clock in self.clocks.items():
            self.loop.at(begun + round(clock.plan.step_at_s * 1_000_000), self._setting(id, clock))
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
        """End every fault, and wait for the session's end and for convergence. Returns what has not converged."""
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
        """Wait until nothing is under way in any process. Returns the ids of what still is."""
        del token
        self.until(lambda: next(unsettled(self.running), None) is None, self.settle_s)
        slow_s = sum(map(busy_s, self._examples.values()))
        due = {("reached", number, name) for number, example in self._examples.items() for name in assign(example)[1]}
        self.until(lambda: due <= self._reports, UNSOUGHT_S + slow_s)  # no sender is told of these
        self._run(CALM_S)
        for number, example in sorted(self._examples.items()):
            wanted = {("reached", number, name) for name in assign(example)[1]}
            self.until(lambda wanted=wanted: wanted <= self._reports, ARRIVES_S + slow_s)  # type: ignore[misc]
            self._storms.record_peers(example, number)
        self._examples.clear()
        return sorted(unsettled(self.running))

    def ask(self) -> None:
        """Have the terminal ask every pilot whether its copies are complete."""
        self.running.programs[self.topology.terminal.id].emulated.ask()

    def expected(self) -> dict[str, Any]:
        """Always empty: no program of the lab's own runs here."""
        return {}

    # -- storms ------------------------------------------------------------------------------------------------------

    def storm(self, example: Example, number: int) -> bool:
        """Play one storm, and wait until it has settled. Returns whether it has."""
        senders, due = assign(example)
        self._times.begin(size_of(example))
        self._storms.connect_peers(example)
        self._storms.play(example, number)
        wanted = {("settled", number, name) for name in senders} | {("reached", number, name) for name in due}
        settled = self.until(lambda: wanted <= self._reports, self.settle_s)
        self._storms.record_peers(example, number)
        return settled

    def signal(self) -> bool:
        """Play the signals, and wait for the answers. Returns whether all came."""
        parts = (self.topology, self._journal, self.running, self.wires, self._reports, self.until)
        return VirtualSignals(*parts).play()

    def more(self) -> Journal:
        """What was journalled since the last call."""
        return self.journal.more()

    def stop(self) -> None:
        """Do nothing: there is no process to end."""

    def digest(self) -> str:
        """A hash of the complete journal, in hex."""
        return self.journal.digest()

    # -- machines ----------------------------------------------------------------------------------------------------

    def restart(self, name: str, what: str = "machine") -> None:
        """Start the processes of a machine that are not alive. `what` is machine, station or program."""
        machine = self._machines[name]
        station, program = self.running.stations.get(name), self.running.programs.get(name)
        if what != "program" and (station is None or station.process.dead):
            self._starter.start_station(machine)
            self.wires.retry_below(name)
        if what != "station" and (program is None or program.process.dead):
            self._starter.start_program(machine)

    def _setting(self, machine: str, clock: MachineClock) -> Callable[[], None]:
        def set_clock() -> None:
            if clock.plan.step_s:
                self._journal.write("clock set", to=machine, value={"ahead_s": clock.plan.step_s})
                clock.step()

        return set_clock

    def _starting(self, name: str, what: str) -> Callable[[], None]:
        return lambda: self.restart(name, what)

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
        """Let time pass until `condition` holds, for at most `seconds`. Returns whether it holds."""
        end = self.loop.now_us + round(seconds * 1_000_000)
        while not condition():
            if self.loop.now_us >= end:
                return False
            self._has_new_report = False
            look = min(end, self.loop.now_us + LOOK_US)
            while self.loop.run(look) and not self._has_new_report:
                pass
        return True

    def _await_end(self) -> bool:
        """Wait for the end of the session, if one is playing. Returns whether none is playing any more."""
        if not self._playing:
            return True
        self._playing = not self.until(
            lambda: ("played", "_" + self.topology.terminal.id) in self._reports, self.settle_s
        )
        return not self._playing
