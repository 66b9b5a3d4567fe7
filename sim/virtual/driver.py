"""The library's driver in virtual time: a peer carries the effects of its endpoints out on virtual wires."""

from __future__ import annotations

import itertools
import math
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any, Protocol

from msgspec.structs import replace

from autopilot_net import AutopilotNetError, Delivery, Message
from autopilot_net.addressing import make_message
from autopilot_net.delivery import settles
from autopilot_net.error_report import ERROR
from autopilot_net.interpreter import Outcome, carry_out, handled, new_delivery
from autopilot_net.message import iso_time
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import (
    Deliver,
    DuplicateId,
    Effect,
    Forget,
    PeerDown,
    PeerUp,
    Reconnect,
    Store,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint, Settings
from sim.virtual.connections import Wire
from sim.virtual.event_loop import Loop, Process
from sim.virtual.handler_thread import Done, HandlerThread
from sim.virtual.links import Rng

__all__ = ["EPOCH", "Closing", "Line", "Net", "Peer"]

EPOCH = 1_800_000_000.0  # the wall-clock time at which virtual time begins


class Net(Protocol):
    """What peers need of the world they are in."""

    loop: Loop
    chance: Rng

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Write an effect down."""

    def wire(self, line: Line) -> Wire:
        """The connection of a line to its upstream."""

    def saved(self, name: str) -> Saved:
        """What an endpoint has kept."""

    def raised(self, process: Process, error: Exception) -> None:
        """An internal error, which must not end the peer."""

    def handler_us(self, key: str) -> int:
        """How long the handler of a message takes."""


class Closing:
    """Whether a peer ends."""

    def __init__(self) -> None:
        self._ends = False

    def is_set(self) -> bool:
        """Whether it does."""
        return self._ends

    def set(self) -> None:
        """It does."""
        self._ends = True


class Line:
    """One endpoint, its connection to its upstream, and what is under way from it."""

    def __init__(self, peer: Peer, endpoint: Endpoint) -> None:
        self.peer = peer
        self.endpoint = endpoint
        self.source: Any = None
        self.wire: Wire | None = None
        self.deliveries: dict[str, Delivery] = {}
        self.armed_us: int | None = None

    def due_us(self) -> int | None:
        """When it wants to be looked after."""
        due = self.endpoint.next_timer()
        if self.source is not None:
            other = self.source.next_timer()
            due = other if due is None else due if other is None else min(due, other)
        return None if due is None else math.ceil(due * 1_000_000)


class Peer:
    """One node or station: its main line and those of its streams, its handlers. Subclasses say what they listen to."""

    def __init__(
        self, net: Net, process: Process, id: str, *, upstream: str | None, forwards: bool, settings: Settings,
        life: int, durable: bool,
    ) -> None:
        self.net = net
        self.process = process
        self.id = id
        self.life = life
        self.closing: Any = Closing()
        self.below: dict[str, tuple[Wire, int]] = {}  # who is connected here, by which connection
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._durable = durable
        self._opened: Counter[str] = Counter()
        self._todo: deque[tuple[Line, Effect]] = deque()
        self._touched: dict[Line, None] = {}  # since something was done last
        self._working = False
        self.handlers = HandlerThread(net.loop, process)
        self.lines: list[Line] = []
        self.line = self.open(id, upstream, forwards=forwards, durable=True)
        self.numbers = itertools.count(self._first_number())

    # -- lines -----------------------------------------------------------------------------------------------------

    def open(self, id: str, upstream: str | None, *, forwards: bool = False, durable: bool, **changed: Any) -> Line:
        """One more endpoint of this peer's; it is not connected yet."""
        self._opened[id] += 1
        incarnation = f"{id}.{self.life}.{self._opened[id]}"
        saved = None
        if self._durable and durable:
            kept = self.net.saved(id)
            kept.prune()
            saved = deepcopy(kept)
        endpoint = Endpoint(
            id,
            upstream=upstream,
            forwards=forwards,
            incarnation=saved.incarnation if saved is not None else incarnation,
            epoch=EPOCH,
            settings=replace(self._settings, **changed) if changed else self._settings,
            saved=saved,
        )
        line = Line(self, endpoint)
        self.lines.append(line)
        return line

    def connect(self, line: Line) -> None:
        """Connect a line to its upstream."""
        line.wire = self.net.wire(line)
        line.wire.connect()

    def end(self) -> None:
        """It is dead: what it was to do is not done. Who was connected hears of it."""
        for line in self.lines:
            if line.wire is not None:
                line.wire.close()
        for wire, conn in self.below.values():
            wire.upper_died(conn)

    def _first_number(self) -> int:
        """Message numbers go on where a former life could have come to, if it kept anything at all."""
        return self.life << 32 if self._durable else 0

    # -- sending ---------------------------------------------------------------------------------------------------

    def prepare(self, to: str | Sequence[str], key: str, value: Any, *, flags: Any = (), **extra: Any) -> Message:
        """A message with an id of its own."""
        at = EPOCH + self.net.loop.now
        return make_message(self.id, self.numbers, to, key, value, flags=flags, at=at, **extra)

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = True) -> Message:
        """As a node's and a station's."""
        message = self.prepare(to, key, value)
        if not repeat:
            message.flags["NOREPEAT"] = True
        return message

    @staticmethod
    def timestamp(now: float) -> str:
        """ISO 8601."""
        return iso_time(EPOCH + now)

    def send(self, to: Any = None, *, msg: Message | None = None, repeat: bool | None = None) -> Delivery:
        """Send a prepared message. Nothing waits for room: virtual handlers are never too slow for long."""
        if msg is None:
            raise AutopilotNetError(f"{self.id} was to send nothing to {to}")
        hops = [to] if isinstance(to, str) else list(to or ([msg.to] if isinstance(msg.to, str) else msg.to))
        msg.to = hops[-1]
        line = self.line
        effects = line.endpoint.send(
            msg, hops=hops if len(hops) > 1 else (), repeat=repeat, now=self.net.loop.now
        )
        delivery = new_delivery(line, msg)
        self.carry_out(line, effects)
        return delivery

    # -- what the wire does ----------------------------------------------------------------------------------------

    def receive(self, line: Line, peer: str, frames: tuple[bytes, ...]) -> None:
        """Something came in."""
        try:
            effects = line.endpoint.receive(peer, frames, now=self.net.loop.now)
        except Exception as error:  # noqa: BLE001  # as in the library's own driver, which outlives any message
            self.net.raised(self.process, error)
            return
        self.carry_out(line, effects)

    def meet(self, line: Line, peer: str) -> None:
        """A neighbour is there."""
        self.carry_out(line, line.endpoint.meet(peer, now=self.net.loop.now))

    def lose(self, line: Line, peer: str) -> None:
        """A neighbour went."""
        self.carry_out(line, line.endpoint.lose(peer, now=self.net.loop.now))

    def hear_below(self, name: str, wire: Wire, conn: int, frames: tuple[bytes, ...]) -> None:
        """Something came in from below, maybe by a new connection."""
        if self.below.get(name) != (wire, conn):
            took_over = name in self.below
            if self.line.endpoint.routes.has(name):
                self.lose(self.line, name)  # the same id by a new connection
            self.below[name] = (wire, conn)
            address = wire.lower.peer.process.name
            self.carry_out(self.line, self.line.endpoint.connected(name, address, took_over=took_over))
        self.receive(self.line, name, frames)

    def lose_below(self, name: str) -> None:
        """The connection of `name` is gone."""
        del self.below[name]
        self.lose(self.line, name)

    def lose_below_by(self, name: str, wire: Wire, conn: int) -> None:
        """That one is, unless there is another by now."""
        if self.below.get(name) == (wire, conn):
            self.lose_below(name)

    # -- effects ---------------------------------------------------------------------------------------------------

    def carry_out(self, line: Line, effects: Iterable[Effect]) -> None:
        """Do them, behind what is being done."""
        for effect in effects:
            if self._durable:
                self._keep(line, effect)
            self._todo.append((line, effect))
        self._touched[line] = None
        if self._working:
            return
        self._working = True
        try:
            while self._todo:
                its, effect = self._todo.popleft()
                self.net.trace(its.endpoint, effect)
                carry_out(self, its, effect)
        finally:
            self._working = False
        for one in self._touched:
            self._arm(one)
        self._touched.clear()

    def _keep(self, line: Line, effect: Effect) -> None:
        if isinstance(effect, Store):
            self.net.saved(line.endpoint.id).store(effect.record)
        elif isinstance(effect, Forget):
            self.net.saved(line.endpoint.id).forget(effect.to, effect.seq)

    def _arm(self, line: Line) -> None:
        due = line.due_us()
        if due is not None and (line.armed_us is None or due < line.armed_us):
            at = line.armed_us = max(due, self.net.loop.now_us + 1)
            self.net.loop.at(at, lambda: self._time(line, at), self.process)

    def _time(self, line: Line, armed_us: int) -> None:
        if line.armed_us != armed_us:
            return  # it was armed for earlier meanwhile
        line.armed_us = None
        now = self.net.loop.now
        self.carry_out(line, line.endpoint.handle_timer(now=now))
        if line.source is not None:
            self.carry_out(line, line.source.pump(now))

    # -- for the interpreter: see `World` ------------------------------------------------------------------------------

    def transmit(self, carrier: Line, effect: Transmit) -> Outcome:
        """Put it on the wire; a virtual wire is never full."""
        if carrier.wire is not None and effect.peer == carrier.endpoint.routes.upstream:
            return Outcome.SENT if carrier.wire.send_up(effect.frames) else Outcome.GONE
        wire, conn = self.below.get(effect.peer, (None, 0))
        if wire is None:
            return Outcome.GONE
        wire.send_down(conn, effect.frames)
        return Outcome.SENT

    put = carry_out

    def run(self, carrier: Line, act: Callable[[float], list[Effect]]) -> None:
        """Do it now."""
        self.carry_out(carrier, act(self.net.loop.now))

    def deliver(self, carrier: Line, effect: Deliver) -> None:
        """Queue it for its handler."""
        self.handlers.put(lambda: self._handle(carrier, effect))

    def tell_of_peer(self, carrier: Line, effect: PeerUp | PeerDown | DuplicateId) -> None:
        """Tell the machine that a neighbour came or went. Of duplicate ids, virtual labs have nothing to tell."""
        del carrier
        if not isinstance(effect, DuplicateId):
            self.handlers.put(lambda: self.on_neighbour(effect.peer, isinstance(effect, PeerUp)))

    def reconnect(self, carrier: Line, effect: Reconnect) -> None:
        """Lose the upstream, and connect to it anew."""
        if carrier.wire is not None:
            self.lose(carrier, effect.peer)
            carrier.wire.reconnect()

    def note(self, carrier: Line, effect: Effect) -> None:
        """Nothing: the trace has it."""

    def keep(self) -> None:
        """Nothing: records are stored as soon as they are asked for."""

    # -- handlers --------------------------------------------------------------------------------------------------

    def _handle(self, line: Line, effect: Deliver) -> Done:
        try:
            result = self.on_message(effect.message)
        except Exception as error:  # noqa: BLE001  # as of a lab's handler: it is told at home
            result = None
            if effect.message.key != ERROR:
                self.report(error, traceback.format_exc())
        passed_on = settles(effect.message, result)
        takes_us = self.net.handler_us(effect.message.key)
        return takes_us, lambda: handled(self, line, effect.ticket, passed_on) if effect.ticket else None

    # -- what subclasses say ---------------------------------------------------------------------------------------

    def on_message(self, message: Message) -> Any:
        """Handle what came in."""
        raise NotImplementedError

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """A neighbour came or went."""

    def report(self, error: BaseException, trace: str) -> None:
        """Tell at home what a handler raised."""
        raise NotImplementedError
