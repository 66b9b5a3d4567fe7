"""What comes of a message that is for this endpoint: by its key, the library acts on it, or a handler gets it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.duplicate_ids import DuplicateIdWatch
from autopilot_net.protocol.effects import Deliver, Dropped, DuplicateId, Effect, Gap, Traffic
from autopilot_net.protocol.frames import Packet
from autopilot_net.protocol.inbox import via_of
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.paths import Paths
from autopilot_net.protocol.reliable import Reliable
from autopilot_net.protocol.router import Router
from autopilot_net.protocol.streams import GapWatch

__all__ = ["Intake", "Special", "read_message"]

Special = Callable[[Message, str, float], list[Effect]]  # acts on a message, from a neighbour, at a time


def read_message(payload: bytes) -> Message:
    """The message that `payload` is, every word of which can be told on. Raises `ValueError` for any other."""
    message = Message(payload)
    if not message.validate():
        raise BadMessage(f"no message without id, to, sender and key: {payload[:60]!r}")
    told_on = (message.id, str(message.to), message.sender, message.key, str(message.get("timestamp")))
    "".join(told_on).encode()  # half a character, which JSON can spell, UTF-8 cannot
    return message


class Intake:
    """The messages for one endpoint. `special` are the keys that the library acts on itself."""

    def __init__(self, router: Router, reliable: Reliable, paths: Paths, special: Mapping[str, Special]) -> None:
        self._router = router
        self._reliable = reliable
        self._paths = paths
        self._special = special
        self._gaps = GapWatch()
        self._duplicate_ids = DuplicateIdWatch()

    def connected(self, peer: str, address: str, *, took_over: bool) -> list[Effect]:
        """`peer` below came by a new connection: see `Endpoint.connected`."""
        addresses = self._duplicate_ids.connected(peer, address, took_over=took_over)
        return [DuplicateId(peer, addresses)] if addresses else []

    def take(self, message: Message, packet: Packet, peer: str, now: float) -> list[Effect]:
        """`message`, which stood in `packet`, came from the neighbour `peer`."""
        message.came_from = peer
        if "inc" in message:
            self._router.is_ours(message.sender)
        effects = self._place(message, peer, now) + self._hear_incarnation(message, peer)
        program = "_" + self._router.id
        if message.key == "CONFIRM" and message.to == program and peer != program and "asks" not in message:
            passed = Packet((), program, packet.payload)
            return effects + self._router.pass_on(passed, from_above=True, peer=peer, kind=Traffic.CONTROL)
        if message.key == "CONFIRM":
            return effects + self._reliable.read_confirm(message, now=now)
        special = self._special.get(message.key)
        if special is not None and "inc" in message and "NOREPEAT" in message.flags:  # else it is a lab's own
            return effects + special(message, peer, now)
        # A `Message` that a program of Autopilot's makes by hand says `repeat`. It is sent under one id as often as the
        # program likes, and no node of theirs looks for a confirmation of it.
        if "NOREPEAT" in message.flags or ("repeat" in message and "seq" not in message):
            return effects + self._read_unconfirmed(message, peer, len(packet.payload))
        return effects + self._reliable.arrive(message, peer, now=now)

    def _place(self, message: Message, peer: str, now: float) -> list[Effect]:
        """Note where a sender is, and the stations on its way here, of which one of Autopilot's own tells nobody."""
        sender = message.sender
        if peer == self._router.routes.upstream:
            return self._paths.found_above(sender, now=now)
        between = itertools.takewhile(lambda name: name != self._router.id, via_of(message))
        return [e for name in (*between, sender) if name != peer for e in self._paths.learn(name, peer, now=now)]

    def _hear_incarnation(self, message: Message, peer: str) -> list[Effect]:
        """Note which incarnation of a neighbour below it is that speaks for itself."""
        incarnation = message.get("inc")
        if message.sender != peer or peer == self._router.routes.upstream or not isinstance(incarnation, str):
            return []
        addresses = self._duplicate_ids.hear(peer, incarnation)
        return [DuplicateId(peer, addresses)] if addresses else []

    def _read_unconfirmed(self, message: Message, peer: str, size: int) -> list[Effect]:
        first, count = as_int(message.get("first")), as_int(message.get("items"))
        if first is None or count is None:
            return [Deliver(0, peer, message, size)]
        missing = self._gaps.arrive((message.sender, str(message.get("inc"))), first, count)
        if missing < 0:
            return [Dropped("a stream's batch that came again, or too late", peer, self._router.id)]
        gap = [Gap(message.sender, first - missing, missing)] if missing else []
        return [*gap, Deliver(0, peer, message, size)]
