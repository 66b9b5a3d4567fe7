"""Starts the stations and programs of a virtual lab, and keeps what outlives each of them: files and program memory.

`VirtualLab.restart` decides what to start. What a station and a program do is in `machines.py` and `programs.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from autopilot_net.message import Message
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.roles.pilot import Pilot
from autopilot_net.roles.terminal import Terminal
from sim.emulator.sender import Sender
from sim.emulator.signals import NOBODY, RAISE, raise_on_purpose
from sim.emulator.strangers import HELLO
from sim.lab.topology import Machine, Topology
from sim.scenario.files import file_names, leftover, leftovers, synthetic
from sim.virtual.driver import Net
from sim.virtual.event_loop import Process
from sim.virtual.journal import VirtualJournal
from sim.virtual.machines import Host, MemoryFiles, Station
from sim.virtual.programs import ProgramMemory, Running, VirtualProgram

__all__ = ["MachineStarter"]

DEFAULT_FILE_BYTES = 1000


class MachineStarter:
    """Starts stations and programs, and enters each in `running` in place of the one that is dead.

    `tell(process, *words)` is called for each report of a process, `ended(station)` when a station obeys a KILL.
    `crashing(machine, sender)` makes the station's listen in which it is killed.
    """

    def __init__(
        self,
        net: Net,
        topology: Topology,
        running: Running,
        journal: VirtualJournal,
        *,
        seed: int,
        settings: Settings,
        with_probes: bool,
        tell: Callable[..., None],
        crashing: Callable[[str, Sender], Callable[[Message], Any]],
        ended: Callable[[Station], None],
    ) -> None:
        self._net = net
        self._topology = topology
        self._running = running
        self._journal = journal
        self._seed = seed
        self._settings = settings
        self._with_probes = with_probes
        self._tell = tell
        self._crashing = crashing
        self._ended = ended
        self._lives: Counter[str] = Counter()
        self._files: dict[str, MemoryFiles] = {}
        self._memories: dict[str, ProgramMemory] = {}

    def start_station(self, machine: Machine) -> None:
        """Start a station with the role of its machine. A pilot connects to its upstream."""
        name, life = machine.id, self._next_life(machine.id)
        sender = Sender(self._journal.writer(name, life, self._net.clock(name)), partial(self._tell, name))
        sender.journal.write("start")
        station = Station(
            self._net,
            Process(name),
            name,
            upstream=machine.parent,
            forwards=True,
            settings=self._settings,
            life=life,
            durable=machine.durable,
        )
        self._running.stations[name], self._running.senders[name] = station, sender
        sender.add(station)
        role = self._role(machine, station)
        station.take_role(
            role,
            {
                "STORM": lambda message: sender.heard_storm(name, message),
                "STORM_ITEM": lambda message: sender.heard_item(name, message),
                "CRASH": self._crashing(name, sender),
                "KILL": lambda message: self._ended(station) if role.may_kill(message) else None,
                "CALM": sender.heard,
                HELLO: lambda _: None,
                RAISE: _raising(role, sender, name),
                NOBODY: role.to_program,
            },
        )
        if isinstance(role, Pilot):
            role.begin()
            station.connect(station.line)

    def start_program(self, machine: Machine) -> None:
        """Start a machine's program, with the memory of its former life."""
        name = "_" + machine.id
        program = VirtualProgram(
            self._net,
            machine,
            topology=self._topology,
            seed=self._seed,
            settings=self._settings,
            journal=self._journal.writer(name, self._next_life(name), self._net.clock(machine.id)),
            memory=self._memories.setdefault(machine.id, ProgramMemory()),
            tell=partial(self._tell, name),
            with_probe=self._with_probes,
            read_file=partial(self._read_file, machine.id),
        )
        self._running.programs[machine.id], self._running.senders[name] = program, program.sender

    def _role(self, machine: Machine, station: Station) -> Pilot | Terminal:
        if machine.id not in self._files:
            whole = self._terminal_files() if machine.parent is None else None
            self._files[machine.id] = MemoryFiles(whole, self._parts(machine.id))
        host = Host(station, self._files[machine.id])
        if machine.parent is None:
            return Terminal(host, pilots={other.id: {} for other in self._topology.machines[1:]})
        return Pilot(
            host,
            terminal=self._topology.terminal.id,
            ip="127.0.0.1",
            ping_interval=self._topology.ping_interval_s,
            expected=machine.children,
        )

    def _terminal_files(self) -> dict[str, bytes]:
        """The files that tasks name. Only processes read the lab's own files: here a kilobyte stands for each."""
        sizes = {name: int(kb * 1000) for name, kb in self._topology.files.synthetic_kb.items()}
        names = file_names(self._topology)
        return {name: synthetic(name, sizes.get(name, DEFAULT_FILE_BYTES), seed=self._seed) for name in names}

    def _parts(self, machine: str) -> dict[str, bytes]:
        """What a former transfer has left on a machine."""
        left = leftovers(self._topology).get(machine)
        return {} if left is None else {left[0]: leftover(self._terminal_files()[left[0]], damaged=left[1])}

    def _read_file(self, machine: str, name: str) -> bytes | None:
        files = self._files.get(machine)
        return None if files is None else files.content(name)

    def _next_life(self, name: str) -> int:
        self._lives[name] += 1
        return self._lives[name] - 1


def _raising(role: Pilot | Terminal, sender: Sender, name: str) -> Callable[[Message], Any]:
    """The station's listen for `RAISE`: it raises itself, or has its program raise."""
    raise_here = raise_on_purpose(sender, name, "station")
    return lambda message: (raise_here if message.value["part"] == "station" else role.to_program)(message)
