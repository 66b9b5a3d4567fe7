"""What a probe says between our own. Its last frame is empty; the frame before it, if there is one, is a state.

Autopilot's own send a bare probe back, and are never sent a state again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

__all__ = ["PROBE", "ProbeState", "read_state"]

PROBE = (b"",)
"""An empty message is a liveness probe, whoever sends it."""

STATE_BYTES = 16 << 10
NUMBER_MAX = 1 << 53


class ProbeState(Struct, frozen=True, omit_defaults=True):
    """Who sends the probe, and how many messages it has read.

    `id` and `life` are the sender's; a `life` is unlike any former one. `number` is the number of this probe, and `re`
    that of the probe it answers. `connection` names the connection it is about; its lower end gave it the name. `read`
    is how many messages the sender has read of it, and `closed` how many of each former one. `above` are the stations
    above the sender, from its own upstream up to the root.
    """

    id: str
    life: str
    number: int = 0
    re: int = 0
    connection: str = ""
    read: int = 0
    closed: dict[str, int] = {}
    above: tuple[str, ...] = ()

    def frames(self) -> tuple[bytes, bytes]:
        """The probe that says so."""
        return msgspec.json.encode(self), b""


_decoder = msgspec.json.Decoder(ProbeState)


def read_state(frames: Sequence[bytes]) -> ProbeState | None:
    """The state in the probe `frames`; None for a bare probe, and for a state that cannot be believed."""
    if len(frames) != 2 or len(frames[0]) > STATE_BYTES:
        return None
    try:
        state = _decoder.decode(frames[0])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    numbers = (state.number, state.re, state.read, *state.closed.values())
    return state if all(0 <= number < NUMBER_MAX for number in numbers) else None
