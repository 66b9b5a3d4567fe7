"""What one driver writes down: the trace, what must outlive it, the counters, and the log, which nobody can flood."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from autopilot_net.durable import Durable
from autopilot_net.protocol.effects import Dropped, Effect, Expired, Forget, Gap, Store
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.tracing import Tracer

__all__ = ["Logbook"]

logger = logging.getLogger("autopilot_net")

LOG_EVERY_S = 1.0  # a peer that floods must not flood the log


class Logbook:
    """Nothing in it raises: a full disk ends the trace, or what a restart would find, and not the session."""

    def __init__(self, name: str, *, trace: Tracer | None, durable: Durable | None) -> None:
        self.counters: Counter[str] = Counter()
        self._name = name
        self._trace = trace
        self._durable = durable
        self._quiet_until: dict[str, float] = {}

    def put(self, endpoint: Endpoint, effects: list[Effect]) -> None:
        """Queue what of `effects` is to outlive us."""
        if self._durable is not None:
            self._durable.put(endpoint.id, effects)

    def keep(self) -> None:
        """Return once everything that was queued to be kept is. From any thread."""
        if self._durable is None:
            return
        try:
            self._durable.flush()
        except OSError as error:  # it is tried again with what comes next
            self.counters["unkept"] += 1
            self.warn("the disk", f"from here on a restart loses what is sent and handled: {error}")

    def write(self, effects: Sequence[tuple[Endpoint, Effect]]) -> None:
        """Write down what is about to be done. Where nothing is to be kept, the disk is not waited for."""
        if self._durable is not None and any(isinstance(effect, Store | Forget) for _, effect in effects):
            self.keep()
        if self._trace is None:
            return
        by_endpoint: dict[Endpoint, list[Effect]] = defaultdict(list)
        for endpoint, effect in effects:
            by_endpoint[endpoint].append(effect)
        for endpoint, its in by_endpoint.items():
            try:
                self._trace.write(endpoint.id, endpoint.incarnation, its)
            except (OSError, ValueError) as error:
                self.counters["untraced"] += len(its)
                self.warn("the trace", f"the trace lacks {len(its)} effects: {error}")

    def tell(self, effect: Effect) -> None:
        """Count, and log, what went wrong; nothing else is to be told."""
        if isinstance(effect, Expired):
            self.counters["expired"] += 1
            logger.warning("%s: message %s to %s expired: %s", self._name, effect.id, effect.to, effect.reason)
        elif isinstance(effect, Dropped):
            self.counters["dropped"] += effect.count
            self.warn(effect.peer, f"{effect.count} dropped at {effect.peer}: {effect.reason} {effect.recipient}")
        elif isinstance(effect, Gap):
            self.counters["missing items"] += effect.missing
            self.warn(effect.sender, f"{effect.missing} items of stream {effect.sender} never came")

    def warn(self, peer: str, sentence: str) -> None:
        """Log `sentence`, which concerns `peer`, unless another did just now."""
        now = time.monotonic()
        if now >= self._quiet_until.get(peer, 0.0):
            self._quiet_until[peer] = now + LOG_EVERY_S
            logger.warning("%s: %s", self._name, sentence)

    def close(self) -> None:
        """Write down what is left, and close the files."""
        if self._trace is not None:
            self._trace.close()
        if self._durable is not None:
            self.keep()
            self._durable.close()
