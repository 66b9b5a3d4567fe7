"""What an emulated program does, in whatever world: its listens, its session, its part in storms, and what it notes.

Around it are a node to speak through, a journal, a clock and a memory that outlives it: of a process, in
`processes/program_process.py`; of virtual time, in `virtual/programs.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from autopilot_net import AutopilotNetError, Delivery, Message
from autopilot_net.error_report import error_report
from sim.emulator.recorder import Hearing
from sim.emulator.sender import Speaker, Voice
from sim.emulator.session import Act, Conductor, Item, Open, Rig, Say, item_of, route_of, stream_name
from sim.lab.topology import Machine, Topology
from sim.scenario import Flow, Op
from sim.scenario.payloads import build, fingerprint

__all__ = ["Emulated", "Memory", "StreamLike"]

Handler = Callable[..., Any]
ORDERS = ("START", "STOP")


class StreamLike(Protocol):
    """A stream of whatever world."""

    id: str
    to: str

    @property
    def ended(self) -> bool: ...

    def append(self, item: Any) -> None: ...

    def close(self) -> None: ...


class Node(Voice, Protocol):
    """A node of whatever world."""

    @property
    def ip(self) -> str: ...

    def get_stream(
        self, id: str, key: str, *, min_size: int, to: str, pilot: str, reliable: bool
    ) -> StreamLike: ...


class Memory(Protocol):
    """What of a program outlives its death: one value."""

    def load(self) -> dict[str, Any] | None:
        """What was kept last; None where nothing was."""

    def keep(self, value: dict[str, Any]) -> None:
        """Keep `value`, before anything that follows is done."""


class Emulated:
    """The program of one machine. `tell` speaks to whoever runs the rehearsal, `changed` is called when a timer may be
    due sooner. Any thread may call. What the session makes of an order or of the time is done in one go; what follows a
    confirmation, and what the parent asks for, may come between.
    """

    def __init__(
        self,
        topology: Topology,
        machine: Machine,
        *,
        seed: int,
        speaker: Speaker,
        memory: Memory,
        clock: Callable[[], float],
        tell: Callable[..., Any],
        changed: Callable[[], Any] = lambda: None,
    ) -> None:
        self.id = "_" + machine.id
        self.machine = machine
        self.topology = topology
        self.speaker = speaker
        self.streams: dict[tuple[str, int], StreamLike] = {}
        self.flows: list[StreamLike] = []
        self._seed = seed
        self._memory = memory
        self._clock = clock
        self._tell = tell
        self._changed = changed
        self.hearing = Hearing(speaker, tell)
        is_terminal = machine.parent is None
        self._conductor = Conductor(topology, seed=seed) if is_terminal else None
        self._rig = None if is_terminal else Rig(topology, machine, seed=seed)
        self._lock = threading.RLock()
        self._begun = threading.Event()  # a node hears from its station as soon as it is made
        self.node: Any
        self.probe: Any

    def listens(self) -> dict[str, Handler]:
        """The listens of the machine's program."""
        if self._conductor is not None:
            return self.hearing.listens()
        return {"START": self.on_start, "STOP": self.on_stop, "STREAM_VIDEO": self.hearing.on_item}

    def probe_listens(self) -> dict[str, Handler]:
        """The listens of the node that storms speak through."""
        return {"STORM": self._on_probe_storm, "STORM_ITEM": self._on_probe_item}

    def begin(self, node: Node, probe: Node) -> None:
        """Speak through these. Shake hands; then go on with what a former life was at."""
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
        """Until it is known above: given up, it is said again."""

        def settled(done: Delivery) -> None:
            if done.expired and not self.node.closing.is_set():
                self._shake_hands(parent, facts)

        self.speaker.say(self.id, parent, "HANDSHAKE", facts).then(settled)

    # -- the session -----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Conduct the session; in the terminal's program."""
        if self._conductor is not None:
            with self._lock:
                acts = self._conductor.begin(now=self._clock())
                self._keep()
                self.perform(acts)
            self._changed()

    def ask(self) -> None:
        """Ask every pilot whether our copy of its data is whole."""
        if self._conductor is not None:
            self.perform(self._conductor.questions())
            self.perform([Say(self.machine.id, "STOPALL"), Say(self.machine.id, "INIT")])

    def call(self) -> None:
        """Show that we are there: to the terminal; and the terminal, to every machine."""
        home = self.topology.terminal.id
        others = [home] if self._conductor is None else [machine.id for machine in self.topology.machines[1:]]
        self.perform([Say(other, "CALM") for other in others])

    def next_timer(self) -> float | None:
        """When to call `handle_timer`."""
        with self._lock:
            return None if self._script is None else self._script.next_timer()

    def handle_timer(self) -> None:
        """Do what is due."""
        script = self._script
        if script is None:
            return
        with self._lock:
            acts = script.handle_timer(now=self._clock())
            if acts:
                self._keep()
            try:
                self.perform(acts)
            except AutopilotNetError as error:
                facts = error_report(self.machine.id, str(error))
                self.speaker.journal.write("exception", value=facts)
        self._after_orders()

    def on_start(self, message: Message) -> Any:
        """A START: handled when what it set off is known above."""
        self.speaker.heard(message, value=message.value)
        return self._told(lambda rig, now: rig.started(message.value, now=now))

    def on_stop(self, message: Message) -> Any:
        """A STOP: handled when everything below is idle, and that is known above."""
        self.speaker.heard(message, value=message.value)
        return self._told(lambda rig, now: rig.stopped(message.value, now=now))

    def perform(self, acts: list[Act]) -> list[Delivery]:
        """Do them, in order; the handles of what was said, each settled when what comes after it is, too."""
        return [handle for act in acts if (handle := self._do(act)) is not None]

    @property
    def _script(self) -> Conductor | Rig | None:
        if self.machine.program:
            return None  # the lab's own program has its own
        return self._conductor or self._rig

    def _told(self, tell: Callable[[Rig, float], list[Act]]) -> list[Delivery]:
        if self._rig is None:
            return []
        self._begun.wait()
        with self._lock:
            acts = tell(self._rig, self._clock())
            if acts:
                self._keep()
            handles = self.perform(acts)
        self._changed()
        return handles

    def _keep(self) -> None:
        if self._script is not None:
            self._memory.keep(self._script.saved())

    def _after_orders(self) -> None:
        """Tell, once, that the session was played to its end."""
        if self._conductor is not None and self._conductor.done:
            self._tell("played")

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
        if act.key == "STATE":
            self.speaker.journal.write("state", value=act.value)
        said = self.speaker.say(self.id, act.to, act.key, act.value)
        if self._conductor is not None and act.key in ORDERS:
            said.then(lambda done: self._ordered(act, done))
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

    def _ordered(self, order: Say, done: Delivery) -> None:
        if self._conductor is None or (done.expired and self.node.closing.is_set()):
            return
        with self._lock:
            again = self._conductor.settled(order, confirmed=not done.expired)
            self._keep()
            self.perform(again)

    def _open(self, act: Open) -> None:
        spec = self.machine.streams[act.stream]
        to, key = route_of(self.topology, self.machine, spec)
        self.streams[act.stream, act.session] = self.node.get_stream(
            f"{act.stream}.{act.session}",
            key,
            min_size=spec.batch,
            to=to,
            pilot=self.machine.id,
            reliable=spec.reliable,
        )

    def _item(self, act: Item) -> None:
        stream = self.streams[act.stream, act.session]
        if stream.ended:
            return  # a STOP came between the timer and here
        spec = self.machine.streams[act.stream]
        name = stream_name(self.machine.id, act.stream, act.session)
        item = item_of(self._seed, self.machine.id, act.stream, spec, act.session, act.n)
        # First: what a kill leaves without this line would have come from nowhere.
        self.speaker.journal.write("item_made", stream=name, n=act.n, to=stream.to)
        stream.append(item)

    # -- storms ----------------------------------------------------------------------------------------------------

    def storm(self, example: int, ops: list[tuple[int, Op]]) -> None:
        """Our part of a storm."""
        for number, op in ops:
            if isinstance(op, Flow):
                self._flow(example, number, op)
        self.speaker.storm(example, ops)

    def _flow(self, example: int, number: int, op: Flow) -> None:
        node = self.node if op.frm == self.id else self.probe
        stream = node.get_stream(
            f"flow{example}.{number}",
            "STORM_ITEM",
            min_size=op.batch,
            to=op.to,
            pilot=self.machine.id,
            reliable=True,
        )
        payload = build(op.payload)
        name = f"{op.frm}#{example}.{number}"
        for n in range(op.items):
            item = {"example": example, "stream": name, "n": n, "payload": payload}
            self.speaker.journal.write(
                "item_made", by=op.frm, stream=name, n=n, to=op.to, example=example, print=fingerprint(payload)
            )
            stream.append(item)
        stream.close()
        self.flows.append(stream)

    def _on_probe_storm(self, message: Message) -> None:
        self.speaker.heard_storm(self.probe.id, message)

    def _on_probe_item(self, message: Message) -> None:
        self.speaker.heard_item(self.probe.id, message)
