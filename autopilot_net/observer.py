"""What one driver records: the trace, what must outlive it, counters, and a log that nobody can flood."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from autopilot_net.durable import Durable
from autopilot_net.loglimit import Drops, LogLimit, shown
from autopilot_net.protocol.connections import LOST, UNKNOWN_LOSS
from autopilot_net.protocol.effects import (
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    Forget,
    Gap,
    PeerDown,
    PeerUp,
    Silent,
    Store,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.router import AWAY, TAKES_NO_MORE
from autopilot_net.trace_writer import TraceWriter

__all__ = ["Observer"]

logger = logging.getLogger("autopilot_net")

OUTBOUND = (AWAY, LOST, TAKES_NO_MORE, UNKNOWN_LOSS)  # what was to go to the neighbour, and did not come from it


class Observer:
    """Nothing in it raises. A full disk ends the trace, or what a restart would find, but not the session."""

    def __init__(self, name: str, *, trace: TraceWriter | None, durable: Durable | None) -> None:
        self.counters: Counter[str] = Counter()
        self._name = name
        self._trace = trace
        self._durable = durable
        self._limit = LogLimit(logger)
        self._drops = Drops(name, logger.warning)

    def put(self, endpoint: Endpoint, effects: list[Effect]) -> None:
        """Queue the records among `effects`, to be stored."""
        if self._durable is not None:
            self._durable.put(endpoint.id, effects)

    def keep(self) -> None:
        """Return once every queued record is stored. From any thread."""
        if self._durable is None:
            return
        try:
            self._durable.flush()
        except OSError as error:  # it is tried again with what comes next
            self.counters["unkept"] += 1
            self.warn("the disk", f"from here on a restart loses what is sent and handled: {error}")

    def write(self, effects: Sequence[tuple[Endpoint, Effect]]) -> None:
        """Write down what is about to be done. If no record is to be stored, this does not wait for the disk."""
        if self._durable is not None and any(isinstance(effect, Store | Forget) for _, effect in effects):
            self.keep()
        if self._trace is None:
            return
        by_endpoint: dict[Endpoint, list[Effect]] = defaultdict(list)
        for endpoint, effect in effects:
            if not (isinstance(effect, Transmit) and not effect.frames[-1]):  # a probe a second would be most of it
                by_endpoint[endpoint].append(effect)
        for endpoint, its in by_endpoint.items():
            try:
                self._trace.write(endpoint.id, endpoint.incarnation, its)
            except (OSError, ValueError) as error:
                self.counters["untraced"] += len(its)
                self.warn("the trace", f"the trace lacks {len(its)} effects: {error}")

    def tell(self, effect: Effect) -> None:
        """Count and log what went wrong. Other effects are ignored."""
        if isinstance(effect, Expired):
            self.counters["expired"] += 1
            who = f"message {shown(effect.id)} to {shown(effect.to)} expired: {shown(effect.reason, at_most=300)}"
            self._limit.log(logging.WARNING, ("expired", effect.to, effect.reason), f"{self._name}: {who}")
        elif isinstance(effect, Dropped):
            self.counters["dropped" if effect.known else "unknown"] += effect.count
            where = "for" if effect.reason in OUTBOUND else "from"
            self._drops.add(where, effect.peer, effect.reason, effect.recipient, effect.count, now=time.monotonic())
        elif isinstance(effect, Silent):
            self._tell_silence(effect)
        elif isinstance(effect, Gap):
            self.counters["missing items"] += effect.missing
            self.warn(effect.sender, f"{effect.missing:,} items of stream {shown(effect.sender)} never came")

    def _tell_silence(self, effect: Silent) -> None:
        if effect.seconds:
            self.warn(f"silence of {effect.peer}", f"{effect.peer} has not answered for {effect.seconds:.0f} s")
        else:
            logger.info("%s: %s answers again", self._name, effect.peer)

    def tell_of_neighbour(self, effect: PeerUp | PeerDown | DuplicateId, *, upstream: str | None) -> None:
        """Log who came and went. Duplicate ids are reported by the node or station."""
        if isinstance(effect, DuplicateId):
            return
        peer, is_there = shown(effect.peer), isinstance(effect, PeerUp)
        if effect.peer == upstream:
            sentence = f"{self._name} is connected to {peer}" if is_there else f"{self._name} has lost {peer}"
        else:
            sentence = f"{self._name}: {peer} is {'here' if is_there else 'gone'}"
        self._limit.log(logging.INFO, ("neighbour", effect.peer, str(is_there)), sentence)

    def warn(self, peer: str, sentence: str) -> None:
        """Log `sentence`, which concerns `peer`, unless a line about that was logged just now."""
        self._limit.log(logging.WARNING, (peer,), f"{self._name}: {sentence}")

    def blame(self, sentence: str) -> None:
        """Log `sentence` with the traceback of the current exception, unless one was logged just now."""
        self._limit.log(logging.ERROR, ("internal error",), sentence, exc_info=True)

    def due(self) -> float | None:
        """When `speak` next has something to log."""
        return self._drops.due()

    def speak(self) -> None:
        """Log how much was dropped, once enough time has passed to know."""
        self._drops.speak(now=time.monotonic())

    def close(self) -> None:
        """Write down what is left, and close the files."""
        self._drops.speak(now=math.inf)
        if self._trace is not None:
            self._trace.close()
        if self._durable is not None:
            self.keep()
            self._durable.close()
