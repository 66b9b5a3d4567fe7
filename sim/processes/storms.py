"""Plays storms on a lab of processes: orders each process to send its part, and runs the raw peers."""

from __future__ import annotations

import time
from collections.abc import Mapping

import zmq
from msgspec import Struct

from sim.emulator.storms import raw_peers_of, record_raw_peers, start_storm
from sim.evidence.journal import Writer
from sim.lab.topology import Topology
from sim.processes.raw_peer import RawPeer
from sim.processes.supervisor import Supervisor
from sim.scenario import Example, Op, Opaque, Twice
from sim.scenario.assignments import sender_process
from sim.world import LabError

__all__ = ["RunningStorm", "StormPlayer"]

PEER_S = 5.0  # how long a raw peer waits for what can no longer be repeated, once all else has settled
HELLO_S = 60.0


class RunningStorm(Struct):
    """A storm that is being played: its number, its operations, and the reports that are still due.

    `settled` and `reached` map each process that owes a report to its life at the start of the storm.
    """

    number: int
    ops: dict[int, Op]
    settled: dict[str, int]
    reached: dict[str, int]


class StormPlayer:
    """Plays storms on the processes of `supervisor`, whose stations listen at `ports`. Called by one thread."""

    def __init__(
        self, topology: Topology, supervisor: Supervisor, journal: Writer, *, ports: Mapping[str, int]
    ) -> None:
        self.topology = topology
        self.journal = journal
        self._supervisor = supervisor
        self.ports = ports
        self._peers: dict[str, RawPeer] = {}
        self._zmq: zmq.Context[zmq.Socket[bytes]] | None = None
        self._deadline = 0.0  # of the raw peers' waiting

    def connect_peers(self, example: Example) -> None:
        """Connect the raw peers of a storm before faults begin. A station under a fault may not answer them."""
        for op in example.ops:
            raw_peers_of(self, op)

    def start(self, number: int, example: Example) -> RunningStorm:
        """Have everybody send their part, and do not wait."""
        started = start_storm(self, number, example)
        lives = self._supervisor.lives
        settled = {name: lives[name] for name in started.senders}
        reached = {name: lives[name] for name in started.expected if self._supervisor.is_alive(name)}
        return RunningStorm(number=number, ops=started.ops, settled=settled, reached=reached)

    def owing(self, storm: RunningStorm, *kinds: str) -> list[str]:
        """The processes that still owe a report of these kinds. A process that has ended since owes none."""
        return [
            name
            for kind in kinds
            for name, life in getattr(storm, kind).items()
            if (kind, storm.number, name) not in self._supervisor.reports
            and self._supervisor.is_alive(name)
            and self._supervisor.lives[name] == life
        ]

    def record_peers(self, storm: RunningStorm) -> None:
        """Journal what the raw peers received. All of them together wait for `PEER_S` seconds at most."""
        self._deadline = time.monotonic() + PEER_S
        record_raw_peers(self, storm.number, storm.ops)

    def close(self) -> None:
        """Close the raw peers."""
        for peer in self._peers.values():
            peer.close()
        if self._zmq is not None:
            self._zmq.term()
        self._peers, self._zmq = {}, None

    # -- what playing a storm asks of its world ------------------------------------------------------------------

    def can_play(self, op: Op) -> bool:
        """Whether the sender is running. A paused process counts: it sends its part when it is resumed.

        The station of a raw peer must be up. Otherwise what the peer sends could not be told from a lost message.
        """
        if isinstance(op, Twice | Opaque):
            at = [op.at] if isinstance(op, Twice) else [op.at, op.to]
            return all(self._supervisor.is_up(name) for name in at)
        return self._supervisor.is_alive(sender_process(op.frm))

    def announce(self, process: str, number: int, count: int) -> None:
        """Tell a process how many messages and items of storm `number` will reach it."""
        self._supervisor.send(process, "expect", number, count)

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        """Have a process send its part of storm `number`."""
        self._supervisor.send(process, "storm", number, ops)

    def raw_peer(self, machine: str, suffix: str = "a") -> RawPeer:
        """The raw peer of that suffix on a machine, connected. Raises `LabError` if its station does not answer."""
        name = f"actor.{machine}.{suffix}"
        if name not in self._peers:
            if self._zmq is None:
                self._zmq = zmq.Context()
            peer = self._peers[name] = RawPeer(self._zmq, name, machine, self.ports[machine])
            if not peer.hello(time.monotonic() + HELLO_S):
                raise LabError(f"the station {machine} does not answer a bare zmq peer")
        return self._peers[name]

    def is_confirmed(self, peer: RawPeer, message_id: str) -> bool:
        """Whether `peer` has a confirmation of a message by the deadline."""
        return peer.is_confirmed(message_id, self._deadline)

    def has_received(self, peer: RawPeer, raw: bytes) -> bool:
        """Whether `peer` has received these bytes by the deadline."""
        return peer.receive(self._deadline, lambda frames: frames == [raw]) is not None
