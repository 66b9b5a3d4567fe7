"""Checks the arguments that name a node, a station or its neighbours. Errors are raised at once, as sentences."""

from __future__ import annotations

from collections.abc import Mapping

from autopilot_net.errors import AutopilotNetError
from autopilot_net.protocol.ids import DERIVED_BYTES, SHAPE, why_no_id
from autopilot_net.protocol.numbers import is_number

__all__ = ["check_derived", "check_id", "check_listens", "check_node", "port_of", "seconds_of"]

HIGHEST_PORT = 65_535
SHORTEST_S = 0.001


def check_id(id: object, what: str) -> None:
    """Raise `AutopilotNetError` if `id` is no id. `_rig_1`, the program of `rig_1`, may be one byte longer."""
    stem = id[1:] if isinstance(id, str) and id.startswith("_") else id
    why = why_no_id(stem)
    if why is not None:
        raise AutopilotNetError(f"{what} cannot be {_shown(id)}: {why}; {SHAPE}")


def check_derived(id: str, what: str) -> None:
    """Raise `AutopilotNetError` if `id`, which was made from others, is too long for zmq."""
    why = why_no_id(id, bound=DERIVED_BYTES)
    if why is not None:
        raise AutopilotNetError(f"{what} would be {_shown(id)}: {why}; choose shorter or plainer names")


def port_of(port: object, what: str, *, lowest: int = 0) -> int:
    """`port`, an integer or its digits, as an integer. Raises `AutopilotNetError` for anything else."""
    number = int(port) if isinstance(port, str) and port.isascii() and port.isdecimal() else port
    if isinstance(number, int) and not isinstance(number, bool) and lowest <= number <= HIGHEST_PORT:
        return number
    raise AutopilotNetError(
        f"{what} cannot be {_shown(port)}: a port is a whole number from {lowest} to {HIGHEST_PORT}"
    )


def seconds_of(value: object, what: str) -> float:
    """`value`, a positive number of seconds. Raises `AutopilotNetError` for anything else."""
    if is_number(value) and isinstance(value, int | float) and value >= SHORTEST_S:
        return float(value)
    raise AutopilotNetError(f"{what} cannot be {_shown(value)}: it is a number of seconds, {SHORTEST_S} at least")


def check_listens(listens: object, who: str) -> None:
    """Raise `AutopilotNetError` if `listens` does not map keys to functions."""
    if not isinstance(listens, Mapping):
        raise AutopilotNetError(f"the listens of {who} cannot be {_shown(listens)}: they map keys to functions")
    for key, listen in listens.items():
        if not (isinstance(key, str) and key and callable(listen)):
            raise AutopilotNetError(f"{who} cannot listen for {_shown(key)} with {_shown(listen)}: it is no function")


def check_node(id: str, upstream: object, router_port: object, listens: object) -> None:
    """Raise `AutopilotNetError` for what cannot be a node."""
    check_id(id, "the id of a node")
    if upstream or router_port is None:
        check_id(upstream, f"the upstream of node {id}, which has no router_port,")
    if upstream == id:
        raise AutopilotNetError(f"node {id} cannot be below itself: its upstream is its station")
    check_listens({} if listens is None else listens, f"node {id}")


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
