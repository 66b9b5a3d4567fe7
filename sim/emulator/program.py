"""An emulated program, the same on processes and in virtual time: its listens, its session, and its part in storms.

Its world gives it nodes, a journal, a clock and a memory: `processes/program_process.py` in a process,
`virtual/programs.py` in virtual time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol

from autopilot_net import AutopilotNetError, Delivery, Message
from autopilot_net.error_report import error_report
from sim.emulator.files import FileWitness, ReadFile
from sim.emulator.machine_script import MachineScript
from sim.emulator.recorder import Recorder
from sim.emulator.sender import Participant, Sender
from sim.emulator.session import AppendItem, Command, OpenStream, SendMessage, item_of, stream_destination, stream_name
from sim.emulator.session_script import SessionScript
from sim.emulator.signals import RAISE, raise_on_purpose, signals
from sim.lab.topology import Machine, Topology
from sim.scenario import Flow, Op
from sim.scenario.files import file_names, named_in
from sim.scenario.payloads import build, fingerprint

__all__ = ["EmulatedProgram", "Memory", "StreamLike"]

Handler = Callable[..., Any]
ORDERS = ("START", "STOP")


class StreamLike(Protocol):
    """A stream, of either world."""

    id: str
    to: str

    @property
    def ended(self) -> bool: ...

    def append(self, item: Any) -> None: ...

    def wait(self, timeout: float | None = ...) -> bool: ...

    def close(self) -> None: ...


class NodeLike(Participant, Protocol):
    """A node, of either world."""

    @property
    def ip(self) -> str: ...

    def get_stream(
        self, id: str, key: str, *, min_size: int, to: str, pilot: str, reliable: bool, subject: str | None = ...
    ) -> StreamLike: ...


class Memory(Protocol):
    """One value that survives when its program is killed."""

    def load(self) -> dict[str, Any] | None:
        """The value that was kept last; None if none was."""

    def keep(self, value: dict[str, Any]) -> None:
        """Keep `value` before the program acts on it."""


class EmulatedProgram:
    """The program of one machine. Any thread may call.

    `clock` gives seconds. `tell` reports to whoever runs the rehearsal. `changed` is called when a timer may be due
    sooner. The commands of one order or one timer are carried out together. Commands that follow a confirmation, and
    those that the rehearsal asks for, may come between them.
    """

    def __init__(
        self,
        topology: Topology,
        machine: Machine,
        *,
        seed: int,
        sender: Sender,
        memory: Memory,
        clock: Callable[[], float],
        tell: Callable[..., Any],
        changed: Callable[[], Any] = lambda: None,
        read_file: ReadFile = lambda _: None,
    ) -> None:
        self.id = "_" + machine.id
        self.machine = machine
        self.topology = topology
        self.sender = sender
        self.streams: dict[tuple[str, int], StreamLike] = {}
        self.flows: list[StreamLike] = []
        self._reopened: dict[str, StreamLike] = {}  # by node: the last stream of the name that storms open again
        self._seed = seed
        self._memory = memory
        self._clock = clock
        self._tell = tell
        self._changed = changed
        self.recorder = Recorder(sender, tell, lambda: sender.send(self.id, machine.id, "MACHINES", None, sought=False))
        self.files = FileWitness(sender.journal, read_file)
        is_terminal = machine.parent is None
        self._session_script = SessionScript(topology, seed=seed) if is_terminal else None
        self._machine_script = None if is_terminal else MachineScript(topology, machine, seed=seed)
        self._lock = threading.RLock()
        self._telling = threading.RLock()
        self._begun = threading.Event()  # orders wait for it: a node receives as soon as it is made
        self.node: Any
        self.probe: Any

    def listens(self) -> dict[str, Handler]:
        """The listens of the machine's program."""
        raising = {RAISE: raise_on_purpose(self.sender, self.id, "program")}
        if self._session_script is not None:
            return {**self.recorder.listens(), **raising}
        orders = {"START": self.on_start, "STOP": self.on_stop, "PARAM": self.on_param}
        return {**orders, "STREAM_VIDEO": self.recorder.on_item, **raising}

    def probe_listens(self) -> dict[str, Handler]:
        """The listens of the probe, a second node that storms send from and to."""
        return {"STORM": self._on_probe_storm, "STORM_ITEM": self._on_probe_item}

    def begin(self, node: NodeLike, probe: NodeLike) -> None:
        """Use these nodes. Shake hands, then resume the session of a former life, if there was one."""
        self.node, self.probe = node, probe
        saved = self._memory.load()
        if self.machine.parent is not None:
            state = "IDLE" if saved is None else saved.get("state", "IDLE")
            prefs = {"kind": self.machine.kind}
            self._shake_hands(
                self.machine.parent, {"pilot": self.machine.id, "ip": node.ip, "state": state, "prefs": prefs}
            )
        script = self._script
        if saved is not None and script is not None:
            with self._lock:
                self.perform(script.resume(saved, now=self._clock()))
            self._after_orders()
        self._begun.set()

    def _shake_hands(self, parent: str, facts: dict[str, Any]) -> None:
        """Send HANDSHAKE until it is confirmed. One that is given up is sent again."""

        def settled(done: Delivery) -> None:
            if done.expired and not self.node.closing.is_set():
                self._shake_hands(parent, facts)

        self.sender.send(self.id, parent, "HANDSHAKE", facts).then(settled)

    # -- the session -----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Begin the session. Only the terminal's program does anything."""
        if self._session_script is not None:
            self.files.note(file_names(self.topology))
            with self._lock:
                commands = self._session_script.begin(now=self._clock())
                self._keep()
                self.perform(commands)
            self._changed()

    def ask(self) -> None:
        """Ask every pilot whether the terminal has all of its data. Only the terminal's program does anything."""
        if self._session_script is not None:
            self.perform(self._session_script.coherence_questions())
            self.perform([SendMessage(self.machine.id, key) for key in ("STOPALL", "INIT", "MACHINES")])

    def call(self) -> None:
        """Send CALM to the terminal. The terminal sends it to every machine. It shows that the path works again."""
        home = self.topology.terminal.id
        others = [home] if self._session_script is None else [machine.id for machine in self.topology.machines[1:]]
        self.perform([SendMessage(other, "CALM") for other in others])

    def signal(self) -> None:
        """Send the signals, from the terminal's program."""
        self.perform(signals(self.topology))

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, in seconds of the clock; None if no timer runs."""
        with self._lock:
            return None if self._script is None else self._script.next_timer()

    def handle_timer(self) -> None:
        """Carry out the commands that are due."""
        script = self._script
        if script is None:
            return
        with self._lock:
            commands = script.handle_timer(now=self._clock())
            if commands:
                self._keep()
            try:
                self.perform(commands)
            except AutopilotNetError as error:
                facts = error_report(self.machine.id, str(error))
                self.sender.journal.write("exception", value=facts)
        self._after_orders()

    def on_start(self, message: Message) -> Any:
        """A START. It is handled when the messages that it caused are confirmed."""
        self.files.note(named_in(message.value))
        self.sender.heard(message, value=message.value)
        return self._carry_out(lambda script, now: script.started(message.value, now=now))

    def on_stop(self, message: Message) -> Any:
        """A STOP. It is handled when every machine below is idle, and the station above knows that."""
        self.sender.heard(message, value=message.value)
        return self._carry_out(lambda script, now: script.stopped(message.value, now=now))

    def on_param(self, message: Message) -> None:
        """A change of a parameter, which the session does nothing with."""
        self.sender.heard(message, print=fingerprint(message.value))

    def perform(self, commands: list[Command]) -> list[Delivery]:
        """Carry out commands in order. Returns a delivery for each message, which includes what follows the message."""
        return [handle for command in commands if (handle := self._perform_one(command)) is not None]

    @property
    def _script(self) -> SessionScript | MachineScript | None:
        if self.machine.program:
            return None  # the lab's own program runs the session itself
        return self._session_script or self._machine_script

    def _carry_out(self, ask: Callable[[MachineScript, float], list[Command]]) -> list[Delivery]:
        if self._machine_script is None:
            return []
        self._begun.wait()
        with self._lock:
            commands = ask(self._machine_script, self._clock())
            if commands:
                self._keep()
            handles = self.perform(commands)
        self._changed()
        return handles

    def _keep(self) -> None:
        if self._script is not None:
            self._memory.keep(self._script.saved())

    def _after_orders(self) -> None:
        """Report that the session was played to its end."""
        if self._session_script is not None and self._session_script.done:
            self._tell("played")

    def _perform_one(self, command: Command) -> Delivery | None:
        if isinstance(command, SendMessage):
            return self._send(command)
        if isinstance(command, OpenStream):
            self._open_stream(command)
        elif isinstance(command, AppendItem):
            self._append(command)
        elif stream := self.streams.get((command.stream, command.session)):
            stream.close()
        return None

    def _send(self, command: SendMessage) -> Delivery:
        with self._telling if command.key == "STATE" else nullcontext():  # states leave as they are journalled
            if command.key == "STATE":
                self.sender.journal.write("state", value=command.value)
            sent = self.sender.send(self.id, command.to, command.key, command.value)
        if self._session_script is not None and command.key in ORDERS:
            copy = self._session_script.sent(command)
            sent.then(lambda done: self._settle_order(command, copy, done))
        if not command.then:
            return sent
        promise = Delivery(f"{sent.id} and what follows", command.to)

        def go_on(done: Delivery) -> None:
            if done.expired:
                promise.settle(confirmed=False, reason=done.reason)
                return
            for handle in self.perform(list(command.then)):
                handle.then(lambda end: promise.settle(confirmed=not end.expired, reason=end.reason))

        sent.then(go_on)
        return promise

    def _settle_order(self, order: SendMessage, copy: int, done: Delivery) -> None:
        if self._session_script is None or (done.expired and self.node.closing.is_set()):
            return
        with self._lock:
            again = self._session_script.settled(order, confirmed=not done.expired, copy=copy)
            self._keep()
            self.perform(again)

    def _open_stream(self, command: OpenStream) -> None:
        spec = self.machine.streams[command.stream]
        to, key = stream_destination(self.topology, self.machine, spec)
        self.streams[command.stream, command.session] = self.node.get_stream(
            f"{command.stream}.{command.session}",
            key,
            min_size=spec.batch,
            to=to,
            pilot=self.machine.id,
            reliable=spec.reliable,
            subject=command.subject,
        )

    def _append(self, command: AppendItem) -> None:
        stream = self.streams[command.stream, command.session]
        if stream.ended:
            return  # a STOP came between the timer and here
        spec = self.machine.streams[command.stream]
        name = stream_name(self.machine.id, command.stream, command.session)
        item = item_of(self._seed, self.machine.id, command.stream, spec, command.session, command.n)
        # Journalled first: an item that arrives must have been journalled, even if a kill comes right after.
        self.sender.journal.write("item_made", stream=name, n=command.n, to=stream.to)
        stream.append(item)

    # -- storms ----------------------------------------------------------------------------------------------------

    def storm(self, example: int, ops: list[tuple[int, Op]]) -> None:
        """Send this machine's part of a storm."""
        for number, op in ops:
            if isinstance(op, Flow):
                self._flow(example, number, op)
        self.sender.storm(example, ops)

    def _flow(self, example: int, number: int, op: Flow) -> None:
        node = self.node if op.frm == self.id else self.probe
        last = self._reopened.get(node.id)
        again = last is None or (last.ended and last.wait(0))  # else its namesake would have to be waited for
        stream = node.get_stream(
            "flow" if again else f"flow{example}.{number}",
            "STORM_ITEM",
            min_size=op.batch,
            to=op.to,
            pilot=self.machine.id,
            reliable=True,
        )
        if again:
            self._reopened[node.id] = stream
        payload = build(op.payload)
        name = f"{op.frm}#{example}.{number}"
        for n in range(op.items):
            item = {"example": example, "stream": name, "n": n, "payload": payload}
            facts = {"id": stream.id, "by": op.frm, "stream": name, "n": n, "to": op.to, "example": example}
            self.sender.journal.write("item_made", **facts, print=fingerprint(payload))
            stream.append(item)
        stream.close()
        self.flows.append(stream)

    def _on_probe_storm(self, message: Message) -> None:
        self.sender.heard_storm(self.probe.id, message)

    def _on_probe_item(self, message: Message) -> None:
        self.sender.heard_item(self.probe.id, message)
