"""A machine's program in virtual time, and the memory that outlives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from autopilot_net.protocol.endpoint import Settings
from sim.emulator.convergence import Snapshot, snapshot_of
from sim.emulator.files import ReadFile
from sim.emulator.program import EmulatedProgram
from sim.emulator.sender import Sender
from sim.lab.names import probe_of
from sim.lab.topology import Machine, Topology
from sim.virtual.driver import Net
from sim.virtual.event_loop import Process
from sim.virtual.journal import VirtualWriter
from sim.virtual.machines import Node, Station

__all__ = ["ProgramMemory", "Running", "VirtualProgram", "snapshots_of", "unsettled"]


class ProgramMemory:
    """The memory that a program keeps over its lives, as a disk does."""

    def __init__(self) -> None:
        self._value: dict[str, Any] | None = None

    def load(self) -> dict[str, Any] | None:
        """The value that was kept last, or None."""
        return self._value

    def keep(self, value: dict[str, Any]) -> None:
        """Replace the value."""
        self._value = value


class VirtualProgram:
    """One life of a machine's program, with its nodes.

    With `with_probe` it has a second node, which sends and receives for storms.
    """

    def __init__(
        self,
        net: Net,
        machine: Machine,
        *,
        topology: Topology,
        seed: int,
        settings: Settings,
        journal: VirtualWriter,
        memory: ProgramMemory,
        tell: Callable[..., None],
        with_probe: bool,
        read_file: ReadFile = lambda _: None,
    ) -> None:
        self.machine = machine
        self.process = Process(f"_{machine.id}")
        self.sender = Sender(journal, tell)
        self.sender.journal.write("start")
        self._net = net
        self._settings = settings
        self._armed_us: int | None = None
        self.emulated = EmulatedProgram(
            topology,
            machine,
            seed=seed,
            sender=self.sender,
            memory=memory,
            clock=lambda: net.loop.now,
            tell=tell,
            changed=self.arm,
            read_file=read_file,
        )
        self.nodes = [self._node("_" + machine.id, self.emulated.listens())]
        if with_probe:
            self.nodes.append(self._node(probe_of(machine.id), self.emulated.probe_listens()))
        self.emulated.begin(self.nodes[0], self.nodes[-1])
        self.arm()

    def arm(self) -> None:
        """Schedule the next timer of the program."""
        due = self.emulated.next_timer()
        if due is None:
            return
        at = max(int(due * 1_000_000) + 1, self._net.loop.now_us + 1)
        if self._armed_us is None or at < self._armed_us:
            self._armed_us = at
            self._net.loop.at(at, lambda: self._time(at), self.process)

    def _time(self, armed_us: int) -> None:
        if self._armed_us == armed_us:
            self._armed_us = None
            self.emulated.handle_timer()
            self.arm()

    def _node(self, name: str, listens: Mapping[str, Any]) -> Node:
        node = Node(
            self._net,
            self.process,
            name,
            upstream=self.machine.id,
            forwards=False,
            settings=self._settings,
            life=self.sender.journal.life,
            durable=self.machine.durable,
        )
        self.sender.add(node)
        node.begin(listens)
        return node


class Running(Struct):
    """The last life of each station and program, alive or dead. The keys are machine ids."""

    stations: dict[str, Station] = field(default_factory=dict)
    programs: dict[str, VirtualProgram] = field(default_factory=dict)
    senders: dict[str, Sender] = field(default_factory=dict)  # the keys are participants: `rig_1` or `_rig_1`


def snapshots_of(running: Running) -> dict[str, Snapshot | None]:
    """The snapshot of each station (`rig_1`) and each program (`_rig_1`), by its id."""
    stations = sorted(running.stations.items())
    snapshots: dict[str, Snapshot | None] = {
        name: snapshot_of(station.line.endpoint, station.role) for name, station in stations
    }
    for name, program in sorted(running.programs.items()):
        lines = [line for node in program.nodes for line in node.lines]
        outbox = [id for line in lines for id in line.endpoint.outbox.messages()]
        snapshots["_" + name] = Snapshot(outbox=sorted(outbox))
    return snapshots


def unsettled(running: Running) -> Iterator[str]:
    """The ids of the messages and streams of live processes that are still under way."""
    for name, station in running.stations.items():
        if not station.process.dead:
            yield from running.senders[name].open()
    for program in running.programs.values():
        if not program.process.dead:
            yield from program.sender.open()
            for node in program.nodes:
                yield from (stream.id for stream in node.streams.values() if not stream.wait())
