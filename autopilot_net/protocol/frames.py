"""`[hop, …, final recipient, message]`: the only code that knows frame positions. No id is looked up here.

What a socket reads depends on the socket, never on counting frames: a ROUTER prepends its neighbour's identity, which
the driver takes off before anything comes here, and sending on a ROUTER consumes one frame as the address.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

__all__ = ["Packet", "pack_to", "pack_up", "read_frames"]


class Packet(Struct, frozen=True):
    """One message under way: `hops` still to go through, in order, and an opaque payload for `recipient`."""

    hops: tuple[str, ...]
    recipient: str
    payload: bytes

    @property
    def target(self) -> str:
        """Where it goes next: the first hop that is left, or the recipient."""
        return self.hops[0] if self.hops else self.recipient


def read_frames(frames: Sequence[bytes], *, me: str) -> Packet:
    """What `me` received, its own id taken off the front of the hops, if it stands there and as often as it does.

    It stands there twice where a neighbour takes us for one of Autopilot's own. A message alone is for whoever reads
    it. Raises `ValueError` for no frames, or an id that is no UTF-8.
    """
    if len(frames) < 2:
        return Packet((), me, frames[0]) if frames else _nothing()
    *names, recipient = [frame.decode() for frame in frames[:-1]]
    while names[:1] == [me]:
        del names[0]
    return Packet(tuple(names), recipient, frames[-1])


def pack_to(packet: Packet, peer: str, *, is_theirs: bool = False) -> tuple[bytes, ...]:
    """The frames behind the address, down to the neighbour `peer`. The recipient itself gets the message alone.

    A station of Autopilot's own (`is_theirs`) reads whatever has several frames as if it came from below: it takes the
    first two for a sender and for itself, and loses what does not begin with them.
    """
    hops = packet.hops[1:] if packet.hops[:1] == (peer,) else packet.hops
    if not hops and packet.recipient.removeprefix("_") == peer.removeprefix("_"):
        return (packet.payload,)
    if is_theirs:
        last = hops[-1:] == (packet.recipient,)  # which it would pass on to a station that then cannot confirm it
        hops = (peer, peer, *hops[: len(hops) - last])
    return (*(hop.encode() for hop in hops), packet.recipient.encode(), packet.payload)


def pack_up(packet: Packet, parent: str) -> tuple[bytes, ...]:
    """The frames for the socket to `parent`, which every message up names first."""
    hops = packet.hops if packet.hops[:1] == (parent,) else (parent, *packet.hops)
    return (*(hop.encode() for hop in hops), packet.recipient.encode(), packet.payload)


def _nothing() -> Packet:
    raise ValueError("a message without frames")
