"""The library's driver in virtual time: a peer carries out the effects of its endpoints on virtual wires."""

from __future__ import annotations

import itertools
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
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import (
    Deliver,
    Dropped,
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
from autopilot_net.protocol.router import AWAY
from sim.lab.names import machine_of
from sim.scenario.clocks import MachineClock
from sim.virtual.event_loop import Loop, Process
from sim.virtual.handler_thread import Closing, Done, HandlerThread
from sim.virtual.wires.connections import Wire
from sim.virtual.wires.lines import FullPipes, Line
from sim.virtual.wires.links import Rng

__all__ = ["Line", "Net", "Peer"]


class Net(Protocol):
    """What a peer needs from its lab."""

    loop: Loop
    chance: Rng
    pipe_bytes: int | None  # how much one connection holds in one direction

    def trace(self, endpoint: Endpoint, effect: Effect) -> None:
        """Journal an effect."""

    def wire(self, line: Line) -> Wire:
        """A new wire from a line to its upstream, not connected yet."""

    def saved(self, name: str) -> Saved:
        """The durable records of an endpoint. They outlive its process."""

    def raised(self, process: Process, error: Exception) -> None:
        """Journal an exception that a driver must never raise."""

    def clock(self, machine: str) -> MachineClock:
        """The wall clock of a machine."""

    def handler_us(self, message: Message) -> int:
        """How long the handler of a message takes, in microseconds."""


class Peer:
    """A node or station: its main line, the lines of its streams, and its handlers. Subclasses handle the messages."""

    def __init__(
        self,
        net: Net,
        process: Process,
        id: str,
        *,
        upstream: str | None,
        forwards: bool,
        settings: Settings,
        life: int,
        durable: bool,
    ) -> None:
        self.net = net
        self.process = process
        self.id = id
        self.life = life
        self.clock = net.clock(machine_of(process.name))
        self.closing: Any = Closing()
        self.below: dict[str, tuple[Wire, int]] = {}  # lower neighbour -> its wire and connection number
        self.counters: Counter[str] = Counter()
        self._settings, self._durable = settings, durable
        self._opened: Counter[str] = Counter()
        self._queue: deque[tuple[Line, Effect]] = deque()
        self._touched: dict[Line, None] = {}  # lines whose timers must be read again
        self._working = False
        self._pipes = None if net.pipe_bytes is None else FullPipes(self, net.loop)
        self.handlers = HandlerThread(net.loop, process)
        self.lines: list[Line] = []
        self.line = self.open(id, upstream, forwards=forwards, durable=True)
        self.numbers = itertools.count(life << 32 if durable else 0)  # above all of its former lives

    # -- lines -----------------------------------------------------------------------------------------------------

    def open(self, id: str, upstream: str | None, *, forwards: bool = False, durable: bool, **changed: Any) -> Line:
        """Add an endpoint to this peer. It is not connected yet. `changed` replaces fields of its settings."""
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
            epoch=self.clock.epoch,
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
        """Close every connection, as the process has died. Set `Process.dead` first: it stops the pending calls."""
        for line in self.lines:
            if line.wire is not None:
                line.wire.close()
        for wire, conn in self.below.values():
            wire.upper_died(conn)

    # -- sending ---------------------------------------------------------------------------------------------------

    def prepare(self, to: str | Sequence[str], key: str, value: Any, *, flags: Any = (), **extra: Any) -> Message:
        """A message with a new id. It is not sent yet."""
        return make_message(self.id, self.numbers, to, key, value, flags=flags, at=self.clock.wall, **extra)

    def prepare_message(self, to: Any, key: str, value: Any, repeat: bool = True) -> Message:
        """See `prepare`. It has the signature of the library's node and station."""
        message = self.prepare(to, key, value)
        if not repeat:
            message.flags["NOREPEAT"] = True
        return message

    @property
    def clock_offset(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's. None while that is not known."""
        return self.line.endpoint.clock_offset(now=self.at(self.line))

    def at(self, line: Line) -> float:
        """Virtual time in seconds. Tells the endpoint of a line first what the wall clock shows."""
        line.endpoint.epoch = self.clock.epoch
        return self.net.loop.now

    def send(
        self, to: Any = None, *, msg: Message | None = None, repeat: bool | None = None, expires_after: Any = None
    ) -> Delivery:
        """Send a prepared message along the hops `to`. Never waits for room in a queue.

        Raises `AutopilotNetError` if there is no `msg`.
        """
        if msg is None:
            raise AutopilotNetError(f"{self.id} was asked to send to {to} without a message")
        hops = [to] if isinstance(to, str) else list(to or ([msg.to] if isinstance(msg.to, str) else msg.to))
        msg.to = hops[-1]
        line = self.line
        options: dict[str, Any] = {"repeat": repeat, "expires_after": expires_after}
        effects = line.endpoint.send(msg, hops=hops if len(hops) > 1 else (), now=self.at(line), **options)
        delivery = new_delivery(line, msg)
        self.carry_out(line, effects)
        return delivery

    # -- what the wire does ----------------------------------------------------------------------------------------

    def receive(self, line: Line, peer: str, frames: tuple[bytes, ...]) -> None:
        """Pass frames from the neighbour `peer` to the endpoint."""
        try:
            effects = line.endpoint.receive(peer, frames, now=self.at(line))
        except Exception as error:  # noqa: BLE001  # the library's driver, too, survives any message
            self.net.raised(self.process, error)
            return
        self.carry_out(line, effects)

    def meet(self, line: Line, peer: str) -> None:
        """Tell the endpoint that a neighbour is connected."""
        self.carry_out(line, line.endpoint.meet(peer, now=self.at(line)))
        while self._pipes is None and peer in line.endpoint.router.waiting_peers():
            self.carry_out(line, line.endpoint.ready(peer))  # what waited for an upstream that was never met

    def lose(self, line: Line, peer: str) -> None:
        """Tell the endpoint that a neighbour is lost."""
        self.carry_out(line, line.endpoint.lose(peer, now=self.at(line)))
        count = 0 if self._pipes is None else self._pipes.discard(line, peer)
        self.carry_out(line, [Dropped(AWAY, peer, "", count)] if count else [])

    def receive_below(self, name: str, wire: Wire, conn: int, frames: tuple[bytes, ...]) -> None:
        """Pass on frames from a lower neighbour. Frames by a new connection replace the former connection first."""
        if name in (self.id, self.line.endpoint.routes.upstream):
            return  # as by `Inbound` of the library
        if self.below.get(name) != (wire, conn):
            took_over = name in self.below
            if self.line.endpoint.routes.has(name):
                self.lose(self.line, name)
            self.below[name] = (wire, conn)
            address = wire.lower.peer.process.name
            self.carry_out(self.line, self.line.endpoint.connected(name, address, took_over=took_over))
        self.receive(self.line, name, frames)

    def lose_below(self, name: str) -> None:
        """The connection of the lower neighbour `name` is lost."""
        del self.below[name]
        self.lose(self.line, name)

    def lose_connection(self, name: str, wire: Wire, conn: int) -> None:
        """One connection of `name` is lost. Does nothing if `name` has a newer one."""
        if self.below.get(name) == (wire, conn):
            self.lose_below(name)

    # -- effects ---------------------------------------------------------------------------------------------------

    def carry_out(self, line: Line, effects: Iterable[Effect]) -> None:
        """Carry out effects, after those that are queued. May be called from within an effect."""
        for effect in effects:
            if self._durable:
                self._keep(line, effect)
            self._queue.append((line, effect))
        self._touched[line] = None
        if self._working:
            return
        self._working = True
        try:
            while self._queue:
                queued, self._queue = self._queue, deque()
                for carrier, effect in queued if self._pipes is None else self._pipes.admit(queued):
                    self.net.trace(carrier.endpoint, effect)
                    carry_out(self, carrier, effect)
        finally:
            self._working = False
        for touched in self._touched:
            self._arm(touched)
        self._touched.clear()

    def _keep(self, line: Line, effect: Effect) -> None:
        if isinstance(effect, Store):
            self.net.saved(line.endpoint.id).store(effect.record)
        elif isinstance(effect, Forget):
            self.net.saved(line.endpoint.id).forget(effect.to, effect.seq)

    def _arm(self, line: Line) -> None:
        dues = [line.due_us(), None if self._pipes is None else self._pipes.due_us(line)]
        due = min((at for at in dues if at is not None), default=None)
        if due is not None and (line.armed_us is None or due < line.armed_us):
            at = line.armed_us = max(due, self.net.loop.now_us + 1)
            self.net.loop.at(at, lambda: self._time(line, at), self.process)

    def _time(self, line: Line, armed_us: int) -> None:
        if line.armed_us != armed_us:
            return  # it was armed for an earlier time since
        line.armed_us = None
        now = self.at(line)
        if self._pipes is not None:
            self._pipes.retry(line)
        self.carry_out(line, line.endpoint.handle_timer(now=now))
        if line.source is not None:
            self.carry_out(line, line.source.pump(now))

    # -- for the interpreter: see `World` ------------------------------------------------------------------------------

    def transmit(self, carrier: Line, effect: Transmit) -> Outcome:
        """Put frames on the wire, or keep them where its pipe is full."""
        if self._pipes is None:
            return self.put_on_wire(carrier, effect.peer, effect.frames)
        return self._pipes.send(carrier, effect)

    def put_on_wire(self, line: Line, peer: str, frames: tuple[bytes, ...]) -> Outcome:
        """Send frames by the wire to the neighbour `peer`."""
        if line.wire is not None and peer == line.endpoint.routes.upstream:
            return Outcome.SENT if line.wire.send_up(frames) else Outcome.GONE
        wire, conn = self.below.get(peer, (None, 0))
        if wire is None:
            return Outcome.GONE
        wire.send_down(conn, frames)
        return Outcome.SENT

    put = carry_out

    def run(self, carrier: Line, act: Callable[[float], list[Effect]]) -> None:
        """Carry out the effects of `act(now)` at once."""
        self.carry_out(carrier, act(self.at(carrier)))

    def deliver(self, carrier: Line, effect: Deliver) -> None:
        """Queue a message for its handler."""
        self.handlers.put(lambda: self._handle(carrier, effect))

    def tell_of_peer(self, carrier: Line, effect: PeerUp | PeerDown | DuplicateId) -> None:
        """Queue `on_peer` for the handler thread."""
        del carrier
        self.handlers.put(lambda: self.on_peer(effect))

    def reconnect(self, carrier: Line, effect: Reconnect) -> None:
        """Close the connection to the upstream, and make a new one."""
        if carrier.wire is not None:
            self.lose(carrier, effect.peer)
            carrier.wire.reconnect()

    def note(self, carrier: Line, effect: Effect) -> None:
        """Do nothing: `trace` has journalled the effect."""

    def keep(self) -> None:
        """Do nothing: records are stored as soon as they come."""

    # -- handlers --------------------------------------------------------------------------------------------------

    def _handle(self, line: Line, effect: Deliver) -> Done:
        try:
            result = self.on_message(effect.message)
        except Exception as error:  # noqa: BLE001  # a handler of a lab may raise anything; it is reported
            result = None
            if effect.message.key != ERROR:
                self.report(error, traceback.format_exc())
        passed_on = settles(effect.message, result)
        duration_us = self.net.handler_us(effect.message)
        return duration_us, lambda: handled(self, line, effect.ticket, passed_on) if effect.ticket else None

    # -- for subclasses ---------------------------------------------------------------------------------------

    def on_message(self, message: Message) -> Any:
        """Handle a message. Returns what its listen returned."""
        raise NotImplementedError

    def on_peer(self, news: PeerUp | PeerDown | DuplicateId) -> None:
        """A neighbour has connected or is lost, or two below share one id."""

    def report(self, error: BaseException, trace: str) -> None:
        """Report the error that a handler raised to the own station or its parent."""
        raise NotImplementedError
