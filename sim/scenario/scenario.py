"""Topology, session, storms, faults, expectations and seed, as one value, JSON both ways: what a run is made from.

A replay file holds one.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from sim.lab.topology import Topology
from sim.scenario.payloads import Payload

__all__ = [
    "Crash",
    "Example",
    "Flow",
    "Op",
    "Opaque",
    "Scenario",
    "Send",
    "Twice",
    "load_scenario",
    "save_scenario",
    "twice_id",
]


class Send(Struct, frozen=True, tag="send"):
    """`burst` messages from one participant to another; with `hops`, along them, the last being the recipient."""

    frm: str
    to: str
    hops: tuple[str, ...] = ()
    sought: bool = True
    payload: Payload = Payload()
    burst: int = 1


class Flow(Struct, frozen=True, tag="flow"):
    """A stream of `items` items from a node to a station, batches of `batch`."""

    frm: str
    to: str
    items: int
    batch: int
    payload: Payload = Payload()


class Twice(Struct, frozen=True, tag="twice"):
    """A bare zmq actor at machine `at` sends one message `times` times to station `to`: handled once, confirmed."""

    at: str
    to: str
    times: int = 2
    numbered: bool = True  # as ours, with seq and low, or as Autopilot's own


class Opaque(Struct, frozen=True, tag="opaque"):
    """A bare zmq actor sends bytes that are no message to another: they must cross the tree untouched."""

    at: str
    to: str
    size: int
    seed: int = 0


class Crash(Struct, frozen=True, tag="crash"):
    """A message to a station that is killed in its handler, and restarted: it must be handled in the next life."""

    frm: str
    to: str


Op = Send | Flow | Twice | Opaque | Crash


class Example(Struct, frozen=True, omit_defaults=True):
    """One storm: all at once, so many seconds into the session and its faults; or, without `at_s`, on a calm lab."""

    ops: tuple[Op, ...]
    at_s: float | None = None


class Scenario(Struct, frozen=True):
    """What to run: a topology with its faults and expectations, a seed, and storms.

    `session` False: no trials and no streams, but the faults and the storms alone, as when a storm that failed is run
    again. `draw`: so many storms more, which `seed` draws as it drew them before, on a calm lab after these.
    """

    topology: Topology
    seed: int
    examples: tuple[Example, ...] = ()
    draw: int = 0
    session: bool = True
    why: str = ""  # what failed, if it is kept because something did


def twice_id(actor: str, example: int, number: int) -> str:
    """The id of a message that a bare actor sends more than once."""
    return f"{actor}_{example}.{number}"


def save_scenario(scenario: Scenario, path: Path) -> None:
    """Write it down."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(scenario), indent=1) + b"\n")


def load_scenario(path: Path) -> Scenario:
    """Read it back. Raises `msgspec.ValidationError` or `OSError` for what is none."""
    return msgspec.json.decode(path.read_bytes(), type=Scenario)
