"""PURE. The links of a virtual lab, the wires on them, and what faults do to both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sim.faults import Action
from sim.topology import Topology
from sim.virtuallinks import Chance, Link, Wire
from sim.virtualmachines import Station
from sim.virtualpeers import Line
from sim.virtualtime import Loop

__all__ = ["Wires"]

LINK_US, LOCAL_US = (80, 400), (20, 60)


class Wires:
    """A link for each machine but the terminal, which outlives whoever is at its ends; a wire for each endpoint."""

    def __init__(
        self,
        topology: Topology,
        loop: Loop,
        chance: Chance,
        *,
        station: Callable[[str], Station | None],
        lost: Callable[[str, Wire, bool, bytes], Any],
    ) -> None:
        self._parents = {machine.id: str(machine.parent) for machine in topology.machines[1:]}
        self._loop = loop
        self._chance = chance
        self._station = station
        self._lost = lost
        self._links = {
            machine.id: Link(machine.id, chance.between(*LINK_US), machine.link) for machine in topology.machines[1:]
        }
        self._wires: dict[str, Wire] = {}  # the present one of each station
        self._waiting: dict[str, dict[Wire, None]] = {}  # by the station above

    def wire(self, line: Line) -> Wire:
        """The connection of a line to its upstream: a station's by its machine's link, any other on its machine."""
        name = line.endpoint.id
        upper = str(line.endpoint.routes.upstream)
        is_station = name in self._links and isinstance(line.peer, Station)
        link = self._links[name] if is_station else Link("", self._chance.between(*LOCAL_US))
        wire = Wire(self._loop, self._chance, link, line, lambda: self._station(upper), self._lost)
        self._waiting.setdefault(upper, {})[wire] = None
        if is_station:
            self._wires[name] = wire
        return wire

    def kick(self, upper: str) -> None:
        """The station `upper` is there: who waits for it may try again."""
        wires = self._waiting.setdefault(upper, {})
        for wire in [wire for wire in wires if wire.closed]:
            del wires[wire]
        for wire in wires:
            wire.kick()

    def strike(self, action: Action) -> None:
        """Do to a link, and to the connections on it, what `action` says."""
        link, name = self._links[action.target], action.target
        was_cut = link.up.cut or link.down.cut
        link.strike(action, self._loop.now_us)
        if action.verb == "reset" or (action.verb == "heal" and was_cut):
            for wire in self._on(name):
                wire.reset()
        if action.verb in ("cut", "hold"):
            self.watch(self._on(name))
        elif action.verb in ("heal", "release"):
            link.let_go()
            for wire in self._on(name):
                wire.kick()

    @staticmethod
    def watch(wires: Iterable[Wire | None]) -> None:
        """From here on nothing may come up these."""
        for wire in wires:
            if wire is not None:
                wire.watch_silence()

    def _on(self, name: str) -> list[Wire]:
        """The wire of the station at the lower end, and a former one, if that is what the upper end still knows."""
        upper = self._station(self._parents[name])
        known = upper.below.get(name) if upper is not None else None
        wires = [self._wires[name]] if name in self._wires else []
        return list(dict.fromkeys([*wires, *([known[0]] if known is not None else [])]))
