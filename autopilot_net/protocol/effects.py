"""All that an Endpoint can ask of the world, or tell it. Plain, frozen, comparable values; no behaviour."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from autopilot_net.message import Message
from autopilot_net.protocol.durable_records import Record

__all__ = [
    "Confirmed",
    "Deliver",
    "Dropped",
    "Effect",
    "Expired",
    "Forget",
    "Gap",
    "Traffic",
    "PeerDown",
    "PeerUp",
    "Reconnect",
    "Silent",
    "Store",
    "Transmit",
    "DuplicateId",
]


class Traffic(Enum):
    """What it means when a message is lost on its way to a neighbour."""

    DATA = "data"  # nobody here repeats it, so that its loss is counted
    PROMISE = "promise"  # it is repeated until it is confirmed
    CONTROL = "control"  # the library's own: it goes before what waits, and nobody misses it


class Transmit(Struct, frozen=True):
    """Put `frames` on the socket to the neighbour `peer`. The address that a ROUTER eats is not among them."""

    peer: str
    frames: tuple[bytes, ...]
    kind: Traffic = Traffic.DATA


class Deliver(Struct, frozen=True):
    """Hand `message`, which came in from the neighbour `peer`, to its handler; then say `handled(ticket)`.

    Ticket 0 is nobody's: such a message seeks no confirmation, and saying it was handled is harmless. No window bounds
    how many of these come, so that each tells its `size` in bytes: who is behind with them may drop some.
    """

    ticket: int
    peer: str
    message: Message
    size: int = 0


class Confirmed(Struct, frozen=True):
    """The message `id` was handled at `to`."""

    id: str
    to: str


class Expired(Struct, frozen=True):
    """The message `id` is not known to have been handled at `to`, and nothing more is tried."""

    id: str
    to: str
    reason: str


class Dropped(Struct, frozen=True):
    """Something that came in, or waited, goes no further. `peer` is the neighbour it concerns.

    Where it is not `known` whether it did, because whoever read it is dead, `count` is an upper bound.
    """

    reason: str
    peer: str
    recipient: str
    count: int = 1
    known: bool = True


class Gap(Struct, frozen=True):
    """`missing` items of the unreliable stream of `sender` never arrived, from item number `first` on."""

    sender: str
    first: int
    missing: int


class PeerUp(Struct, frozen=True):
    """The neighbour `peer` is there, or there again."""

    peer: str


class PeerDown(Struct, frozen=True):
    """The neighbour `peer` went away."""

    peer: str


class Reconnect(Struct, frozen=True):
    """Close the socket to `peer` and open it anew: it is connected, and deaf."""

    peer: str


class Silent(Struct, frozen=True):
    """Nothing has come from the upstream `peer` for so many `seconds`, though it was asked; 0.0: it is heard again."""

    peer: str
    seconds: float


class DuplicateId(Struct, frozen=True):
    """Two that live take the id `peer` from one another, at these addresses, which may be the same one."""

    peer: str
    addresses: tuple[str, str]


class Store(Struct, frozen=True):
    """Keep `record` where a restart finds it, before anything that follows is done."""

    record: Record


class Forget(Struct, frozen=True):
    """The message that was given number `seq` toward `to` is settled: it need not be kept any more."""

    to: str
    seq: int


Effect = (
    Transmit
    | Deliver
    | Confirmed
    | Expired
    | Dropped
    | Gap
    | PeerUp
    | PeerDown
    | Silent
    | Reconnect
    | DuplicateId
    | Store
    | Forget
)
