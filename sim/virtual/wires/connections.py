"""The connections of a virtual lab, and what faults do to them and to the links below them.

A connection behaves as zmq over TCP does. It keeps order. When one end closes it, the other end receives all that was
sent before, and then the close. A silent connection is given up after a while. The lower end reconnects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from autopilot_net.protocol.endpoint import Endpoint
from sim.faults.actions import SILENCE_S, Action
from sim.lab.topology import Topology
from sim.virtual.event_loop import Loop, Process
from sim.virtual.wires.links import Direction, Frames, Rng, VirtualLink

__all__ = ["Wire", "Wires"]

CONNECT_US = 1_000
RECONNECT_US = (50_000, 1_000_000)  # zmq waits this long before it tries again: the first time, and at most
BREAK_US = 1_000  # from a reset until each end notices it
SILENCE_US = round(SILENCE_S * 1e6)

LINK_US, LOCAL_US = (80, 400), (20, 60)


class LowerPeer(Protocol):
    """The participant that connects upwards: a station or a node of `driver.py`, or a raw peer."""

    process: Process

    def meet(self, line: Any, peer: str) -> None:
        """The connection of `line` to its upstream is up."""

    def lose(self, line: Any, peer: str) -> None:
        """The connection of `line` to its upstream is lost."""

    def receive(self, line: Any, peer: str, frames: Frames) -> None:
        """Frames have arrived from upstream."""


class LowerEnd(Protocol):
    """The end that makes the connection: one line of a `LowerPeer`."""

    @property
    def peer(self) -> LowerPeer: ...

    @property
    def endpoint(self) -> Endpoint: ...


class UpperEnd(Protocol):
    """The station at the upper end, which accepts connections."""

    process: Process
    below: dict[str, tuple[Wire, int]]  # lower neighbour -> its wire, and the number of its connection there

    def receive_below(self, name: str, wire: Wire, conn: int, frames: Frames) -> None:
        """Frames have arrived from `name` by a connection, which may be new."""

    def lose_below(self, name: str) -> None:
        """The connection of `name` is lost."""

    def lose_connection(self, name: str, wire: Wire, conn: int) -> None:
        """One connection of `name` is lost. Does nothing if `name` has a newer one."""


class Wires:
    """All links and wires of a lab: a link from each machine to its parent, and a wire for each endpoint that connects.

    A link outlives the processes at its ends. `station(id)` returns the station that is up there, or None.
    """

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
        self._wires: dict[str, Wire] = {}  # station -> its wire in its present life
        self._waiting: dict[str, dict[Wire, None]] = {}  # upper station -> the wires that lead to it, in order

    def wire(self, line: LowerEnd) -> Wire:
        """A wire for a line. A station's crosses the link of its machine; any other stays on its machine."""
        name = line.endpoint.id
        upper = str(line.endpoint.routes.upstream)
        is_station = name in self._links
        link = self._links[name] if is_station else VirtualLink("", self._chance.between(*LOCAL_US))
        wire = Wire(self._loop, self._chance, link, line, lambda: self._station(upper), self._lost)
        self._waiting.setdefault(upper, {})[wire] = None
        if is_station:
            self._wires[name] = wire
        return wire

    def retry_below(self, upper: str) -> None:
        """Have the wires that wait for the station `upper` try again, now that it is up."""
        wires = self._waiting.setdefault(upper, {})
        for wire in [wire for wire in wires if wire.closed]:
            del wires[wire]
        for wire in wires:
            wire.retry()

    def strike(self, action: Action) -> None:
        """Apply `action` to a link and to the connections on it."""
        link, name = self._links[action.target], action.target
        was_cut = any(way.cut for way in link.ways(action.way))
        link.strike(action, self._loop.now_us)
        for wire in self._on(name):
            if action.verb == "reset" or (action.verb == "heal" and was_cut):
                wire.reset()
            elif action.verb == "mute":
                wire.mute()
        if action.verb in ("cut", "hold"):
            self.watch(self._on(name))
        elif action.verb in ("heal", "release"):
            for way in link.ways(action.way):
                self._loop.at(way.hurry(self._loop.now_us), self._landing(way))
            link.deliver_waiting()
            for wire in self._on(name):
                wire.retry()

    def _landing(self, way: Direction) -> Callable[[], None]:
        return lambda: way.land(self._loop.now_us)

    @staticmethod
    def watch(wires: Iterable[Wire | None]) -> None:
        """Start the silence timeout of these wires, since nothing may get up them from now on."""
        for wire in wires:
            if wire is not None:
                wire.watch_silence()

    def _on(self, name: str) -> list[Wire]:
        """The wires on the link of machine `name`: the present one, and a former one that the upper end still knows."""
        upper = self._station(self._parents[name])
        known = upper.below.get(name) if upper is not None else None
        wires = [self._wires[name]] if name in self._wires else []
        return list(dict.fromkeys([*wires, *([known[0]] if known is not None else [])]))


class Wire:
    """The connections of one endpoint to its upstream: one at a time, numbered from 1."""

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
        self.closed = False  # by the lower end, and never opened again
        self._loop = loop
        self._chance = chance
        self._upper_of = upper_of
        self._conn = 0
        self._given_up = 0  # the upper end ignores connections up to this number
        self._mute = 0  # nothing passes on connections up to this number, and that they end is noticed late
        self.waits = False  # until `retry` is called
        self._lost = lost
        self._loads: Counter[tuple[bool, int]] = Counter()  # (whether up, connection) -> bytes under way

    @property
    def upper_id(self) -> str:
        """The id of the upstream."""
        return str(self.lower.endpoint.routes.upstream)

    # -- connecting ------------------------------------------------------------------------------------------------

    def connect(self, *, again: bool = False) -> None:
        """Connect after a short delay, or after zmq's reconnect interval if `again`."""
        delay = self._chance.between(*RECONNECT_US) // (1 if again else 1000)
        self._loop.after(max(CONNECT_US // 10, delay), self._try, self.lower.peer.process)

    def retry(self) -> None:
        """Try to connect, if an earlier attempt found no way."""
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
        self._go(self.link.up, (b"",))  # a DEALER opens each connection with an empty frame

    # -- what is sent ----------------------------------------------------------------------------------------------

    def load(self, conn: int | None = None) -> int:
        """How many bytes are under way: up, or down by the connection `conn`."""
        return self._loads[conn is None, self._conn if conn is None else conn]

    def send_up(self, frames: Frames) -> bool:
        """Send to the upper end. Returns False if there is no connection."""
        if self.is_up:
            self._send(self.link.up, frames)
        return self.is_up

    def send_down(self, conn: int, frames: Frames) -> None:
        """Send to the lower end by the connection `conn`, which is the one that the upper end knows."""
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
        self._loads[way is self.link.up, number] += size
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
        if conn <= self._mute and frames is not None:
            return
        if way is self.link.down:
            self.lower.peer.process.call(lambda: self._reach_lower(conn, frames))
            return
        upper = self._upper_of()
        if upper is None or conn <= self._given_up:
            return
        upper.process.call(lambda: self._reach_upper(upper, conn, frames))

    def _reach_upper(self, upper: UpperEnd, conn: int, frames: Frames | None) -> None:
        self._loads[True, conn] -= 0 if frames is None else sum(map(len, frames))
        name = self.lower.endpoint.id
        known = upper.below.get(name)
        if frames is None:
            if known == (self, conn):
                upper.lose_below(name)
        elif known is not None and known[0] is self and known[1] > conn:
            return  # late frames of a former connection: zmq closed it when the new one came
        else:
            upper.receive_below(name, self, conn, frames)

    def _reach_lower(self, conn: int, frames: Frames | None) -> None:
        self._loads[False, conn] -= 0 if frames is None else sum(map(len, frames))
        if conn != self._conn or not self.is_up:
            return
        if frames is None:
            self._break_lower()
        else:
            self.lower.peer.receive(self.lower, self.upper_id, frames)

    # -- what breaks -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the wire for good. What was sent before still arrives."""
        self.closed = True
        self._hang_up()

    def reconnect(self) -> None:
        """Close the connection, and make a new one."""
        self._hang_up()
        self.connect()

    def reset(self) -> None:
        """Break the connection at both ends. What is in flight is lost."""
        self.reset_upper()
        if self.is_up:
            self._conn_lost_below()

    def mute(self) -> None:
        """Let nothing pass any more on the connections that there were so far. Neither end notices it."""
        self._mute = self._conn

    def reset_upper(self) -> None:
        """Break the connection that the upper end knows."""
        upper = self._upper_of()
        name = self.lower.endpoint.id
        if upper is not None and name in upper.below and upper.below[name][0] is self:
            conn = upper.below[name][1]
            self._given_up = max(self._given_up, conn)
            self._loop.after(BREAK_US, lambda: upper.lose_connection(name, self, conn), upper.process)

    def upper_died(self, conn: int) -> None:
        """Close a connection whose upper end has died. What it sent before still arrives."""
        self._given_up = max(self._given_up, conn)
        self._go(self.link.down, None, conn)

    def watch_silence(self) -> None:
        """Have the upper end give the connection up after `SILENCE_US`, if nothing gets up by then."""
        self._loop.after(SILENCE_US, self._give_up)

    def _give_up(self) -> None:
        upper, name = self._upper_of(), self.lower.endpoint.id
        if upper is None or not upper.process.runs or upper.below.get(name, (None, 0))[0] is not self:
            return
        up = self.link.up  # a paused process counts as alive: its operating system answers for it
        if up.blocked and self._loop.now_us - up.since_us >= SILENCE_US:
            conn = upper.below[name][1]
            self.upper_died(conn)
            upper.lose_connection(name, self, conn)

    def _hang_up(self) -> None:
        if self.is_up:
            self.is_up = False
            conn = self._conn
            noticed_us = SILENCE_US if conn <= self._mute else 0
            self._loop.after(noticed_us, lambda: self._go(self.link.up, None, conn))

    def _conn_lost_below(self) -> None:
        conn = self._conn

        def notice() -> None:
            if self.is_up and self._conn == conn:
                self._break_lower()

        self._loop.after(BREAK_US, notice, self.lower.peer.process)

    def _break_lower(self) -> None:
        self.is_up = False
        self.lower.peer.lose(self.lower, self.upper_id)
        self.connect(again=True)
