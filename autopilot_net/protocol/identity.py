"""An id, and the zmq identity of one connection under that id. No other code maps one to the other.

The first connection of a process has the id itself as its identity, as Autopilot's have. If it breaks, and its upstream
tells connections of one id apart, the next has the id, a separator and a name of its own. When an identity comes again,
zmq hands it over to the new connection, and discards what it has yet to read of the old one.
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
    """The id in an identity; None for an identity without a name, or that is no text."""
    try:
        id = identity.partition(SEPARATOR)[0].decode()
    except UnicodeDecodeError:
        return None
    return id or None
