"""What runs in a program's process: our own emulated programs, or the lab's.

A lab's own program, named in the topology by `program: module:Class`, keeps this contract, here and on the Pi:

- `Class(node, machine)`: `node` is the machine's `Net_Node`, named `_id`; `machine` has its settings: id, kind, parent,
  subjects, task, streams, children, params, and `file_dir`, where fetched files are. It is constructed in the machine's
  own process; `env:` from the file is set before the import.
- Methods named `l_start`, `l_stop`, `l_param`, `l_<key>` are its listens: they get the value of the message.
  `close()`, if there is one, ends it.
- What it raises, at import, in the constructor or in a listen, reaches the terminal as an ERROR message with machine,
  exception and traceback.
- `expected(journal)`, if there is one, says what its session should have produced: `{"streams": {name: items}}`, of the
  streams it got from `node.get_stream(name, …)`. `journal` is what the rehearsal noted of its machine. Without it, the
  report says that what it sent was not checked.
"""

from __future__ import annotations

import importlib
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from autopilot_net import AutopilotNetError, Delivery, Ledger, Message, Net_Node, Stream
from sim.journal import Reader, Writer
from sim.payloads import build, fingerprint
from sim.scenario import Flow, Op
from sim.session import Act, Conductor, Item, Open, Rig, Say, item_of, route_of, stream_name
from sim.speaker import ADDED, Place, Speaker, expanded
from sim.topology import Machine

__all__ = ["ProgramRunner", "machine_of_probe", "probe_of"]

Handler = Callable[..., Any]
QUIT_S = 1.0


def probe_of(machine: str) -> str:
    """The id of the node that storms speak through on a machine."""
    return f"{machine}.probe"


def machine_of_probe(name: str) -> str | None:
    """The machine whose probe `name` is, if it is one."""
    return name.removesuffix(".probe") if name.endswith(".probe") else None


class ProgramRunner:
    """Sets up the nodes, shakes hands, and does what the parent orders."""

    def __init__(self, place: Place, machine: Machine, port: int, line: Connection) -> None:
        self.place = place
        self.machine = machine
        self.line = line
        self.program_id = "_" + machine.id
        self.speaker = Speaker(Writer(place.journal, self.program_id), self._tell)
        self.lab_program: Any = None
        self._flows: list[Stream] = []
        self.player = Player(self)
        listens = _terminal_listens(self) if machine.parent is None else self._pilot_listens()
        self.node = self._node(self.program_id, port, listens)
        self.probe = self._node(
            probe_of(machine.id), port, {"STORM": self._probe_storm, "STORM_ITEM": self._probe_item}
        )

    def run(self) -> None:
        """Shake hands, then obey until told to quit."""
        if self.machine.program:
            self._begin_lab_program(self.machine.program)
        if self.machine.parent is not None:
            prefs = {"kind": self.machine.kind}
            facts = {"pilot": self.machine.id, "ip": self.node.ip, "state": "IDLE", "prefs": prefs}
            self.speaker.say(self.program_id, self.machine.parent, "HANDSHAKE", facts)
        self._tell("ready")
        orders: dict[str, Handler] = {
            "play": self.player.begin,
            "ask": self.player.ask,
            "settle": self._settle,
            "storm": self._storm,
            "expect": self.speaker.tally.expect,
            "expected": self._expected,
        }
        try:
            while (order := self.line.recv())[0] != "quit":
                orders[order[0]](*order[1:])
            self._quit()
        except (EOFError, OSError):
            pass  # the parent is gone; so are we

    def _tell(self, *words: Any) -> None:
        self.line.send((*words, self.program_id))

    def tell(self, *words: Any) -> None:
        """Tell the parent."""
        self._tell(*words)

    def _node(self, name: str, port: int, listens: dict[str, Handler]) -> Net_Node:
        node = Net_Node(
            name,
            self.machine.id,
            port,
            listens,
            repeat_interval=self.place.topology.repeat_interval_s,
            trace=self.place.journal / f"{name}.trace.jsonl",
        )
        self.speaker.add(node)
        return node

    # -- listens -------------------------------------------------------------------------------------------------

    def _pilot_listens(self) -> dict[str, Handler]:
        return {
            "START": self._on_start,
            "STOP": self._on_stop,
            "STREAM_VIDEO": self.on_item,
        }

    def _on_start(self, message: Message) -> Any:
        self.speaker.heard(message, value=message.value)
        if self.lab_program is not None:
            return self._call_lab("l_start", message)
        return None if self.machine.program else self.player.started(message.value)

    def _on_stop(self, message: Message) -> Any:
        self.speaker.heard(message, value=message.value)
        if self.lab_program is not None:
            return self._call_lab("l_stop", message)
        return None if self.machine.program else self.player.stopped(message.value)

    def _call_lab(self, name: str, message: Message) -> Any:
        method = getattr(self.lab_program, name, None)
        return None if method is None else method(message.value)

    def on_item(self, message: Message) -> None:
        """An item of a session's stream has come to where it was meant to go."""
        value = expanded(message.value) if isinstance(message.value, dict) else {"value": expanded(message.value)}
        stream, n = value.get("stream"), value.get("n")
        if not (isinstance(stream, str) and isinstance(n, int)):
            stream, n = "", -1  # an item of the lab's own program, whose form is its own
        own = {name: item for name, item in value.items() if name not in ADDED}
        self.speaker.heard(
            message, "item_got", stream=stream, n=n, print=fingerprint(own)
        )

    def _probe_storm(self, message: Message) -> None:
        self.speaker.heard_storm(self.probe.id, message)

    def _probe_item(self, message: Message) -> None:
        self.speaker.heard_item(self.probe.id, message)

    # -- orders --------------------------------------------------------------------------------------------------

    def _storm(self, example: int, ops: list[tuple[int, Op]]) -> None:
        for number, op in ops:
            if isinstance(op, Flow):
                self._flow(example, number, op)
        self.speaker.storm(example, ops)

    def _flow(self, example: int, number: int, op: Flow) -> None:
        node = self.node if op.frm == self.program_id else self.probe
        stream = node.get_stream(f"flow{example}.{number}", "STORM_ITEM", min_size=op.batch, to=op.to)
        payload = build(op.payload)
        name = f"{op.frm}#{example}.{number}"
        for n in range(op.items):
            item = {"example": example, "stream": name, "n": n, "payload": payload}
            self.speaker.journal.write(
                "item_made", by=op.frm, stream=name, n=n, to=op.to, example=example, print=fingerprint(payload)
            )
            stream.append(item)
        stream.append("END")
        self._flows.append(stream)

    def _settle(self, token: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        left = self.speaker.wait(timeout)
        for stream in [*self.player.streams.values(), *self._flows]:
            if not stream.wait(max(0.0, deadline - time.monotonic())):
                left.append(stream.id)
        self._flows.clear()
        self._tell("settled all", token, left)

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
            self.lab_program.close()
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
            self.lab_program = getattr(importlib.import_module(module), cls)(self.node, settings)
        except BaseException as error:  # noqa: BLE001  # even a SystemExit at import must be told at home
            trace = traceback.format_exc()
            said = f"{type(error).__name__}: {error}"
            facts = {"machine": self.machine.id, "exception": said, "traceback": trace}
            self.speaker.journal.write("exception", value=facts)  # here too: the way home may be what is broken
            self.node.report(error, trace)
            return
        for method in dir(self.lab_program):
            key = method.removeprefix("l_").upper()
            if method.startswith("l_") and key not in ("START", "STOP"):
                self.node.listens[key] = getattr(self.lab_program, method)


class Player:
    """Carries out the acts of a pure session in real time."""

    def __init__(self, runner: ProgramRunner) -> None:
        self._runner = runner
        self._place = runner.place
        self._machine = runner.machine
        topology, machine, seed = runner.place.topology, runner.machine, runner.place.seed
        self._conductor = Conductor(topology, seed=seed) if machine.parent is None else None
        self._rig = None if machine.parent is None else Rig(topology, machine, seed=seed)
        self.streams: dict[tuple[str, int], Stream] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="session", daemon=True).start()

    def begin(self) -> None:
        """Conduct the session; in the terminal's program."""
        if self._conductor is not None:
            with self._changed:
                self.perform(self._conductor.begin(now=time.monotonic()))
                self._changed.notify()

    def ask(self) -> None:
        """Ask every pilot whether our copy of its data is whole."""
        if self._conductor is not None:
            self.perform(self._conductor.questions())
            self.perform([Say(self._machine.id, "STOPALL"), Say(self._machine.id, "INIT")])

    def started(self, value: Any) -> list[Delivery]:
        """A START: handled when what it set off is known above."""
        return self._told(lambda rig, now: rig.started(value, now=now))

    def stopped(self, value: Any) -> list[Delivery]:
        """A STOP: handled when everything below is idle, and that is known above."""
        return self._told(lambda rig, now: rig.stopped(value, now=now))

    def _told(self, tell: Callable[[Rig, float], list[Act]]) -> list[Delivery]:
        if self._rig is None:
            return []
        with self._changed:
            acts = tell(self._rig, time.monotonic())
            handles = self.perform(acts)
            self._changed.notify()
        return handles

    def perform(self, acts: list[Act]) -> list[Delivery]:
        """Do them, in order; the handles of what was said, each settled when what comes after it is, too."""
        return [handle for act in acts if (handle := self._do(act)) is not None]

    def _do(self, act: Act) -> Delivery | None:
        if isinstance(act, Say):
            return self._say(act)
        if isinstance(act, Open):
            self._open(act)
        elif isinstance(act, Item):
            self._item(act)
        elif stream := self.streams.get((act.stream, act.session)):
            stream.close()
        return None

    def _say(self, act: Say) -> Delivery:
        runner = self._runner
        if act.key == "STATE":
            runner.speaker.journal.write("state", value=act.value)
        said = runner.speaker.say(runner.program_id, act.to, act.key, act.value)
        if not act.then:
            return said
        promise = Delivery(f"{said.id} and what follows", act.to)

        def go_on(done: Delivery) -> None:
            if done.expired:
                promise.settle(confirmed=False, reason=done.reason)
                return
            for handle in self.perform(list(act.then)):
                handle.then(lambda end: promise.settle(confirmed=not end.expired, reason=end.reason))

        said.then(go_on)
        return promise

    def _open(self, act: Open) -> None:
        spec = self._machine.streams[act.stream]
        to, key = route_of(self._place.topology, self._machine, spec)
        self.streams[act.stream, act.session] = self._runner.node.get_stream(
            f"{act.stream}.{act.session}",
            key,
            min_size=spec.batch,
            to=to,
            pilot=self._machine.id,
            reliable=spec.reliable,
        )

    def _item(self, act: Item) -> None:
        stream = self.streams[act.stream, act.session]
        spec = self._machine.streams[act.stream]
        name = stream_name(self._machine.id, act.stream, act.session)
        item = item_of(self._place.seed, self._machine.id, act.stream, spec, act.session, act.n)
        try:
            stream.append(item)
        except AutopilotNetError:
            if not stream.ended:
                raise
            return  # a STOP came between the timer and here
        self._runner.speaker.journal.write("item_made", stream=name, n=act.n, to=stream.to)

    def _run(self) -> None:
        script = self._conductor or self._rig
        while script is not None:
            with self._changed:
                due = script.next_timer()
                wait = None if due is None else max(0.0, due - time.monotonic())
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                acts = script.handle_timer(now=time.monotonic())
            try:
                self.perform(acts)
            except AutopilotNetError as error:
                facts = {"machine": self._machine.id, "exception": str(error), "traceback": ""}
                self._runner.speaker.journal.write("exception", value=facts)
            if self._conductor is not None and self._conductor.done:
                self._runner.tell("played")
                self._conductor.done = False


def _terminal_listens(runner: ProgramRunner) -> dict[str, Handler]:
    """What the terminal's program does with what its station hands it: write it down, and tell the parent."""
    ledger = Ledger()
    speaker = runner.speaker

    def on_data(message: Message) -> None:
        value = message.value if isinstance(message.value, dict) else {}
        if "stream" in value or value.get("continuous"):
            runner.on_item(message)
            return
        origin = message.get("origin") or {}
        ledger.record(str(origin.get("id")), message.value)
        speaker.heard(message, print=fingerprint(expanded(message.value)))

    def on_handshake(message: Message) -> None:
        machine = str(message.value.get("pilot"))
        speaker.heard(message, "shook", value={"machine": machine, "way": message.get("way"), **message.value})
        is_program = (message.get("origin") or {}).get("sender") == "_" + machine
        runner.tell("shook", machine, is_program)

    def on_state(message: Message) -> None:
        speaker.heard(message, "state", value=message.value)
        if "clock" in message:
            speaker.heard(message, "clock", value={"machine": message.value["pilot"], **message.clock})

    def on_cohere(message: Message) -> None:
        theirs = message.value
        ours = ledger.answer(theirs)
        agrees = all(theirs[name] == ours[name] for name in ("count", "digest"))
        speaker.heard(message, "cohere", value={**theirs, "agrees": agrees, "here": ours["count"]})

    def on_error(message: Message) -> None:
        speaker.heard(message, "exception", value=message.value)
        runner.tell("exception", message.value)

    return {
        "DATA": on_data,
        "CONTINUOUS": runner.on_item,
        "STREAM_VIDEO": runner.on_item,
        "HANDSHAKE": on_handshake,
        "STATE": on_state,
        "COHERE": on_cohere,
        "ERROR": on_error,
    }
