"""The connections of a virtual lab, on its links, and what faults do to both.

A connection behaves as zmq over TCP does: it keeps order; what one end closes the other hears of behind all that was
sent before; what is silent is given up after a while; and whoever is below connects again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from autopilot_net.protocol.endpoint import Endpoint
from sim.faults.actions import Action
from sim.lab.topology import Topology
from sim.virtual.event_loop import Loop, Process
from sim.virtual.links import Direction, Frames, Rng, VirtualLink

__all__ = ["Wire", "Wires"]

CONNECT_US = 1_000
RECONNECT_US = (50_000, 1_000_000)  # zmq tries again after this, and ever more rarely up to that
BREAK_US = 1_000  # until the other end hears of a connection that was reset
SILENCE_US = 6_000_000  # until the system gives up a connection whose other end answers nothing

LINK_US, LOCAL_US = (80, 400), (20, 60)


class LowerPeer(Protocol):
    """Whose connection it is: a station or a node of `driver.py`, or a raw peer."""

    process: Process

    def meet(self, line: Any, peer: str) -> None:
        """The connection of `line` to its upstream is there."""

    def lose(self, line: Any, peer: str) -> None:
        """It is gone."""

    def receive(self, line: Any, peer: str, frames: Frames) -> None:
        """Something has come by it."""


class LowerEnd(Protocol):
    """The end that connects."""

    @property
    def peer(self) -> LowerPeer: ...

    @property
    def endpoint(self) -> Endpoint: ...


class UpperEnd(Protocol):
    """The station that is connected to."""

    process: Process
    below: dict[str, tuple[Wire, int]]  # who is connected here, by which connection of which wire

    def hear_below(self, name: str, wire: Wire, conn: int, frames: Frames) -> None:
        """Something has come from `name`, maybe by a new connection."""

    def lose_below(self, name: str) -> None:
        """The connection of `name` is gone."""

    def lose_below_by(self, name: str, wire: Wire, conn: int) -> None:
        """That connection is gone, unless there is another by now."""


class Wires:
    """A link for each machine but the terminal, which outlives whoever is at its ends; a wire for each endpoint."""

    def __init__(
        self,
        topology: Topology,
        loop: Loop,
        chance: Rng,
        *,
        station: Callable[[str], UpperEnd | None],
        lost: Callable[[str, Wire, bool, bytes], Any],
    ) -> None:
        self._parents = {machine.id: str(machine.parent) for machine in topology.machines[1:]}
        self._loop = loop
        self._chance = chance
        self._station = station
        self._lost = lost
        self._links = {
            machine.id: VirtualLink(machine.id, chance.between(*LINK_US), machine.link)
            for machine in topology.machines[1:]
        }
        self._wires: dict[str, Wire] = {}  # the present one of each station
        self._waiting: dict[str, dict[Wire, None]] = {}  # by the station above

    def wire(self, line: LowerEnd) -> Wire:
        """The connection of a line to its upstream: a station's by its machine's link, any other on its machine."""
        name = line.endpoint.id
        upper = str(line.endpoint.routes.upstream)
        is_station = name in self._links
        link = self._links[name] if is_station else VirtualLink("", self._chance.between(*LOCAL_US))
        wire = Wire(self._loop, self._chance, link, line, lambda: self._station(upper), self._lost)
        self._waiting.setdefault(upper, {})[wire] = None
        if is_station:
            self._wires[name] = wire
        return wire

    def kick(self, upper: str) -> None:
        """The station `upper` is there: who waits for it may try again."""
        wires = self._waiting.setdefault(upper, {})
        for wire in [wire for wire in wires if wire.closed]:
            del wires[wire]
        for wire in wires:
            wire.kick()

    def strike(self, action: Action) -> None:
        """Do to a link, and to the connections on it, what `action` says."""
        link, name = self._links[action.target], action.target
        was_cut = any(way.cut for way in link.ways(action.way))
        link.strike(action, self._loop.now_us)
        if action.verb == "reset" or (action.verb == "heal" and was_cut):
            for wire in self._on(name):
                wire.reset()
        if action.verb in ("cut", "hold"):
            self.watch(self._on(name))
        elif action.verb in ("heal", "release"):
            for way in link.ways(action.way):
                self._loop.at(way.hurry(self._loop.now_us), self._landing(way))
            link.let_go()
            for wire in self._on(name):
                wire.kick()

    def _landing(self, way: Direction) -> Callable[[], None]:
        return lambda: way.land(self._loop.now_us)

    @staticmethod
    def watch(wires: Iterable[Wire | None]) -> None:
        """From here on nothing may come up these."""
        for wire in wires:
            if wire is not None:
                wire.watch_silence()

    def _on(self, name: str) -> list[Wire]:
        """The wire of the station at the lower end, and a former one, if that is what the upper end still knows."""
        upper = self._station(self._parents[name])
        known = upper.below.get(name) if upper is not None else None
        wires = [self._wires[name]] if name in self._wires else []
        return list(dict.fromkeys([*wires, *([known[0]] if known is not None else [])]))


class Wire:
    """The connection of one endpoint to its upstream: one at a time, each with a number."""

    def __init__(
        self,
        loop: Loop,
        chance: Rng,
        link: VirtualLink,
        lower: LowerEnd,
        upper_of: Callable[[], UpperEnd | None],
        lost: Callable[[str, Wire, bool, bytes], Any],
    ) -> None:
        self.link = link
        self.lower = lower
        self.is_up = False  # as the lower end sees it
        self.closed = False  # for good, by the lower end
        self._loop = loop
        self._chance = chance
        self._upper_of = upper_of
        self._conn = 0
        self._given_up = 0  # by the upper end: nothing more is heard by this one or a former
        self.waits = False  # to be told that it may be worth trying
        self._lost = lost

    @property
    def upper_id(self) -> str:
        """The upstream's id."""
        return str(self.lower.endpoint.routes.upstream)

    # -- connecting ------------------------------------------------------------------------------------------------

    def connect(self, *, again: bool = False) -> None:
        """Try soon."""
        delay = self._chance.between(*RECONNECT_US) // (1 if again else 1000)
        self._loop.after(max(CONNECT_US // 10, delay), self._try, self.lower.peer.process)

    def kick(self) -> None:
        """Something has changed for the better."""
        if self.waits:
            self.waits = False
            self.connect(again=True)

    def _try(self) -> None:
        upper = self._upper_of()
        if self.is_up or self.closed:
            return
        if upper is None or not upper.process.runs or self.link.blocked:
            self.waits = True
            return
        self._conn += 1
        self.is_up = True
        self.lower.peer.meet(self.lower, self.upper_id)
        self._go(self.link.up, (b"",))  # as a DEALER says first by each connection

    # -- what is sent ----------------------------------------------------------------------------------------------

    def send_up(self, frames: Frames) -> bool:
        """False if there is no connection."""
        if self.is_up:
            self._send(self.link.up, frames)
        return self.is_up

    def send_down(self, conn: int, frames: Frames) -> None:
        """By the connection that the upper end knows."""
        self._send(self.link.down, frames, conn)

    def _send(self, way: Direction, frames: Frames, conn: int | None = None) -> None:
        copies, verb = way.copies(frames[-1], self._chance) if way.rules else (1, "")
        if verb:
            self._lost(verb, self, way is self.link.up, frames[-1])
        for _ in range(copies):
            self._go(way, frames, conn)

    def _go(self, way: Direction, frames: Frames | None, conn: int | None = None) -> None:
        number = self._conn if conn is None else conn
        size = 0 if frames is None else sum(map(len, frames))
        at = way.arrival(size, self._loop.now_us, self._chance)
        way.flying.append((at, lambda: self._arrive(way, number, frames)))
        self._loop.at(at, lambda: way.land(self._loop.now_us))

    def _arrive(self, way: Direction, conn: int, frames: Frames | None) -> None:
        if way.cut:
            return
        if way.held or way.waiting:
            way.waiting.append(lambda: self._deliver(way, conn, frames))
        else:
            self._deliver(way, conn, frames)

    def _deliver(self, way: Direction, conn: int, frames: Frames | None) -> None:
        if way is self.link.down:
            process = self.lower.peer.process
            if process.runs:
                self._reach_lower(conn, frames)
            else:
                process.call(lambda: self._reach_lower(conn, frames))
            return
        upper = self._upper_of()
        if upper is None or conn <= self._given_up:
            return
        if upper.process.runs:
            self._reach_upper(upper, conn, frames)
        else:
            upper.process.call(lambda: self._reach_upper(upper, conn, frames))

    def _reach_upper(self, upper: UpperEnd, conn: int, frames: Frames | None) -> None:
        name = self.lower.endpoint.id
        known = upper.below.get(name)
        if frames is None:
            if known == (self, conn):
                upper.lose_below(name)
        elif known is not None and known[0] is self and known[1] > conn:
            return  # what comes late by a former connection, which zmq has closed for the new one
        else:
            upper.hear_below(name, self, conn, frames)

    def _reach_lower(self, conn: int, frames: Frames | None) -> None:
        if conn != self._conn or not self.is_up:
            return
        if frames is None:
            self._break_lower()
        else:
            self.lower.peer.receive(self.lower, self.upper_id, frames)

    # -- what breaks -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """The lower end has died, or needs it no more; what it has sent arrives yet."""
        self.closed = True
        self._hang_up()

    def reconnect(self) -> None:
        """The lower end gives the connection up, and tries again."""
        self._hang_up()
        self.connect()

    def reset(self) -> None:
        """Both ends hear that the connection is gone; what was under way is lost."""
        self.hear_reset_above()
        if self.is_up:
            self._conn_lost_below()

    def hear_reset_above(self) -> None:
        """The upper end hears that the connection it knows is gone."""
        upper = self._upper_of()
        name = self.lower.endpoint.id
        if upper is not None and name in upper.below and upper.below[name][0] is self:
            conn = upper.below[name][1]
            self._given_up = max(self._given_up, conn)
            self._loop.after(BREAK_US, lambda: upper.lose_below_by(name, self, conn), upper.process)

    def upper_died(self, conn: int) -> None:
        """The upper end is gone: what it sent before arrives yet, and then the end of the connection."""
        self._given_up = max(self._given_up, conn)
        self._go(self.link.down, None, conn)

    def watch_silence(self) -> None:
        """Nothing gets up from here on: the upper end gives up after a while, if that does not change."""
        self._loop.after(SILENCE_US, self._give_up)

    def _give_up(self) -> None:
        upper, name = self._upper_of(), self.lower.endpoint.id
        if upper is None or not upper.process.runs or upper.below.get(name, (None, 0))[0] is not self:
            return
        up = self.link.up  # for a process that stands still, its system answers
        if up.blocked and self._loop.now_us - up.since_us >= SILENCE_US:
            conn = upper.below[name][1]
            self.upper_died(conn)
            upper.lose_below_by(name, self, conn)

    def _hang_up(self) -> None:
        if self.is_up:
            self.is_up = False
            self._go(self.link.up, None)

    def _conn_lost_below(self) -> None:
        conn = self._conn

        def hear() -> None:
            if self.is_up and self._conn == conn:
                self._break_lower()

        self._loop.after(BREAK_US, hear, self.lower.peer.process)

    def _break_lower(self) -> None:
        self.is_up = False
        self.lower.peer.lose(self.lower, self.upper_id)
        self.connect(again=True)
