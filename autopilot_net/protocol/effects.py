"""Everything that an endpoint can ask of the world, or tell it, as frozen, comparable values without behaviour."""

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

    DATA = "data"  # nobody repeats it, so that its loss is counted
    PROMISE = "promise"  # it is repeated until it is confirmed, so that its loss is not counted
    CONTROL = "control"  # the library's own: it is sent before what waits, and its loss is not counted


class Transmit(Struct, frozen=True):
    """Put `frames` on the connection to the neighbour `peer`. The address that a ROUTER consumes is not among them."""

    peer: str
    frames: tuple[bytes, ...]
    kind: Traffic = Traffic.DATA


class Deliver(Struct, frozen=True):
    """Hand `message`, which came from the neighbour `peer`, to its handler; then call `handled(ticket)`.

    Ticket 0 stands for a message that seeks no confirmation; to say that it was handled is harmless. No window bounds
    how many of these come. So each tells its `size` in bytes, and a world whose handlers are behind may drop some.
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
    """`count` messages that came in, or waited, go no further. `peer` is the neighbour it concerns.

    If `known` is False, they may have arrived, because whoever could tell is dead: `count` is an upper bound.
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
    """Close the connection to `peer` and open another: it is connected, and does not answer."""

    peer: str


class Silent(Struct, frozen=True):
    """Nothing has come from the upstream `peer` for `seconds`, though it was asked. 0.0: it is heard again."""

    peer: str
    seconds: float


class DuplicateId(Struct, frozen=True):
    """Two live machines take the id `peer` from each other. They are at these addresses, which may be equal."""

    peer: str
    addresses: tuple[str, str]


class Store(Struct, frozen=True):
    """Keep `record` for the next life. This has to be done before any effect that follows."""

    record: Record


class Forget(Struct, frozen=True):
    """The message with number `seq` to `to` is settled: it need not be kept any more."""

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
