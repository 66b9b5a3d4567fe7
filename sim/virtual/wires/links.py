"""Links between machines in virtual time. A link has a latency, keeps order, and is struck by faults."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from autopilot_net.codec import head
from sim.faults.actions import Action
from sim.lab.fault import Link

__all__ = ["UP", "Rng", "Direction", "Frames", "VirtualLink"]

Frames = tuple[bytes, ...]
UP, DOWN = "up", "down"


class Rng:
    """A seeded random generator. It draws in blocks, since single draws of numpy are slow."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._numbers = self._blocks()

    def share(self) -> float:
        """A number in [0, 1)."""
        return next(self._numbers)

    def between(self, low: int, high: int) -> int:
        """An integer n with low <= n < high."""
        return low + int(next(self._numbers) * (high - low))

    def _blocks(self) -> Iterator[float]:
        while True:
            yield from self._generator.random(4096).tolist()


class Rule(Struct):
    """Drops or duplicates single messages. It applies to `left` more of them; None means no limit."""

    verb: str
    probability: float
    key: str | None
    left: int | None


class Direction:
    """One direction of a link."""

    __slots__ = (
        *("base_us", "cut", "flying", "free_us", "held", "jitter_us", "latency_us", "rate_mbit", "rules", "since_us"),
        "waiting",
    )

    def __init__(self, base_us: int) -> None:
        self.base_us = base_us
        self.latency_us = 0
        self.jitter_us = 0
        self.rate_mbit: float | None = None
        self.cut = False
        self.held = False
        self.since_us = 0  # when it was last cut or held
        self.free_us = 0  # when the last of `flying` will have arrived
        self.flying: deque[tuple[int, Callable[[], None]]] = deque()  # arrival times, and calls that deliver
        self.waiting: deque[Callable[[], None]] = deque()  # what arrived while it was held
        self.rules: list[Rule] = []

    @property
    def blocked(self) -> bool:
        """Whether nothing gets through, because of a cut or a hold."""
        return self.cut or self.held

    def shape(self, latency_ms: float, jitter_ms: float, rate_mbit: float | None) -> None:
        """Set latency, jitter and rate. A rate of None is unlimited."""
        self.latency_us, self.jitter_us, self.rate_mbit = int(latency_ms * 1e3), int(jitter_ms * 1e3), rate_mbit

    def hurry(self, now_us: int) -> int:
        """Have what is in flight arrive no later than what is sent now. Returns the time when all has arrived."""
        self.free_us = min(self.free_us, now_us + 2 * self.base_us + self.latency_us + self.jitter_us)
        self.flying = deque((min(at, self.free_us), arrive) for at, arrive in self.flying)
        return self.free_us

    def land(self, now_us: int) -> None:
        """Deliver what is due, in the order in which it was sent."""
        while self.flying and self.flying[0][0] <= now_us:
            self.flying.popleft()[1]()

    def arrival(self, size: int, now_us: int, chance: Rng) -> int:
        """When `size` bytes that are sent now arrive. Never before what was sent earlier."""
        delay_us = self.base_us + int(chance.share() * self.base_us) + self.latency_us
        if self.jitter_us:
            delay_us = max(0, delay_us + chance.between(-self.jitter_us, self.jitter_us))
        duration_us = int(8 * size / self.rate_mbit) if self.rate_mbit else 0
        self.free_us = max(now_us + delay_us, self.free_us) + duration_us
        return self.free_us

    def copies(self, payload: bytes, chance: Rng) -> tuple[int, str]:
        """How many copies of a message go on, and the verb of the fault that decided it, or an empty string."""
        message_head = head(payload)
        for rule in self.rules:
            if rule.left == 0 or (rule.key is not None and (message_head is None or message_head.key != rule.key)):
                continue
            if chance.share() < rule.probability:
                rule.left = None if rule.left is None else rule.left - 1
                return (0 if rule.verb == "drop" else 2), rule.verb
        return 1, ""


class VirtualLink:
    """The link from one machine up to its parent, or from a program to its own station. It outlives both ends."""

    def __init__(self, name: str, base_us: int, own: Link | None = None) -> None:
        self.name = name
        self.up = Direction(base_us)
        self.down = Direction(base_us)
        self._own = own or Link()
        self._shape("both", self._own.latency_ms, self._own.jitter_ms, self._own.rate_mbit)

    def ways(self, way: str) -> list[Direction]:
        """The directions that `way` (up, down or both) stands for."""
        return [self.up, self.down] if way == "both" else [self.up if way == UP else self.down]

    @property
    def blocked(self) -> bool:
        """Whether no new connection can be made."""
        return self.up.blocked or self.down.blocked

    def strike(self, action: Action, now_us: int) -> None:
        """Apply `action` to the link, but not to its connections. `Wires.strike` does both."""
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
            way.rules.append(Rule(action.verb, action.probability, action.key, action.first))

    def _shape(self, way: str, latency_ms: float, jitter_ms: float, rate_mbit: float | None) -> None:
        for direction in self.ways(way):
            direction.shape(latency_ms, jitter_ms, rate_mbit)

    def deliver_waiting(self) -> None:
        """Deliver in order what was held, in each direction that is held no more."""
        for way in (self.up, self.down):
            while way.waiting and not way.held:
                way.waiting.popleft()()
