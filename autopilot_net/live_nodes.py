"""The nodes of this process that are open: all that they share, so that two of one id are told apart at once."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakValueDictionary

from autopilot_net.errors import AutopilotNetError

__all__ = ["add", "refuse_twin"]

Address = tuple[int, str, int, str]  # the process, where the node's station listens, and the node's id


class LiveNode(Protocol):
    """What is known of a node here."""

    id: str
    upstream: str
    upstream_ip: str
    port: int
    closing: threading.Event


_live: WeakValueDictionary[Address, LiveNode] = WeakValueDictionary()


def add(node: LiveNode) -> None:
    """`node` is open."""
    _live[_address(node)] = node


def refuse_twin(node: LiveNode) -> None:
    """Raise `AutopilotNetError` where this process has an open node of that id on that station.

    The two would take each other's messages, which would only show seconds later, and as if they were lost.
    """
    other = _live.get(_address(node))
    if other is not None and not other.closing.is_set():
        raise AutopilotNetError(
            f"this process has a node {node.id} on {node.upstream} at {node.upstream_ip}:{node.port} already, which is "
            "open: release() it first, or give the new one another id"
        )


def _address(node: LiveNode) -> Address:
    return os.getpid(), node.upstream_ip, node.port, node.id
