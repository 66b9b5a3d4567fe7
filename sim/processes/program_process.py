"""Runs in a program's process: an emulated program, or one of the lab's own.

A lab's own program is named in the topology by `program: module:Class`. It keeps this contract, here and on the Pi:

- `Class(node, machine)`: `node` is the machine's `Net_Node`, named `_id`; `machine` has its settings: id, kind, parent,
  subjects, task, streams, children, params, and `file_dir`, the folder of fetched files. The program is constructed in
  the machine's own process. `env:` from the file is set before the import.
- Methods named `l_start`, `l_stop`, `l_param`, `l_<key>` are its listens. They get the value of the message, and may be
  `async def`. The optional `close()` ends it.
- An exception at import, in the constructor or in a listen reaches the terminal as an ERROR message with the machine,
  the exception and the traceback.
- A program that was killed is constructed anew when its machine is back. START is not sent again. The program keeps
  what it must remember in a file of its own, as it would on the Pi.
- The optional `expected(journal)` says what its session should have produced: `{"streams": {name: items}}`, for the
  streams it got from `node.get_stream(name, …)`. `journal` has the journal entries of its program. Without `expected`,
  the report says that what the program sent was not checked.
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
from sim.emulator.convergence import Snapshot, steady
from sim.emulator.library_errors import journal_library_errors
from sim.emulator.program import EmulatedProgram, Handler
from sim.emulator.sender import Sender
from sim.evidence.journal import Reader, Writer
from sim.lab.names import probe_of
from sim.lab.topology import Machine
from sim.processes.start_up import RunContext

__all__ = ["FileMemory", "ProgramRunner"]

QUIT_S = 1.0


class FileMemory:
    """A program's memory in a file. It is overwritten in one write, so a SIGKILL leaves the old value or the new."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def load(self) -> dict[str, Any] | None:
        """The value that was kept last; None if none was."""
        line, newline, _ = os.pread(self._fd, os.fstat(self._fd).st_size, 0).partition(b"\n")
        kept: dict[str, Any] | None = json.loads(line) if newline else None
        return kept

    def keep(self, value: dict[str, Any]) -> None:
        """Keep `value`. Bytes after its newline are left from a longer value, and are not read."""
        os.pwrite(self._fd, json.dumps(value).encode() + b"\n", 0)


class ProgramRunner:
    """Makes the nodes of a program, begins the program, and carries out the orders of the parent process."""

    def __init__(self, context: RunContext, machine: Machine, port: int, pipe: Connection, life: int) -> None:
        self.context = context
        self.machine = machine
        self.pipe = pipe
        self.program_id = "_" + machine.id
        self._telling = threading.Lock()  # keeps the two writes of a long report together
        self.sender = Sender(Writer(context.journal, self.program_id, life=life), self._tell)
        self.sender.journal.write("start")
        journal_library_errors(self.sender.journal, self.program_id)
        self.lab_program: Any = None
        self._changed = threading.Event()
        self.emulated = EmulatedProgram(
            context.topology,
            machine,
            seed=context.seed,
            sender=self.sender,
            memory=FileMemory(context.folder / "state" / f"{machine.id}.json"),
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
        """Shake hands, then carry out orders until told to quit."""
        if self.machine.program:
            self._begin_lab_program(self.machine.program)
        self.emulated.begin(self.node, self.probe)
        threading.Thread(target=self._run_timers, name="session", daemon=True).start()
        self._tell("ready")
        orders: dict[str, Handler] = {
            "play": self.emulated.play,
            "ask": self.emulated.ask,
            "call": self.emulated.call,
            "signal": self.emulated.signal,
            "settle": self._settle,
            "storm": self.emulated.storm,
            "expect": self.sender.arrivals.expect,
            "expected": self._expected,
            "whole": lambda number: self._tell("whole", number, steady(self._snapshot)),
        }
        try:
            while (order := self.pipe.recv())[0] != "quit":
                orders[order[0]](*order[1:])
            self._quit()
        except (EOFError, OSError):
            pass  # the parent has ended, so this process ends too

    def _tell(self, *words: Any) -> None:
        with self._telling:
            self.pipe.send((*words, self.program_id))

    def _run_timers(self) -> None:
        """Carry out what is due in the session, for as long as the process lives."""
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
            repeat_interval=self.context.topology.repeat_interval_s,
            trace=self.context.journal / f"{name}.trace.jsonl",
            durable=self.context.durable(self.machine, part),
        )
        self.sender.add(node)
        return node

    # -- listens of a lab's own program ----------------------------------------------------------------------------

    def _on_start(self, message: Message) -> Any:
        self.sender.heard(message, value=message.value)
        return self._call_lab("l_start", message)

    def _on_stop(self, message: Message) -> Any:
        self.sender.heard(message, value=message.value)
        return self._call_lab("l_stop", message)

    def _call_lab(self, name: str, message: Message) -> Any:
        method = getattr(self.lab_program, name, None)
        return None if method is None else method(message.value)

    # -- orders --------------------------------------------------------------------------------------------------

    def _settle(self, token: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        left = self.sender.wait(timeout)
        streams: list[Any] = [*self.emulated.streams.values(), *self.emulated.flows]
        left += [stream.id for stream in streams if not stream.wait(max(0.0, deadline - time.monotonic()))]
        self.emulated.flows.clear()
        self._tell("settled all", token, left)

    def _snapshot(self) -> Snapshot:
        streams: list[Any] = [*self.emulated.streams.values(), *self.emulated.flows]
        late = [stream.id for stream in streams if stream.ended and not stream.is_sent()]
        return Snapshot(outbox=sorted([*self.node.outbox, *self.probe.outbox, *late]))

    def _expected(self) -> None:
        ask = getattr(self.lab_program, "expected", None)
        expected: Any = None
        if ask is not None:
            journal = Reader(self.context.journal).more()
            expected = ask([entry for entry in journal.entries if entry.by == self.program_id])
        self._tell("expected", expected)

    def _quit(self) -> None:
        """End the program, then the station: the machine's own program may send it KILL."""
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
            file_dir=self.context.folder / "files" / self.machine.id,
        )
        try:
            program = getattr(importlib.import_module(module), cls)(self.node, settings)
            listens = listens_of(program)
        except BaseException as error:  # noqa: BLE001  # even a SystemExit at import must be reported
            trace = traceback.format_exc()
            facts = error_report(self.machine.id, error, trace)
            self.sender.journal.write("exception", value=facts)  # here too: the message to the terminal may be lost
            self.node.report(error, trace)
            return
        self.lab_program = program
        self.node.listens |= {key: listen for key, listen in listens.items() if key not in ("START", "STOP")}


def listens_of(program: Any) -> dict[str, Handler]:
    """The methods `l_<key>` of a program, by key. Raises `AutopilotNetError` for a generator, which would never run."""
    names = [name for name in dir(program) if name.startswith("l_")]
    listens = {name.removeprefix("l_").upper(): getattr(program, name) for name in names}
    refuse_generators(listens, f"program {type(program).__name__}")
    return listens
