"""An id, and the identity under which one connection of it is known to zmq: the only code that maps one to the other.

The first connection of a process has the id itself, as Autopilot's have. Where one breaks, and its upstream tells the
connections of one id apart, the next has the id and a name of its own behind a separator. zmq hands an identity that
comes again over to the new connection, and throws away what it has yet to hand out of the old one.
"""

from __future__ import annotations

__all__ = ["ID_BYTES", "connection_of", "id_of", "identity_of"]

SEPARATOR = b"\x1f"  # which no id contains
ID_BYTES = 100  # of an id; zmq takes an identity of 255, and the names of streams and connections come on top


def identity_of(id: str, connection: str = "") -> bytes:
    """What zmq is told."""
    return id.encode() + (SEPARATOR + connection.encode() if connection else b"")


def connection_of(identity: bytes) -> str:
    """The name of the connection; '' for the first, which has none."""
    return identity.partition(SEPARATOR)[2].decode(errors="replace")


def id_of(identity: bytes) -> str | None:
    """Whose it is; None for one that is nobody's of ours: nameless, or no text."""
    try:
        id = identity.partition(SEPARATOR)[0].decode()
    except UnicodeDecodeError:
        return None
    return id or None
