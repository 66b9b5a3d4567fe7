"""What a node and a station have in common for whoever uses them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

from autopilot_net.core import Core
from autopilot_net.defaults import REPEAT_INTERVAL_S
from autopilot_net.listening import Listen
from autopilot_net.message import Message
from autopilot_net.protocol.clock import ClockOffset

__all__ = ["Participant", "own_ip"]

logger = logging.getLogger("autopilot_net")


class Participant:
    """A node or a station, seen from outside. A station's `Core` lives in the station's process."""

    id: str
    listens: dict[str, Listen]
    repeat_interval: float = REPEAT_INTERVAL_S  # seconds; a class of one's own may have another

    def _own_core(self) -> Core:
        raise NotImplementedError

    @property
    def clock_offset(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, `offset` ± `uncertainty`, both in seconds.

        Add the offset to a time read here to get the terminal's. None while it is not known: the station above has to
        be one of ours, and know it first. Of a station, it is known in its own process.
        """
        return self._own_core().clock_offset()

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped, expired or missing, counted. Of a station, in its own process."""
        return dict(self._own_core().driver.counters)

    @property
    def logger(self) -> logging.Logger:
        """Where everything of this library is logged, in whatever process."""
        return logger

    def repeat(self) -> None:
        """Send again what is due; it happens by itself, and more often does no harm. A station: in its own process."""
        core = self._own_core()
        core.refuse_fork()
        core.driver.run(core.attachment, lambda now: core.endpoint.handle_timer(now=now))

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """A neighbour came or went. Override it to act on that; called in the handler thread."""

    def is_concurrent(self, message: Message) -> bool:
        """Whether the listen for `message` may run beside others."""
        return bool(getattr(self.listens.get(message.key), "concurrent", False))


def own_ip() -> str:
    """The address of the interface that leads out; no packet is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation: only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
