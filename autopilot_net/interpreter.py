"""Carries out the effects of an endpoint, in whatever world it lives in: real sockets and threads, or virtual time.

What an effect means is said here, once. A `World` says how it is done. No socket, thread or clock is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

from autopilot_net.delivery import Delivery, when_settled
from autopilot_net.message import Message
from autopilot_net.protocol.effects import (
    Confirmed,
    Deliver,
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    PeerDown,
    PeerUp,
    Reconnect,
    Traffic,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.router import AWAY

__all__ = ["Carrier", "Outcome", "World", "carry_out", "handled", "new_delivery"]


class Outcome(Enum):
    """What became of one transmission."""

    SENT = "sent"
    WAITS = "waits"  # the world keeps it, and sends it when the neighbour takes it
    GONE = "gone"  # the neighbour is not there


class Carrier(Protocol):
    """An endpoint, and the handles of what it has promised to deliver, by message id."""

    endpoint: Endpoint
    deliveries: dict[str, Delivery]


C = TypeVar("C", bound=Carrier)
C_contra = TypeVar("C_contra", bound=Carrier, contravariant=True)


class World(Protocol[C_contra]):
    """What a world does for the endpoints in it."""

    def transmit(self, carrier: C_contra, effect: Transmit, /) -> Outcome:
        """Put the frames of `effect` on the connection to its neighbour, without waiting."""

    def lose(self, carrier: C_contra, peer: str, /) -> None:
        """Tell the endpoint that the neighbour `peer` went away."""

    def put(self, carrier: C_contra, effects: list[Effect], /) -> None:
        """Carry these out too, behind what is being carried out."""

    def run(self, carrier: C_contra, act: Callable[[float], list[Effect]], /) -> None:
        """Do `act(now)` to the endpoint, and carry out its effects."""

    def deliver(self, carrier: C_contra, effect: Deliver, /) -> None:
        """Hand a message to its handler, and call `handled` when that is done."""

    def tell_of_peer(self, carrier: C_contra, effect: PeerUp | PeerDown | DuplicateId, /) -> None:
        """Tell the program that a neighbour came or went, or that two share its id."""

    def reconnect(self, carrier: C_contra, effect: Reconnect, /) -> None:
        """Make the connection to the upstream anew."""

    def note(self, carrier: C_contra, effect: Effect, /) -> None:
        """Log and count `effect`, if it is worth that. Nothing else is done about it."""

    def keep(self) -> None:
        """Return once every record that was to be stored is stored."""


def carry_out(world: World[C], carrier: C, effect: Effect) -> None:
    """Have `world` carry out one effect of the endpoint of `carrier`.

    `Store` and `Forget` are only noted: a world stores records before it carries anything out.
    """
    if isinstance(effect, Transmit):
        _transmit(world, carrier, effect)
    elif isinstance(effect, Deliver):
        world.deliver(carrier, effect)
    elif isinstance(effect, PeerUp | PeerDown | DuplicateId):
        world.tell_of_peer(carrier, effect)
    elif isinstance(effect, Reconnect):
        world.reconnect(carrier, effect)
    else:
        world.note(carrier, effect)
        if isinstance(effect, Confirmed | Expired):
            _settle(carrier, effect)


def _transmit(world: World[C], carrier: C, effect: Transmit) -> None:
    outcome = world.transmit(carrier, effect)
    if outcome is Outcome.SENT:
        carrier.endpoint.sent(effect)
    elif outcome is Outcome.GONE:
        world.lose(carrier, effect.peer)
        if effect.kind is Traffic.DATA and effect.frames[-1]:  # everything else is repeated, or of no use any more
            world.put(carrier, [Dropped(AWAY, effect.peer, "")])


def _settle(carrier: Carrier, effect: Confirmed | Expired) -> None:
    delivery = carrier.deliveries.pop(effect.id, None)
    if delivery is not None:
        reason = "" if isinstance(effect, Confirmed) else effect.reason
        delivery.settle(confirmed=not reason, reason=reason)


def handled(world: World[C], carrier: C, ticket: int, passed_on: list[Delivery]) -> None:
    """The handler of `ticket` is done, and has passed these messages on.

    The endpoint waits for those that it sends itself. For the others, which another endpoint sends, we wait here.
    """
    endpoint, is_waited_for = carrier.endpoint, True

    def act(now: float) -> list[Effect]:
        nonlocal is_waited_for
        waits = [delivery.id for delivery in passed_on if not delivery.settled]
        is_waited_for = all(message_id in endpoint.outbox for message_id in waits)
        failed = any(delivery.expired for delivery in passed_on)
        return endpoint.handled(ticket, failed=failed, relays=waits, now=now) if is_waited_for else []

    world.run(carrier, act)
    if is_waited_for:
        world.keep()  # before the next handler begins: a restart then repeats what was in a handler, and no more
    else:
        when_settled(passed_on, lambda: handled(world, carrier, ticket, passed_on))


def new_delivery(
    carrier: Carrier,
    message: Message,
    *,
    handler_thread: int | None = None,
    io_thread: int | None = None,
    raised: Callable[[BaseException], None] | None = None,
) -> Delivery:
    """The handle of `message`, which the endpoint has just been given to send. See `Delivery` for the rest."""
    delivery = Delivery(
        message.id,
        message.to,
        sought="NOREPEAT" not in message.flags,
        handler_thread=handler_thread,
        io_thread=io_thread,
        raised=raised,
    )
    if delivery.sought:
        carrier.deliveries[message.id] = delivery
    return delivery
