"""What a process still holds of messages that have come to their end."""

from __future__ import annotations

import gc

from autopilot_net import Message
from autopilot_net.delivery import Delivery

__all__ = ["held_messages"]

MANY = 200  # from here on it is worth while to free what is in circles first


def held_messages() -> dict[str, int]:
    """How many messages, and how many handles of messages, are alive in this process."""
    found = _count()
    if max(found.values()) > MANY:
        gc.collect()
        found = _count()
    return found


def _count() -> dict[str, int]:
    alive = [type(thing) for thing in gc.get_objects()]
    return {"messages": alive.count(Message), "handles": alive.count(Delivery)}
