"""Bugs of lives: incarnations, durability, and whether a neighbour is alive."""

from tests.mutate.bug import Bug

__all__ = ["BUGS"]

BUGS = [
    Bug(
        "durability",
        "confirmed, and what was handled is forgotten across a restart",
        file="autopilot_net/protocol/inbox.py",
        old="                channel.done.add(record.seq)\n",
        new="",
    ),
]
