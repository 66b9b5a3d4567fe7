"""PURE. Storms in a virtual lab: who lives plays its part, and so do the bare peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim.scenario import Example, Opaque, Twice, twice_id
from sim.scenario.assignments import parts
from sim.scenario.payloads import opaque_bytes
from sim.virtual.programs import Notebook, Program
from sim.virtual.raw_peer import Actor

if TYPE_CHECKING:
    from sim.virtual.lab import VirtualLab

__all__ = ["Storms"]

ACTOR_S = 5.0  # how long after all else an actor waits


class Storms:
    """Plays storms."""

    def __init__(self, lab: VirtualLab, journal: Notebook) -> None:
        self._lab = lab
        self._journal = journal
        self._actors: dict[str, Actor] = {}

    def playing(self, example: Example, number: int) -> Callable[[], None]:
        """What plays `example`, when it is called."""
        return lambda: self.play(example, number)

    def play(self, example: Example, number: int) -> None:
        """Have everybody begin their part. The actors were called before, if time may not pass here."""
        senders, due = parts(example)
        for name, count in sorted(due.items()):
            self._lab.speakers[name].tally.expect(number, count)
        for name, ops in sorted(senders.items()):
            self._play_part(name, number, ops)
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = actor.twice(op, number, n)
                self._journal.write("made twice", by=actor.name, id=said, key="STORM", to=op.to, example=number, n=n)
            elif isinstance(op, Opaque):
                actor, other = self._actor(op.at), self._actor(op.to, "b")
                way = self._lab.tree.machines_between(op.at, op.to)
                self._journal.write("made opaque", by=actor.name, to=other.name, example=number, n=n)
                actor.opaque(opaque_bytes(op.size, op.seed, number, n), way, other.name)

    def call_actors(self, example: Example) -> None:
        """Have the bare peers connect that have a part in `example`."""
        for op in example.ops:
            if isinstance(op, Twice | Opaque):
                self._actor(op.at)
            if isinstance(op, Opaque):
                self._actor(op.to, "b")
        for actor in self._actors.values():
            self._lab.until(lambda actor=actor: bool(actor.came), ACTOR_S)  # type: ignore[misc]

    def hear_actors(self, example: Example, number: int) -> None:
        """Write down what became of the bare peers' part."""
        for n, op in enumerate(example.ops):
            if isinstance(op, Twice):
                actor = self._actor(op.at)
                said = twice_id(actor.name, number, n)
                came = self._lab.until(lambda actor=actor, said=said: said in actor.confirmed, ACTOR_S)  # type: ignore[misc]
                how = "confirmed" if came else "no confirmation came"
                self._journal.write("settled", by=actor.name, id=said, key="STORM", to=op.to, example=number, value=how)
            elif isinstance(op, Opaque):
                other, sent = self._actor(op.to, "b"), (opaque_bytes(op.size, op.seed, number, n),)
                came = self._lab.until(lambda other=other, sent=sent: sent in other.came, ACTOR_S)  # type: ignore[misc]
                self._journal.write("opaque", by=other.name, value=came, example=number, n=n)

    def _play_part(self, name: str, number: int, ops: list[Any]) -> None:
        lab = self._lab
        who = lab.programs.get(name[1:]) if name.startswith("_") else lab.stations.get(name)
        if who is None or who.process.dead:
            self._journal.write("skipped", to=name, example=number)
        elif isinstance(who, Program):
            who.process.call(lambda: who.emulated.storm(number, ops))
        else:
            speaker = lab.speakers[name]
            who.process.call(lambda: speaker.storm(number, ops))

    def _actor(self, machine: str, suffix: str = "a") -> Actor:
        name = f"actor.{machine}.{suffix}"
        if name not in self._actors:
            actor = self._actors[name] = Actor(name, machine)
            actor.wire = self._lab.wires.wire(actor.line)
            actor.wire.connect()
        return self._actors[name]
