"""Estimates from the topology how much each link has to carry, and warns of links that are too slow for that.

The estimate is an upper bound. Arrays are sent as base64, a third more than their bytes, and compression is not
counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from msgspec import Struct

from sim.emulator.session import item_of
from sim.lab.topology import Machine, Stream, Topology

__all__ = ["load_warnings"]

HEAD_BYTES = 250  # of a message without its value: ids, times, origin
NOTABLE = 0.01  # a smaller share of the whole is not named


class _Load(Struct, frozen=True):
    """What one machine sends steadily, in Mbit/s."""

    machine: str
    what: str
    mbit: float  # on the wire
    raw_mbit: float | None = None  # of arrays: before base64


def load_warnings(topology: Topology) -> list[str]:
    """A sentence for each link that has to carry more than its `rate_mbit`, with the arithmetic.

    "rig_10: its camera sends 18.4 Mbit/s, 24.6 in base64, over a link of 20 Mbit/s".
    """
    machines = {machine.id: machine for machine in topology.machines}
    carried: dict[str, list[_Load]] = {machine.id: [] for machine in topology.machines}
    for machine in topology.machines:
        for load, to in _loads(topology, machine):
            for below in _links(machines, machine, to):
                carried[below].append(load)
    found = []
    for machine in topology.machines:
        rate, loads = machine.link.rate_mbit if machine.link else None, carried[machine.id]
        if rate is not None and sum(load.mbit for load in loads) > rate:
            found.append(f"{machine.id}: {_sum(machine.id, loads)}, over a link of {_figure(rate)} Mbit/s")
    return found


def _links(machines: dict[str, Machine], machine: Machine, to: str) -> Iterator[str]:
    """The links between a machine and a recipient above it, each by the machine at its lower end."""
    while machine.id != to and machine.parent is not None:
        yield machine.id
        machine = machines[machine.parent]


def _loads(topology: Topology, machine: Machine) -> Iterator[tuple[_Load, str]]:
    """What a machine sends on average, and to whom. For the lab's own programs this is not known."""
    if machine.program is not None:
        return
    home = topology.terminal.id
    trials_hz = 0.0
    if machine.trials is not None:
        trials_hz = topology.session.pace * 2 / sum(machine.trials.every_s)
        size = machine.trials.stages * (machine.trials.bytes + HEAD_BYTES)
        yield _Load(machine.id, "trials", trials_hz * size * 8 / 1e6), home
    for name, stream in machine.streams.items():
        rate = stream.rate_hz or trials_hz * (stream.burst.n if stream.burst else 0)
        yield _stream(machine, name, stream, rate), stream.to or home


def _stream(machine: Machine, name: str, stream: Stream, rate_hz: float) -> _Load:
    if stream.shape is not None:
        raw = rate_hz * math.prod(stream.shape) * np.dtype(stream.dtype or "uint8").itemsize * 8 / 1e6
        return _Load(machine.id, name, raw * 4 / 3, raw)
    item = msgspec.json.encode(item_of(0, machine.id, name, stream, 0, 1000))
    return _Load(machine.id, name, rate_hz * (len(item) + HEAD_BYTES / stream.batch) * 8 / 1e6)


def _sum(id: str, loads: list[_Load]) -> str:
    whole = sum(load.mbit for load in loads)
    notable = sorted((load for load in loads if load.mbit >= NOTABLE * whole), key=lambda load: -load.mbit)
    said = [_one(id, load, " Mbit/s" if n == 0 else "") for n, load in enumerate(notable)]
    if len(said) == 1:
        return said[0]
    return f"{', '.join(said[:-1])} and {said[-1]}: {_figure(whole)} Mbit/s in all"


def _one(id: str, load: _Load, unit: str) -> str:
    whose = "its" if load.machine == id else f"{load.machine}'s"
    sends = f"send{'' if load.what == 'trials' else 's'} " if unit else ""
    if load.raw_mbit is None:
        return f"{whose} {load.what} {sends}{_figure(load.mbit)}{unit}"
    return f"{whose} {load.what} {sends}{_figure(load.raw_mbit)}{unit}, {_figure(load.mbit)} in base64"


def _figure(mbit: float) -> str:
    return f"{mbit:.1f}".removesuffix(".0") if mbit >= 1 else f"{mbit:.2g}"
