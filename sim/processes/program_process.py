"""Runs in a program's process: an emulated program, or one of the lab's own.

A lab's own program is named in the topology by `program: module:Class`. It keeps this contract, here and on the Pi:

- `Class(node, machine)`: `node` is the machine's `Net_Node`, named `_id`; `machine` has its settings: id, kind, parent,
  subjects, task, streams, children, params, and `file_dir`, the folder of fetched files. The program is constructed in
  the machine's own process. `env:` from the file is set before the import.
- Methods named `l_start`, `l_stop`, `l_param`, `l_<key>` are its listens. They get the value of the message, and may be
  `async def`. The optional `close()` ends it.
- An exception at import, in the constructor or in a listen reaches the terminal as an ERROR message with the machine,
  the exception and the traceback. In a rehearsal, so does one that nobody catches in a thread, a finalizer or a task of
  asyncio; on the Pi a thread tells its own with `node.report(error, traceback.format_exc())`.
- A listen returns soon: the next message is handled after it. What the program starts, `close()` ends.
- A program that was killed is constructed anew when its machine is back. START is not sent again. The program keeps
  what it must remember in a file of its own, as it would on the Pi.
- The optional `expected(journal)` says what its session should have produced: `{"streams": {name: items}}`, for the
  streams it got from `node.get_stream(name, …)`. `journal` has the journal entries of its program. Without `expected`,
  the report says that what the program sent was not checked.
"""

from __future__ import annotations

import json
import os
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autopilot_net import Message, Net_Node
from autopilot_net.error_report import error_report
from sim.emulator.convergence import Snapshot, steady
from sim.emulator.library_errors import journal_library_errors
from sim.emulator.program import EmulatedProgram, Handler
from sim.emulator.sender import Sender
from sim.evidence.journal import Reader, Writer
from sim.lab.names import probe_of
from sim.lab.topology import Machine
from sim.processes.start_up import RunContext
from sim.processes.watch.held import held_messages
from sim.processes.watch.lab_program import LabProgram
from sim.processes.watch.quiet_exceptions import tell_of_quiet_exceptions
from sim.scenario.files import named_in

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
        writer = Writer(context.journal, self.program_id, life=life, has_clock=True)
        self.sender = Sender(writer, self._tell, time.sleep)
        self.sender.journal.write("start")
        journal_library_errors(self.sender.journal, self.program_id)
        self.lab_program: LabProgram | None = None
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
            read_file=self._read_file,
        )
        listens = self.emulated.listens()
        if machine.program:
            told = self.sender.journal, self._raised, partial(self._tell, "hangs")
            self.lab_program = LabProgram(machine.program, *told)
            listens |= {key: partial(self._call_lab, f"l_{key.lower()}") for key in ("START", "STOP")}
        self.node = self._node(self.program_id, "program", port, listens)
        self.probe = self._node(probe_of(machine.id), "probe", port, self.emulated.probe_listens())

    def run(self) -> None:
        """Shake hands, then carry out orders until told to quit."""
        tell_of_quiet_exceptions(self._raised)
        if self.lab_program is not None:
            self._begin_lab_program(self.lab_program)
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
            "watch": self._watch,
            "whole": lambda number: self._tell("whole", number, steady(self._snapshot)),
        }
        try:
            while (order := self.pipe.recv())[0] != "quit":
                orders[order[0]](*order[1:])
            self.sender.journal.write("held", value=held_messages())
            self._quit()
        except (EOFError, OSError):
            pass  # the parent has ended, so this process ends too

    def _read_file(self, name: str) -> bytes | None:
        path = self.context.folder / "files" / self.machine.id / name
        return path.read_bytes() if path.is_file() else None

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

    # -- a lab's own program -----------------------------------------------------------------------------------------

    def _begin_lab_program(self, program: LabProgram) -> None:
        settings = SimpleNamespace(
            **{field: getattr(self.machine, field) for field in self.machine.__struct_fields__},
            file_dir=self.context.folder / "files" / self.machine.id,
        )
        listens = program.begin(self.node, settings)
        self.node.listens |= {key: listen for key, listen in listens.items() if key not in ("START", "STOP")}

    def _call_lab(self, name: str, message: Message) -> Any:
        if message.key == "START":
            self.emulated.files.note(named_in(message.value))
        self.sender.heard(message, value=message.value)
        return None if self.lab_program is None else self.lab_program.call(name, message)

    def _raised(self, error: BaseException | str, trace: str) -> None:
        """Journal what the program raised, and report it to the terminal: that message may be lost."""
        self.sender.journal.write("exception", value=error_report(self.machine.id, error, trace))
        if not self.node.closing.is_set():
            self.node.report(error, trace)

    # -- orders --------------------------------------------------------------------------------------------------

    def _watch(self, patience_s: float) -> None:
        if self.lab_program is not None:
            self.lab_program.watch.begin(patience_s)

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
        expected: Any = None
        if self.lab_program is not None:
            journal = Reader(self.context.journal).more()
            expected = self.lab_program.expected([entry for entry in journal.entries if entry.by == self.program_id])
        self._tell("expected", expected)

    def _quit(self) -> None:
        """End the program, then the station: the machine's own program may send it KILL."""
        if self.lab_program is not None:
            self.lab_program.close()
        killed = self.node.send(self.machine.id, "KILL", repeat=True)
        killed.wait(QUIT_S)
        self.probe.release()
        self.node.release()
