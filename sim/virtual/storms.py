"""PURE. Storms in a virtual lab: who lives plays its part, and so do the bare peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.emulator.storms import raw_peers_of, record_raw_peers, start_storm
from sim.lab.topology import Topology
from sim.scenario import Example, Op
from sim.virtual.programs import Notebook, Program
from sim.virtual.raw_peer import Actor

if TYPE_CHECKING:
    from sim.virtual.lab import VirtualLab

__all__ = ["Storms"]

ACTOR_S = 5.0  # how long after all else a raw peer waits, each


class Storms:
    """Plays storms."""

    def __init__(self, lab: VirtualLab, journal: Notebook) -> None:
        self.journal = journal
        self._lab = lab
        self._actors: dict[str, Actor] = {}

    @property
    def topology(self) -> Topology:
        """Of the lab."""
        return self._lab.topology

    def playing(self, example: Example, number: int) -> Callable[[], None]:
        """What plays `example`, when it is called."""
        return lambda: self.play(example, number)

    def play(self, example: Example, number: int) -> None:
        """Have everybody begin their part. The raw peers were connected before, if time may not pass here."""
        start_storm(self, number, example)

    def call_actors(self, example: Example) -> None:
        """Have the raw peers connect that have a part in `example`."""
        for op in example.ops:
            raw_peers_of(self, op)
        for actor in self._actors.values():
            self._lab.until(lambda actor=actor: bool(actor.came), ACTOR_S)  # type: ignore[misc]

    def hear_actors(self, example: Example, number: int) -> None:
        """Write down what became of the raw peers' part."""
        record_raw_peers(self, number, dict(enumerate(example.ops)))

    # -- what playing a storm asks of its world ----------------------------------------------------------------------

    def can_play(self, op: Op) -> bool:
        """Always: `send_part` skips the whole part of a process that is dead."""
        del op
        return True

    def announce(self, process: str, number: int, count: int) -> None:
        """Tell a process how many messages and items will reach it."""
        self._lab.senders[process].arrivals.expect(number, count)

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        """Have a process send its part; journals `skipped` where it is dead."""
        lab = self._lab
        who = lab.programs.get(process[1:]) if process.startswith("_") else lab.stations.get(process)
        if who is None or who.process.dead:
            self.journal.write("skipped", to=process, example=number)
        elif isinstance(who, Program):
            who.process.call(lambda: who.emulated.storm(number, ops))
        else:
            sender = lab.senders[process]
            who.process.call(lambda: sender.storm(number, ops))

    def raw_peer(self, machine: str, suffix: str = "a") -> Actor:
        """The raw peer of that suffix on a machine."""
        name = f"actor.{machine}.{suffix}"
        if name not in self._actors:
            actor = self._actors[name] = Actor(name, machine)
            actor.wire = self._lab.wires.wire(actor.line)
            actor.wire.connect()
        return self._actors[name]

    def is_confirmed(self, peer: Actor, message_id: str) -> bool:
        """Whether a confirmation has come within `ACTOR_S`."""
        return self._lab.until(lambda: message_id in peer.confirmed, ACTOR_S)

    def has_received(self, peer: Actor, raw: bytes) -> bool:
        """Whether these bytes have come within `ACTOR_S`."""
        return self._lab.until(lambda: (raw,) in peer.came, ACTOR_S)
