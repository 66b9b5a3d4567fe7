"""PURE. What lies between two endpoints in virtual time: links that faults strike, and connections that come and go.

A connection behaves as zmq over TCP does: it keeps order; what one end closes the other hears of behind all that was
sent before; what is silent is given up after a while; and whoever is below connects again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from sim.faults import Action
from sim.faults import Link as Shape
from sim.virtualtime import Loop

if TYPE_CHECKING:
    from sim.virtualpeers import Line, Peer

__all__ = ["Chance", "Direction", "Link", "Wire"]

CONNECT_US = 1_000
RECONNECT_US = (50_000, 1_000_000)  # zmq tries again after this, and ever more rarely up to that
BREAK_US = 1_000  # until the other end hears of a connection that was reset
SILENCE_US = 6_000_000  # the time to live that a DEALER tells with its heartbeats
KEY = re.compile(rb'"key": ?"((?:[^"\\]|\\.)*)"')
ID = re.compile(rb'\{"id": ?"((?:[^"\\]|\\.)*)"')

Frames = tuple[bytes, ...]
UP, DOWN = "up", "down"


class Chance:
    """One seeded source of chance. Numbers are drawn in blocks: one by one they would cost more than what they serve.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._numbers = self._blocks()

    def share(self) -> float:
        """From 0 to 1."""
        return next(self._numbers)

    def between(self, low: int, high: int) -> int:
        """A whole number, low <= n < high."""
        return low + int(next(self._numbers) * (high - low))

    def _blocks(self) -> Iterator[float]:
        while True:
            yield from self._generator.random(4096).tolist()


class Rule(Struct):
    """What becomes of single messages: `left` more of them, None without end."""

    verb: str
    probability: float
    key: bytes | None
    left: int | None


class Direction:
    """One way of a link."""

    __slots__ = (
        *("base_us", "cut", "free_us", "held", "jitter_us", "latency_us", "rate_mbit", "rules", "since_us", "waiting"),
    )

    def __init__(self, base_us: int) -> None:
        self.base_us = base_us
        self.latency_us = 0
        self.jitter_us = 0
        self.rate_mbit: float | None = None
        self.cut = False
        self.held = False
        self.since_us = 0  # since when it is cut or held
        self.free_us = 0  # when the last of what is under way will have arrived
        self.waiting: deque[Callable[[], None]] = deque()  # what arrived while it was held
        self.rules: list[Rule] = []

    @property
    def blocked(self) -> bool:
        """Whether nothing gets through now."""
        return self.cut or self.held

    def shape(self, latency_ms: float, jitter_ms: float, rate_mbit: float | None) -> None:
        """Be as slow as this."""
        self.latency_us, self.jitter_us, self.rate_mbit = int(latency_ms * 1e3), int(jitter_ms * 1e3), rate_mbit

    def arrival(self, size: int, now_us: int, chance: Chance) -> int:
        """When something of `size` bytes that is sent now arrives: never before what was sent earlier."""
        late = self.base_us + int(chance.share() * self.base_us) + self.latency_us
        if self.jitter_us:
            late = max(0, late + chance.between(-self.jitter_us, self.jitter_us))
        takes = int(8 * size / self.rate_mbit) if self.rate_mbit else 0
        self.free_us = max(now_us + late, self.free_us) + takes
        return self.free_us

    def copies(self, payload: bytes, chance: Chance) -> tuple[int, str]:
        """How many copies of a message go on, and the fault that says so."""
        for rule in self.rules:
            found = KEY.search(payload[:2_000]) if rule.key is not None else None
            if rule.left == 0 or (rule.key is not None and (found is None or found[1] != rule.key)):
                continue
            if chance.share() < rule.probability:
                rule.left = None if rule.left is None else rule.left - 1
                return (0 if rule.verb == "drop" else 2), rule.verb
        return 1, ""


class Link:
    """The link from one machine up to its parent, or from a program to its own station. It outlives who is at its ends.
    """

    def __init__(self, name: str, base_us: int, own: Shape | None = None) -> None:
        self.name = name
        self.up = Direction(base_us)
        self.down = Direction(base_us)
        self._own = own or Shape()
        self._shape("both", self._own.latency_ms, self._own.jitter_ms, self._own.rate_mbit)

    def ways(self, way: str) -> list[Direction]:
        """The directions that are meant."""
        return [self.up, self.down] if way == "both" else [self.up if way == UP else self.down]

    @property
    def blocked(self) -> bool:
        """Whether no new connection can be made."""
        return self.up.blocked or self.down.blocked

    def strike(self, action: Action, now_us: int) -> None:
        """Do to it what `action` says, but for what happens to its connections."""
        if action.verb == "shape":
            self._shape(action.way, action.latency_ms, action.jitter_ms, action.rate_mbit)
        elif action.verb == "heal":
            self._shape(action.way, self._own.latency_ms, self._own.jitter_ms, self._own.rate_mbit)
        for way in self.ways(action.way):
            self._strike(way, action, now_us)

    @staticmethod
    def _strike(way: Direction, action: Action, now_us: int) -> None:
        if action.verb in ("cut", "hold"):
            way.since_us = way.since_us if way.blocked else now_us
            way.cut, way.held = way.cut or action.verb == "cut", way.held or action.verb == "hold"
        elif action.verb == "heal":
            way.cut, way.rules = False, []
        elif action.verb == "release":
            way.held = False
        elif action.verb in ("drop", "duplicate"):
            key = None if action.key is None else action.key.encode()
            way.rules.append(Rule(action.verb, action.probability, key, action.first))

    def _shape(self, way: str, latency_ms: float, jitter_ms: float, rate_mbit: float | None) -> None:
        for direction in self.ways(way):
            direction.shape(latency_ms, jitter_ms, rate_mbit)

    def let_go(self) -> None:
        """What was held arrives, in order."""
        for way in (self.up, self.down):
            while way.waiting and not way.held:
                way.waiting.popleft()()


class Wire:
    """The connection of one endpoint to its upstream: one at a time, each with a number."""

    def __init__(
        self,
        loop: Loop,
        chance: Chance,
        link: Link,
        lower: Line,
        upper_of: Callable[[], Peer | None],
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
        self._loop.at(at, lambda: self._arrive(way, number, frames))

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

    def _reach_upper(self, upper: Peer, conn: int, frames: Frames | None) -> None:
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
        process, up = self.lower.peer.process, self.link.up
        since = [up.since_us] if up.blocked else []
        since += [process.since_us] if process.paused else []
        if since and self._loop.now_us - min(since) >= SILENCE_US:
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
