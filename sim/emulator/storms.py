"""Plays a storm, the same on processes and in virtual time.

A raw peer is a zmq socket beside the library. It sends what no station would send: repeated messages, and bytes that
are no message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol, TypeVar

from msgspec import Struct

from sim.emulator.sender import JournalWriter
from sim.lab.topology import Topology
from sim.lab.tree import Tree
from sim.scenario import Example, Op, Opaque, Twice, twice_id
from sim.scenario.assignments import assign
from sim.scenario.payloads import opaque_bytes

__all__ = ["RawPeerLike", "StartedStorm", "StormWorld", "raw_peers_of", "record_raw_peers", "start_storm"]


class RawPeerLike(Protocol):
    """A raw peer, of either world."""

    name: str

    def twice(self, op: Twice, example: int, number: int) -> str:
        """Send one message several times; returns its id."""

    def opaque(self, raw: bytes, path: list[str], recipient: str) -> None:
        """Send bytes that are no message along `path`, the machines to cross, to another raw peer."""


P = TypeVar("P", bound=RawPeerLike)


class StormWorld(Protocol[P]):
    """What playing a storm asks of its world. A process is named by its participant: `rig_1` or `_rig_1`."""

    @property
    def topology(self) -> Topology: ...

    @property
    def journal(self) -> JournalWriter: ...

    def can_play(self, op: Op) -> bool:
        """Whether whoever has to send it is running."""

    def announce(self, process: str, number: int, count: int) -> None:
        """Tell a process how many messages and items of storm `number` will reach it."""

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        """Have a process send its part of storm `number`."""

    def raw_peer(self, machine: str, suffix: str = "a") -> P:
        """The raw peer of that suffix on a machine. It is connected if it is not yet."""

    def is_confirmed(self, peer: P, message_id: str) -> bool:
        """Wait until `peer` has a confirmation of a message, for a few seconds; whether it came."""

    def has_received(self, peer: P, raw: bytes) -> bool:
        """Wait until `peer` has received these bytes, for a few seconds; whether they came."""


class StartedStorm(Struct):
    """A storm that was started."""

    ops: dict[int, Op]  # by their numbers, without those that were skipped
    senders: list[str]  # processes that send a part of it
    expected: Counter[str]  # process -> messages and items that are to reach it


def start_storm(world: StormWorld[P], number: int, example: Example) -> StartedStorm:
    """Have everybody send their part. Skips operations whose sender is down, and journals each as `skipped`."""
    skipped = {n for n, op in enumerate(example.ops) if not world.can_play(op)}
    for n in sorted(skipped):
        op = example.ops[n]
        world.journal.write("skipped", sender=_sender_of(op), to=op.to, example=number, n=n)
    senders, expected = assign(example, skipped)
    for name, count in sorted(expected.items()):
        world.announce(name, number, count)
    for name, own in sorted(senders.items()):
        world.send_part(name, number, own)
    ops = {n: op for n, op in enumerate(example.ops) if n not in skipped}
    for n, op in ops.items():
        _send_raw(world, number, n, op)
    return StartedStorm(ops=ops, senders=list(senders), expected=expected)


def record_raw_peers(world: StormWorld[P], number: int, ops: Mapping[int, Op]) -> None:
    """Journal what raw peers received: confirmations, and opaque bytes."""
    for n, op in ops.items():
        if isinstance(op, Twice):
            [peer] = raw_peers_of(world, op)
            id = twice_id(peer.name, number, n)
            how = "confirmed" if world.is_confirmed(peer, id) else "no confirmation came"
            world.journal.write("settled", by=peer.name, id=id, key="STORM", to=op.to, example=number, value=how)
        elif isinstance(op, Opaque):
            _, recipient = raw_peers_of(world, op)
            came = world.has_received(recipient, opaque_bytes(op.size, op.seed, number, n))
            world.journal.write("opaque", by=recipient.name, value=came, example=number, n=n)


def raw_peers_of(world: StormWorld[P], op: Op) -> list[P]:
    """The raw peers of an operation, the sender first; empty if it has none. They are connected if they are not yet."""
    if isinstance(op, Twice):
        return [world.raw_peer(op.at)]
    return [world.raw_peer(op.at), world.raw_peer(op.to, "b")] if isinstance(op, Opaque) else []


def _send_raw(world: StormWorld[P], number: int, n: int, op: Op) -> None:
    if isinstance(op, Twice):
        [peer] = raw_peers_of(world, op)
        id = peer.twice(op, number, n)
        world.journal.write("made twice", by=peer.name, id=id, key="STORM", to=op.to, example=number, n=n)
    elif isinstance(op, Opaque):
        peer, recipient = raw_peers_of(world, op)
        world.journal.write("made opaque", by=peer.name, to=recipient.name, example=number, n=n)
        path = Tree(world.topology).machines_between(op.at, op.to)
        peer.opaque(opaque_bytes(op.size, op.seed, number, n), path, recipient.name)


def _sender_of(op: Op) -> str:
    return f"actor.{op.at}.a" if isinstance(op, Twice | Opaque) else op.frm
