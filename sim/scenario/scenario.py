"""A scenario: topology, session, storms, faults, expectations and seed as one value, with its JSON encoding.

A replay file has one scenario.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sim.lab.topology import Topology
from sim.scenario.home import at_home, home_of
from sim.scenario.payloads import Payload

__all__ = [
    "Bounds",
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
    """`burst` messages from one participant to another.

    A participant is a station (`rig_1`), its program (`_rig_1`) or its probe (`rig_1.probe`).
    """

    frm: str
    to: str
    hops: tuple[str, ...] = ()  # the path, ending with the recipient; empty: it is found by the recipient's id
    sought: bool = True  # whether each is repeated until it is confirmed
    payload: Payload = Payload()  # the value of each
    burst: int = 1  # how many
    takes_ms: int = 0  # how long the handler of each takes; 0: as long as any other
    expires_s: float = 0.0  # after how long each is given up; 0: when its repeats are used up


class Flow(Struct, frozen=True, tag="flow"):
    """A reliable stream from a node (a program or a probe) to a station."""

    frm: str
    to: str
    items: int  # how many
    batch: int  # items in one message
    payload: Payload = Payload()  # each item


class Twice(Struct, frozen=True, tag="twice"):
    """A raw zmq peer at the machine `at` sends one message several times. It must be handled once, and confirmed."""

    at: str
    to: str  # a station
    times: int = 2  # how often it is sent
    numbered: bool = True  # as ours, with seq and low, or as Autopilot's own


class Opaque(Struct, frozen=True, tag="opaque"):
    """A raw zmq peer sends another one bytes that are no message. They must arrive unchanged."""

    at: str  # the machine of the sender
    to: str  # the machine of the recipient
    size: int  # bytes
    seed: int = 0  # which bytes


class Crash(Struct, frozen=True, tag="crash"):
    """A message to a station that is killed in its handler, and restarted. It must be handled in the next life."""

    frm: str
    to: str  # a station


Op = Send | Flow | Twice | Opaque | Crash


class Example(Struct, frozen=True, omit_defaults=True):
    """One storm: operations that all begin at once."""

    ops: tuple[Op, ...]
    at_s: float | None = None  # seconds after the session has begun; None: after the session, on a calm lab


class Bounds(Struct, frozen=True, omit_defaults=True):
    """How much may be under way in virtual time. Where it is little, a few messages fill a window or a pipe.

    Processes have the library's own window, and the pipes of their sockets.
    """

    window_messages: int = 1_000  # to one recipient, unconfirmed
    window_bytes: int = 8 << 20
    pipe_bytes: int | None = None  # in one direction of one connection; None: no pipe is ever full


class Scenario(Struct, frozen=True):
    """What to run: a topology with its faults and expectations, a seed, and storms.

    The same scenario gives the same run in virtual time, byte for byte. On processes it gives the same plan.
    """

    topology: Topology
    seed: int  # draws the times and targets of faults, and the storms of `draw`
    examples: tuple[Example, ...] = ()  # storms, in the order in which they are played
    draw: int = 0  # how many more storms the seed draws, to be played after these on a calm lab
    session: bool = True  # False: no trials and no streams, only faults and storms
    signals: bool = True  # whether the signals are played at the end, if the lab is calm then
    bounds: Bounds = Bounds()
    why: str = ""  # what failed, if it is kept because something did
    home: str = ""  # in a file, of a lab with programs or files of its own: the topology's file, seen from this file


def twice_id(actor: str, example: int, number: int) -> str:
    """The id of the message that a raw peer sends in the operation `number` (a `Twice`) of the storm `example`."""
    return f"{actor}_{example}.{number}"


def save_scenario(scenario: Scenario, path: Path) -> None:
    """Write it as JSON, over a file that is there. Raises OSError."""
    scenario = replace(scenario, home=home_of(scenario.topology, path))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(scenario), indent=1) + b"\n")


def load_scenario(path: Path) -> Scenario:
    """Read the scenario that `save_scenario` wrote. The path of its topology is as seen from the present folder.

    Raises OSError, and `msgspec.DecodeError` for a file that is no scenario.
    """
    scenario = msgspec.json.decode(path.read_bytes(), type=Scenario)
    return replace(scenario, home="", topology=at_home(scenario.topology, path, scenario.home))
