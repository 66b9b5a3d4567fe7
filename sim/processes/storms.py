"""Storms on a lab of processes: everybody is told their part, the bare actors play theirs, and what came is heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import zmq
from msgspec import Struct, field

from sim.evidence.journal import Writer
from sim.processes.raw_peer import Actor
from sim.processes.supervisor import Crew
from sim.scenario import Example, Op, Opaque, Twice, twice_id
from sim.scenario.assignments import parts, sender_process
from sim.scenario.payloads import opaque_bytes
from sim.world import LabError

__all__ = ["Storms", "Underway"]

ACTOR_S = 5.0  # how long after all else has settled an actor waits for what can no longer be repeated
HELLO_S = 60.0


class Underway(Struct):
    """A storm under way: what is played of it, by number, and what is still to be heard, from which life of whom."""

    number: int
    ops: dict[int, Op]
    settled: dict[str, int] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)


class Storms:
    """Plays them on the processes of `crew`, whose stations listen at `ports`; `path` is the way between machines."""

    def __init__(
        self, crew: Crew, journal: Writer, *, ports: Mapping[str, int], path: Callable[[str, str], list[str]]
    ) -> None:
        self._crew = crew
        self._journal = journal
        self._ports = ports
        self._path = path
        self._actors: dict[str, Actor] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def call_actors(self, example: Example) -> None:
        """Have the bare actors there before faults begin: a station that is struck may not answer them."""
        for op in example.ops:
            self._actors_of(op)

    def begin(self, number: int, example: Example) -> Underway:
        """Have everybody play their part. Whose part nobody can play now is skipped, and that is written down."""
        skipped = {n for n, op in enumerate(example.ops) if not self._can_play(op)}
        for n in sorted(skipped):
            op = example.ops[n]
            self._journal.write("skipped", sender=_speaker(op), to=op.to, example=number, n=n)
        senders, due = parts(example, skipped)
        for name, count in sorted(due.items()):
            self._crew.send(name, "expect", number, count)
        for name, own in sorted(senders.items()):
            self._crew.send(name, "storm", number, own)
        ops = {n: op for n, op in enumerate(example.ops) if n not in skipped}
        self._act(ops, number)
        lives = self._crew.lives
        reached = {name: lives[name] for name in due if self._crew.is_there(name)}
        return Underway(number=number, ops=ops, settled={name: lives[name] for name in senders}, reached=reached)

    def open(self, storm: Underway, *kinds: str) -> list[str]:
        """From whom there is still something to be heard. A life that is gone can say nothing more."""
        return [
            name
            for kind in kinds
            for name, life in getattr(storm, kind).items()
            if (kind, storm.number, name) not in self._crew.heard
            and self._crew.is_there(name)
            and self._crew.lives[name] == life
        ]

    def hear_actors(self, storm: Underway) -> None:
        """Write down what came to the bare actors."""
        deadline, number = time.monotonic() + ACTOR_S, storm.number
        for n, op in storm.ops.items():
            if isinstance(op, Twice):
                [actor] = self._actors_of(op)
                said = twice_id(actor.name, number, n)
                how = "confirmed" if actor.confirmed(said, deadline) else "no confirmation came"
                facts = {"by": actor.name, "id": said, "key": "STORM", "to": op.to}
                self._journal.write("settled", value=how, example=number, **facts)
            elif isinstance(op, Opaque):
                _, other = self._actors_of(op)
                sent = opaque_bytes(op.size, op.seed, number, n)
                came = other.receive(deadline, lambda frames, sent=sent: frames == [sent]) is not None
                self._journal.write("opaque", by=other.name, value=came, example=number, n=n)

    def close(self) -> None:
        """The actors go away."""
        for actor in self._actors.values():
            actor.close()
        if self._context is not None:
            self._context.term()
        self._actors, self._context = {}, None

    def _can_play(self, op: Op) -> bool:
        """Who is dead sends nothing; nor does an actor at a station that is not up: it could not be told from a lost
        message. What a process is told that stands still, it does when it goes on."""
        if isinstance(op, Twice | Opaque):
            at = [op.at] if isinstance(op, Twice) else [op.at, op.to]
            return all(self._crew.is_up(name) for name in at)
        return self._crew.is_there(sender_process(op.frm))

    def _act(self, ops: Mapping[int, Op], number: int) -> None:
        for n, op in ops.items():
            if isinstance(op, Twice):
                [actor] = self._actors_of(op)
                said = actor.twice(op, number, n)
                self._journal.write("made twice", by=actor.name, id=said, key="STORM", to=op.to, example=number, n=n)
            elif isinstance(op, Opaque):
                actor, other = self._actors_of(op)
                self._journal.write("made opaque", by=actor.name, to=other.name, example=number, n=n)
                actor.opaque(opaque_bytes(op.size, op.seed, number, n), self._path(op.at, op.to), other.name)

    def _actors_of(self, op: Op) -> list[Actor]:
        if isinstance(op, Twice):
            return [self._actor(op.at)]
        return [self._actor(op.at), self._actor(op.to, "b")] if isinstance(op, Opaque) else []

    def _actor(self, machine: str, suffix: str = "a") -> Actor:
        name = f"actor.{machine}.{suffix}"
        if name not in self._actors:
            if self._context is None:
                self._context = zmq.Context()
            actor = self._actors[name] = Actor(self._context, name, machine, self._ports[machine])
            if not actor.hello(time.monotonic() + HELLO_S):
                raise LabError(f"the station {machine} does not answer a bare zmq peer")
        return self._actors[name]


def _speaker(op: Op) -> str:
    return f"actor.{op.at}.a" if isinstance(op, Twice | Opaque) else op.frm
