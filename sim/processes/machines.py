"""An emulated machine in processes: its station, as it is in a lab, and the process beside it for its program."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autopilot_net import Message, Pilot_Station, Station, Terminal_Station
from sim.emulator.convergence import Picture, steady
from sim.emulator.library_errors import listen_for_complaints
from sim.emulator.sender import Place, Speaker
from sim.evidence.journal import Writer
from sim.lab.topology import Machine
from sim.processes.program_process import ProgramRunner

__all__ = ["ProgramProcess", "make_station"]

CRASH_HOLD_S = 0.2  # how long a handler goes on before it is killed: a confirmation sent too early is out by then


class StationPart:
    """What the rehearsal adds to a station: listens for storms, and a line to the parent."""

    def __init__(self, place: Place, machine: Machine, line: Connection, life: int) -> None:
        self.place = place
        self.machine = machine
        self.line = line
        self.life = life
        self.speaker: Any = None

    def enter(self) -> None:
        """First thing in the process."""
        enter(self.place, f"{self.machine.id}.station")

    def attach(self, station: Station) -> None:
        """Begin, in the station's process, once it is bound."""
        writer = Writer(self.place.journal, self.machine.id, life=self.life)
        self.speaking = threading.Lock()
        self.speaker = Speaker(writer, self.tell)
        self.speaker.add(station)
        self.speaker.journal.write("start")
        listen_for_complaints(self.speaker.journal, self.machine.id)
        orders = threading.Thread(target=self._listen, args=(station,), name="parent's orders", daemon=True)
        orders.start()
        self.tell("ready")

    def tell(self, *words: Any) -> None:
        """Tell the parent. Any thread may: a long word goes out in two writes."""
        with self.speaking:
            self.line.send((*words, self.machine.id))

    def storm(self, message: Message) -> None:
        """A storm's message."""
        self.speaker.heard_storm(self.machine.id, message)

    def calm(self, message: Message) -> None:
        """Somebody is there, after the faults."""
        self.speaker.heard(message)

    def item(self, message: Message) -> None:
        """A storm's stream's item."""
        self.speaker.heard_item(self.machine.id, message)

    def crash(self, message: Message) -> None:
        """Be killed in this handler, the first time; be done with it the second."""
        marker = self.place.folder / f"crashed-{message.sender}-{message.value['example']}"
        self.speaker.heard(message, "began", example=message.value["example"])
        if not marker.exists():
            marker.touch()
            threading.Event().wait(CRASH_HOLD_S)
            os.kill(os.getpid(), signal.SIGKILL)
        self.speaker.heard(message, example=message.value["example"])

    def _listen(self, station: Station) -> None:
        try:
            while True:
                order, *facts = self.line.recv()
                if order == "storm":
                    self.speaker.storm(*facts)
                elif order == "expect":
                    self.speaker.tally.expect(*facts)
                elif order == "whole":
                    self.tell("whole", *facts, picture_of(station))
        except (EOFError, OSError):
            return  # the parent is gone, and the station minds that by itself


def picture_of(station: Station) -> Picture:
    """What a station has to say of the lab, in its own process."""
    routes = station.core.endpoint.routes

    def take() -> Picture:
        above = [str(routes.upstream)] if routes.up else []
        return Picture(
            outbox=sorted({**station.push_outbox, **station.send_outbox}),
            routes=dict(sorted(station.routes.items())),
            neighbours=sorted([*routes.below, *above]),
            known=known_to(station),
        )

    return steady(take)


def known_to(station: Station) -> list[str]:
    """The machines that have shaken hands: of those a station was told to expect, it has no way until they do."""
    if isinstance(station, Terminal_Station):
        return sorted(name for name, facts in station.pilots.items() if "way" in facts)
    return sorted(station.role.children) if isinstance(station, Pilot_Station) else []


class InRun(Station):
    """What a station of the rehearsal does beside what its kind does: enter the run, and begin its part in it."""

    part: StationPart

    def run(self) -> None:
        """Enter the run first."""
        self.part.enter()
        super().run()

    def begin_role(self) -> None:
        """Begin the rehearsal's part too."""
        super().begin_role()
        self.part.attach(self)


class RehearsalTerminal(InRun, Terminal_Station):
    """The terminal's station."""


class RehearsalPilot(InRun, Pilot_Station):
    """A pilot's station, or a child's."""


def make_station(place: Place, machine: Machine, port: int, above: int, line: Connection, life: int) -> Station:
    """The station of `machine`, at `port`, not yet started; `above` is where it connects to."""
    part = StationPart(place, machine, line, life)
    listens = {"STORM": part.storm, "STORM_ITEM": part.item, "CRASH": part.crash, "CALM": part.calm}
    common: dict[str, Any] = {
        "id": machine.id,
        "listen_port": port,
        "listens": listens,
        "repeat_interval": place.topology.repeat_interval_s,
        "trace": place.journal / f"{machine.id}.station.trace.jsonl",
        "file_dir": place.folder / "files" / machine.id,
        "durable": place.durable(machine, "station"),
    }
    station: RehearsalTerminal | RehearsalPilot
    if machine.parent is None:
        expected: dict[str, Any] = {other.id: {} for other in place.topology.machines[1:]}
        station = RehearsalTerminal(expected, **common)
    else:
        station = RehearsalPilot(
            push_id=machine.parent,
            push_port=above,
            terminal_id=place.topology.terminal.id,
            children=machine.children,
            ping_interval=place.topology.ping_interval_s,
            **common,
        )
    station.part = part
    return station


class ProgramProcess(multiprocessing.Process):
    """The process of a machine's program: its `_id` node, and the node that storms speak through."""

    def __init__(self, place: Place, machine: Machine, port: int, line: Connection, life: int) -> None:
        super().__init__(name=f"program {machine.id}", daemon=True)
        self._place = place
        self._machine = machine
        self._port = port
        self._line = line
        self._life = life

    def run(self) -> None:
        """Run the program until it is told to quit, or the parent is gone."""
        enter(self._place, f"{self._machine.id}.program")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.environ.update(self._machine.env)
        sys.path.insert(0, str(Path(self._place.topology.path).resolve().parent))
        ProgramRunner(self._place, self._machine, self._port, self._line, self._life).run()


def enter(place: Place, name: str) -> None:
    """Join the run's process group, so that it can be ended whole, and write to a log of our own."""
    try:
        os.setpgid(0, place.group)
    except OSError:
        os._exit(1)  # the run has ended already, and with it the group: nobody is to see a traceback of it
    log = os.open(place.folder / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
