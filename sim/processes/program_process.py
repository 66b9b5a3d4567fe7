"""What runs in a program's process: our own emulated programs, or the lab's.

A lab's own program, named in the topology by `program: module:Class`, keeps this contract, here and on the Pi:

- `Class(node, machine)`: `node` is the machine's `Net_Node`, named `_id`; `machine` has its settings: id, kind, parent,
  subjects, task, streams, children, params, and `file_dir`, where fetched files are. It is constructed in the machine's
  own process; `env:` from the file is set before the import.
- Methods named `l_start`, `l_stop`, `l_param`, `l_<key>` are its listens: they get the value of the message, and may be
  `async def`. `close()`, if there is one, ends it.
- What it raises, at import, in the constructor or in a listen, reaches the terminal as an ERROR message with machine,
  exception and traceback.
- A program that is killed is constructed anew when its machine is back, and nobody says START again: what it has to
  know, it keeps in a file of its own, as it would on the Pi.
- `expected(journal)`, if there is one, says what its session should have produced: `{"streams": {name: items}}`, of the
  streams it got from `node.get_stream(name, …)`. `journal` is what the rehearsal noted of its machine. Without it, the
  report says that what it sent was not checked.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autopilot_net import Message, Net_Node
from autopilot_net.coroutines import finished, refuse_generators
from autopilot_net.error_report import error_report
from sim.emulator.convergence import Picture, steady
from sim.emulator.library_errors import listen_for_complaints
from sim.emulator.program import Emulated, Handler
from sim.emulator.sender import Place, Speaker
from sim.evidence.journal import Reader, Writer
from sim.lab.names import probe_of
from sim.lab.topology import Machine

__all__ = ["Notes", "ProgramRunner"]

QUIT_S = 1.0


class Notes:
    """A program's memory in a file: one line, overwritten in one write, so that a SIGKILL leaves the old or the new."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def load(self) -> dict[str, Any] | None:
        """What was kept last; None where nothing was."""
        line, newline, _ = os.pread(self._fd, os.fstat(self._fd).st_size, 0).partition(b"\n")
        kept: dict[str, Any] | None = json.loads(line) if newline else None
        return kept

    def keep(self, value: dict[str, Any]) -> None:
        """Keep `value`. What is behind its line is of an older, longer one."""
        os.pwrite(self._fd, json.dumps(value).encode() + b"\n", 0)


class ProgramRunner:
    """Sets up the nodes, shakes hands, and does what the parent orders."""

    def __init__(self, place: Place, machine: Machine, port: int, line: Connection, life: int) -> None:
        self.place = place
        self.machine = machine
        self.line = line
        self.program_id = "_" + machine.id
        self._speaking = threading.Lock()  # a long word goes out in two writes
        self.speaker = Speaker(Writer(place.journal, self.program_id, life=life), self._tell)
        self.speaker.journal.write("start")
        listen_for_complaints(self.speaker.journal, self.program_id)
        self.lab_program: Any = None
        self._changed = threading.Event()
        self.emulated = Emulated(
            place.topology,
            machine,
            seed=place.seed,
            speaker=self.speaker,
            memory=Notes(place.folder / "state" / f"{machine.id}.json"),
            clock=time.monotonic,
            tell=self._tell,
            changed=self._changed.set,
        )
        listens = self.emulated.listens()
        if machine.program:
            listens |= {"START": self._on_start, "STOP": self._on_stop}
        self.node = self._node(self.program_id, "program", port, listens)
        self.probe = self._node(probe_of(machine.id), "probe", port, self.emulated.probe_listens())

    def run(self) -> None:
        """Shake hands, then obey until told to quit."""
        if self.machine.program:
            self._begin_lab_program(self.machine.program)
        self.emulated.begin(self.node, self.probe)
        threading.Thread(target=self._play, name="session", daemon=True).start()
        self._tell("ready")
        orders: dict[str, Handler] = {
            "play": self.emulated.play,
            "ask": self.emulated.ask,
            "call": self.emulated.call,
            "settle": self._settle,
            "storm": self.emulated.storm,
            "expect": self.speaker.tally.expect,
            "expected": self._expected,
            "whole": lambda number: self._tell("whole", number, steady(self._picture)),
        }
        try:
            while (order := self.line.recv())[0] != "quit":
                orders[order[0]](*order[1:])
            self._quit()
        except (EOFError, OSError):
            pass  # the parent is gone; so are we

    def _tell(self, *words: Any) -> None:
        with self._speaking:
            self.line.send((*words, self.program_id))

    def _play(self) -> None:
        """What is due in the session, for as long as the process lives."""
        while True:
            due = self.emulated.next_timer()
            self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._changed.clear()
            self.emulated.handle_timer()

    def _node(self, name: str, part: str, port: int, listens: dict[str, Handler]) -> Net_Node:
        node = Net_Node(
            name,
            self.machine.id,
            port,
            listens,
            repeat_interval=self.place.topology.repeat_interval_s,
            trace=self.place.journal / f"{name}.trace.jsonl",
            durable=self.place.durable(self.machine, part),
        )
        self.speaker.add(node)
        return node

    # -- listens of a lab's own program ----------------------------------------------------------------------------

    def _on_start(self, message: Message) -> Any:
        self.speaker.heard(message, value=message.value)
        return self._call_lab("l_start", message)

    def _on_stop(self, message: Message) -> Any:
        self.speaker.heard(message, value=message.value)
        return self._call_lab("l_stop", message)

    def _call_lab(self, name: str, message: Message) -> Any:
        method = getattr(self.lab_program, name, None)
        return None if method is None else method(message.value)

    # -- orders --------------------------------------------------------------------------------------------------

    def _settle(self, token: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        left = self.speaker.wait(timeout)
        streams: list[Any] = [*self.emulated.streams.values(), *self.emulated.flows]
        left += [stream.id for stream in streams if not stream.wait(max(0.0, deadline - time.monotonic()))]
        self.emulated.flows.clear()
        self._tell("settled all", token, left)

    def _picture(self) -> Picture:
        streams: list[Any] = [*self.emulated.streams.values(), *self.emulated.flows]
        late = [stream.id for stream in streams if stream.ended and not stream.is_sent()]
        return Picture(outbox=sorted([*self.node.outbox, *self.probe.outbox, *late]))

    def _expected(self) -> None:
        ask = getattr(self.lab_program, "expected", None)
        said: Any = None
        if ask is not None:
            journal = Reader(self.place.journal).more()
            said = ask([entry for entry in journal.entries if entry.by == self.program_id])
        self._tell("expected", said)

    def _quit(self) -> None:
        """End the program, then the station: a machine's own program may say KILL to it."""
        if hasattr(self.lab_program, "close"):
            finished(self.lab_program.close(), "close()")
        killed = self.node.send(self.machine.id, "KILL", repeat=True)
        killed.wait(QUIT_S)
        self.probe.release()
        self.node.release()

    # -- the lab's own program -----------------------------------------------------------------------------------

    def _begin_lab_program(self, name: str) -> None:
        module, _, cls = name.partition(":")
        settings = SimpleNamespace(
            **{field: getattr(self.machine, field) for field in self.machine.__struct_fields__},
            file_dir=self.place.folder / "files" / self.machine.id,
        )
        try:
            program = getattr(importlib.import_module(module), cls)(self.node, settings)
            listens = listens_of(program)
        except BaseException as error:  # noqa: BLE001  # even a SystemExit at import must be told at home
            trace = traceback.format_exc()
            facts = error_report(self.machine.id, error, trace)
            self.speaker.journal.write("exception", value=facts)  # here too: the way home may be what is broken
            self.node.report(error, trace)
            return
        self.lab_program = program
        self.node.listens |= {key: listen for key, listen in listens.items() if key not in ("START", "STOP")}


def listens_of(program: Any) -> dict[str, Handler]:
    """Its methods l_<key>, by key. Raises `AutopilotNetError` for one that would never run."""
    names = [name for name in dir(program) if name.startswith("l_")]
    listens = {name.removeprefix("l_").upper(): getattr(program, name) for name in names}
    refuse_generators(listens, f"program {type(program).__name__}")
    return listens
