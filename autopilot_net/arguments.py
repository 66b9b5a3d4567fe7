"""Whether what names a node, a station or its neighbours is fit to: told to the program at once, in a sentence."""

from __future__ import annotations

from autopilot_net.errors import AutopilotNetError
from autopilot_net.protocol.ids import DERIVED_BYTES, SHAPE, why_no_id

__all__ = ["check_derived", "check_id", "port_of"]

HIGHEST_PORT = 65_535


def check_id(id: object, what: str) -> None:
    """Raise `AutopilotNetError` where `id` is none. `_rig_1`, the program of `rig_1`, may be a byte longer."""
    stem = id[1:] if isinstance(id, str) and id.startswith("_") else id
    why = why_no_id(stem)
    if why is not None:
        raise AutopilotNetError(f"{what} cannot be {_shown(id)}: {why}; {SHAPE}")


def check_derived(id: str, what: str) -> None:
    """Raise `AutopilotNetError` where `id`, which was made from others, is no identity that zmq could carry."""
    why = why_no_id(id, bound=DERIVED_BYTES)
    if why is not None:
        raise AutopilotNetError(f"{what} would be {_shown(id)}: {why}; choose shorter or plainer names")


def port_of(port: object, what: str, *, lowest: int = 0) -> int:
    """`port`, an integer or its digits, as an integer. Raises `AutopilotNetError` for what is no port."""
    number = int(port) if isinstance(port, str) and port.isascii() and port.isdecimal() else port
    if isinstance(number, int) and not isinstance(number, bool) and lowest <= number <= HIGHEST_PORT:
        return number
    raise AutopilotNetError(
        f"{what} cannot be {_shown(port)}: a port is a whole number from {lowest} to {HIGHEST_PORT}"
    )


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
