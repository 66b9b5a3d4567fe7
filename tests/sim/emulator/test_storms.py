"""A storm is played in a world that only notes what it is asked for."""

from __future__ import annotations

from typing import Any

from sim.emulator.storms import record_raw_peers, start_storm
from sim.lab.topology import Machine, Topology
from sim.scenario import Example, Op, Opaque, Send, Twice

LAB = Topology(
    name="three",
    path="three.yaml",
    machines=(
        Machine("T", children=("rig_1",)),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
    ),
)
UP = Send(frm="_rig_1", to="T", burst=3)
TWICE = Twice(at="cam", to="rig_1")
OPAQUE = Opaque(at="cam", to="T", size=4)


class Peer:
    """Notes what it has to send."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[Any] = []

    def twice(self, op: Twice, example: int, number: int) -> str:
        self.sent.append((op, example, number))
        return f"{self.name}_{example}.{number}"

    def opaque(self, raw: bytes, path: list[str], recipient: str) -> None:
        self.sent.append((len(raw), path, recipient))


class World:
    """Processes and raw peers that are up, but for those in `down`."""

    life = 0
    topology = LAB

    def __init__(self, *down: str) -> None:
        self.down = down
        self.asked: list[tuple[Any, ...]] = []
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.peers: dict[str, Peer] = {}

    @property
    def journal(self) -> World:
        return self

    def now(self) -> int:
        return 0

    def write(self, what: str, **facts: Any) -> None:
        self.lines.append((what, facts))

    def can_play(self, op: Op) -> bool:
        return (op.at if isinstance(op, Twice | Opaque) else op.frm) not in self.down

    def announce(self, process: str, number: int, count: int) -> None:
        self.asked.append(("announce", process, number, count))

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        self.asked.append(("send", process, number, ops))

    def raw_peer(self, machine: str, suffix: str = "a") -> Peer:
        name = f"actor.{machine}.{suffix}"
        return self.peers.setdefault(name, Peer(name))

    def is_confirmed(self, peer: Peer, message_id: str) -> bool:
        return message_id == f"{peer.name}_7.1"

    def has_received(self, peer: Peer, raw: bytes) -> bool:
        return not peer.sent and not raw


def test_everybody_hears_how_much_will_arrive_before_anybody_sends() -> None:
    world = World()
    started = start_storm(world, 7, Example(ops=(UP, TWICE)))
    assert world.asked == [
        ("announce", "T", 7, 3),
        ("announce", "rig_1", 7, 1),
        ("send", "_rig_1", 7, [(0, UP)]),
    ]
    assert (started.ops, started.senders) == ({0: UP, 1: TWICE}, ["_rig_1"])
    assert world.peers["actor.cam.a"].sent == [(TWICE, 7, 1)]


def test_operations_whose_sender_is_down_are_skipped_and_journalled_and_nobody_expects_them() -> None:
    world = World("_rig_1", "cam")
    started = start_storm(world, 7, Example(ops=(UP, TWICE)))
    assert world.lines == [
        ("skipped", {"sender": "_rig_1", "to": "T", "example": 7, "n": 0}),
        ("skipped", {"sender": "actor.cam.a", "to": "rig_1", "example": 7, "n": 1}),
    ]
    assert (started.ops, world.asked, world.peers) == ({}, [], {})


def test_opaque_bytes_are_sent_along_the_path_between_two_machines() -> None:
    world = World()
    start_storm(world, 7, Example(ops=(OPAQUE,)))
    [(size, path, recipient)] = world.peers["actor.cam.a"].sent
    assert (path, recipient) == (["cam", "rig_1", "T"], "actor.T.b")
    assert size == 14, "ten bytes of a stamp, and four of its own"


def test_what_raw_peers_received_is_journalled() -> None:
    world = World()
    record_raw_peers(world, 7, {0: TWICE, 1: TWICE, 2: OPAQUE})
    assert [facts["value"] for _, facts in world.lines] == ["no confirmation came", "confirmed", False]
    assert [what for what, _ in world.lines] == ["settled", "settled", "opaque"]
