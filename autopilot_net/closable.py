"""What a node has in place of sockets: the `end` of many Autopilot tasks closes them before it releases the node."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["Port", "Sock"]

logger = logging.getLogger("autopilot_net")


class Sock:
    """In place of a socket: closing it does nothing. `release` closes the node's sockets."""

    def __init__(self, owner: str) -> None:
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        where = "sockets belong to the I/O thread alone; `send` and listens are the ways in and out"
        raise AttributeError(f"a node's sock has no {name!r}: {where}")

    def close(self, linger: int | None = None) -> None:
        """Do nothing, and say so in the log."""
        del linger
        logger.info("%s: release() closes its sockets; close() did nothing", self._owner)


class Port(int):
    """The number of a port, which can be closed as a socket can: see `Sock`."""

    _sock: Sock

    def __new__(cls, number: int, owner: str = "a node") -> Port:
        """The port `number` of the node `owner`."""
        port = super().__new__(cls, number)
        port._sock = Sock(owner)
        return port

    def close(self, linger: int | None = None) -> None:
        """Do nothing, and say so in the log."""
        self._sock.close(linger)
