"""The two processes of an emulated machine: its station, as in a lab, and its program."""

from __future__ import annotations

import faulthandler
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autopilot_net import Message, Pilot_Station, Station, Terminal_Station
from sim.emulator.convergence import snapshot_of, steady
from sim.emulator.library_errors import journal_library_errors
from sim.emulator.sender import Sender
from sim.emulator.signals import NOBODY, RAISE, raise_on_purpose
from sim.emulator.strangers import HELLO
from sim.evidence.journal import Writer
from sim.lab.topology import Machine
from sim.processes.clocks.faketime import join
from sim.processes.program_process import ProgramRunner
from sim.processes.start_up import RunContext
from sim.processes.watch.foreground import join_terminal
from sim.processes.watch.held import held_messages
from sim.processes.watch.quiet_exceptions import journal_quiet_exceptions

__all__ = ["ProgramProcess", "make_station"]

CRASH_HOLD_S = 0.2  # how long a handler runs before it is killed: a confirmation sent too early has left by then


class StationExtras:
    """What the rehearsal adds to a station: listens for storms, and a pipe to the parent process."""

    def __init__(self, context: RunContext, machine: Machine, pipe: Connection, life: int) -> None:
        self.context = context
        self.machine = machine
        self.pipe = pipe
        self.life = life
        self.sender: Any = None

    def enter(self) -> None:
        """Join the run. This must come first in the process."""
        join(self.context.folder, self.machine.id)
        enter(self.context, f"{self.machine.id}.station")

    def attach(self, station: Station) -> None:
        """Begin, in the station's process, once the station is bound."""
        writer = Writer(self.context.journal, self.machine.id, life=self.life, has_clock=True)
        self._telling = threading.Lock()
        self.sender = Sender(writer, self.tell, time.sleep)
        self.sender.add(station)
        self.station: Any = station
        self.sender.journal.write("start")
        journal_library_errors(self.sender.journal, self.machine.id)
        journal_quiet_exceptions(self.sender.journal, self.machine.id)
        orders = threading.Thread(target=self._listen, args=(station,), name="parent's orders", daemon=True)
        orders.start()
        self.tell("ready")

    def tell(self, *words: Any) -> None:
        """Report to the parent process. Any thread may call: the lock keeps the writes of one report together."""
        with self._telling:
            self.pipe.send((*words, self.machine.id))

    def storm(self, message: Message) -> None:
        """The handler of STORM."""
        self.sender.heard_storm(self.machine.id, message)

    def calm(self, message: Message) -> None:
        """The handler of CALM, which shows that a path works again after the faults."""
        self.sender.heard(message)

    def item(self, message: Message) -> None:
        """The handler of STORM_ITEM."""
        self.sender.heard_item(self.machine.id, message)

    def crash(self, message: Message) -> None:
        """The handler of CRASH: the first time, it kills its own process; the second time, it returns."""
        marker = self.context.folder / f"crashed-{message.sender}-{message.value['example']}"
        self.sender.heard(message, "began", example=message.value["example"])
        if not marker.exists():
            marker.touch()
            threading.Event().wait(CRASH_HOLD_S)
            os.kill(os.getpid(), signal.SIGKILL)
        self.sender.heard(message, example=message.value["example"])

    def raise_on_purpose(self, message: Message) -> Any:
        """The handler of RAISE_ON_PURPOSE: it raises here, or has the program raise."""
        if message.value["part"] == "station":
            return raise_on_purpose(self.sender, self.machine.id, "station")(message)
        return self.station.role.to_program(message)

    def pass_on(self, message: Message) -> Any:
        """The handler of NOBODY_LISTENS: the program has none."""
        return self.station.role.to_program(message)

    def hello(self, message: Message) -> None:
        """The handler of HELLO_STATION, which only has to be confirmed."""

    def _listen(self, station: RehearsedStation) -> None:
        try:
            while True:
                order, *facts = self.pipe.recv()
                if order == "storm":
                    self.sender.storm(*facts)
                elif order == "expect":
                    self.sender.arrivals.expect(*facts)
                elif order == "whole":
                    self.tell("whole", *facts, steady(lambda: snapshot_of(station.core.endpoint, station.role)))
        except (EOFError, OSError):
            return  # the parent has ended; the station ends by itself


class RehearsedStation(Station):
    """A station that joins the run when its process starts, and then begins the extras."""

    extras: StationExtras
    role: Any

    def run(self) -> None:
        """Join the run first, and tell at the end what is left of messages."""
        self.extras.enter()
        super().run()
        self.extras.sender.journal.write("held", value=held_messages())

    def begin_role(self) -> None:
        """Begin the extras too."""
        super().begin_role()
        self.extras.attach(self)


class RehearsalTerminal(RehearsedStation, Terminal_Station):
    """The terminal's station."""


class RehearsalPilot(RehearsedStation, Pilot_Station):
    """A pilot's station, or a child's."""


def make_station(context: RunContext, machine: Machine, port: int, above: int, pipe: Connection, life: int) -> Station:
    """The station of `machine`, not yet started. It listens at `port` and connects to the port `above`."""
    extras = StationExtras(context, machine, pipe, life)
    listens = {"STORM": extras.storm, "STORM_ITEM": extras.item, "CRASH": extras.crash, "CALM": extras.calm}
    listens |= {RAISE: extras.raise_on_purpose, NOBODY: extras.pass_on, HELLO: extras.hello}
    common: dict[str, Any] = {
        "id": machine.id,
        "listen_port": port,
        "listens": listens,
        "repeat_interval": context.topology.repeat_interval_s,
        "trace": context.journal / f"{machine.id}.station.trace.jsonl",
        "file_dir": context.folder / "files" / machine.id,
        "durable": context.durable(machine, "station"),
    }
    station: RehearsalTerminal | RehearsalPilot
    if machine.parent is None:
        expected: dict[str, Any] = {other.id: {} for other in context.topology.machines[1:]}
        station = RehearsalTerminal(expected, **common)
    else:
        station = RehearsalPilot(
            push_id=machine.parent,
            push_port=above,
            terminal_id=context.topology.terminal.id,
            children=machine.children,
            ping_interval=context.topology.ping_interval_s,
            **common,
        )
    station.extras = extras
    return station


class ProgramProcess(multiprocessing.Process):
    """The process of a machine's program: its node `_id`, and the probe, a node that storms send from and to."""

    def __init__(self, context: RunContext, machine: Machine, port: int, pipe: Connection, life: int) -> None:
        super().__init__(name=f"program {machine.id}", daemon=True)
        self._context = context
        self._machine = machine
        self._port = port
        self._pipe = pipe
        self._life = life

    def run(self) -> None:
        """Run the program until it is told to quit, or the parent ends."""
        join(self._context.folder, self._machine.id)
        enter(self._context, f"{self._machine.id}.program", is_debugged=self._machine.id == self._context.debug)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.environ.update(self._machine.env)
        sys.path.insert(0, str(Path(self._context.topology.path).resolve().parent))
        ProgramRunner(self._context, self._machine, self._port, self._pipe, self._life).run()


def enter(context: RunContext, name: str, *, is_debugged: bool = False) -> None:
    """Join the run's process group, which is killed as a whole, and write output to `logs/NAME.log`.

    One that is debugged stays in the group of the rehearsal, and uses its terminal.
    """
    if is_debugged:
        join_terminal(context.pid)
    else:
        _join_group(context, name)
    faulthandler.enable()  # a crash in C writes the stacks into the log
    faulthandler.register(signal.SIGUSR1)  # and so does the parent's wish, even while C code does not return
    # A print of a program must not fail for the encoding of our terminal, and is in the log even after a SIGKILL.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)


def _join_group(context: RunContext, name: str) -> None:
    try:
        os.setpgid(0, context.group)
    except OSError:
        os._exit(1)  # the run and its group have ended already: a traceback would only confuse
    log = os.open(context.folder / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
