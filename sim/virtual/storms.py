"""Storms in a virtual lab: each live process sends its part, and raw peers send theirs."""

from __future__ import annotations

from collections.abc import Callable

from sim.emulator.storms import raw_peers_of, record_raw_peers, start_storm
from sim.lab.topology import Topology
from sim.scenario import Example, Op
from sim.virtual.journal import VirtualWriter
from sim.virtual.programs import Running, VirtualProgram
from sim.virtual.raw_peer import VirtualRawPeer
from sim.virtual.wires.connections import Wires

__all__ = ["VirtualStorms"]

PEER_S = 5.0  # how long a raw peer waits for each thing


class VirtualStorms:
    """Plays storms. `until(condition, seconds)` lets time pass until `condition` holds, and returns whether it does."""

    def __init__(
        self,
        topology: Topology,
        journal: VirtualWriter,
        running: Running,
        wires: Wires,
        until: Callable[[Callable[[], bool], float], bool],
    ) -> None:
        self.topology = topology
        self.journal = journal
        self._running = running
        self._wires = wires
        self._until = until
        self._peers: dict[str, VirtualRawPeer] = {}

    def playing(self, example: Example, number: int) -> Callable[[], None]:
        """A call that plays `example`."""
        return lambda: self.play(example, number)

    def play(self, example: Example, number: int) -> None:
        """Have each sender start its part. Where time may not pass, call `connect_peers` before."""
        start_storm(self, number, example)

    def connect_peers(self, example: Example) -> None:
        """Connect the raw peers that send or receive in `example`, and wait until each is connected."""
        for op in example.ops:
            raw_peers_of(self, op)
        for peer in self._peers.values():
            self._until(lambda peer=peer: bool(peer.came), PEER_S)  # type: ignore[misc]

    def record_peers(self, example: Example, number: int) -> None:
        """Journal what the raw peers have received and what was confirmed to them."""
        record_raw_peers(self, number, dict(enumerate(example.ops)))

    # -- for `start_storm`: see `StormWorld` -------------------------------------------------------------------------

    def can_play(self, op: Op) -> bool:
        """Always True: `send_part` skips the part of a dead process."""
        del op
        return True

    def announce(self, process: str, number: int, count: int) -> None:
        """Tell a process how many messages and items of storm `number` will reach it."""
        self._running.senders[process].arrivals.expect(number, count)

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        """Have a process send its part. Journals `skipped` if it is dead."""
        running = self._running
        is_program = process.startswith("_")
        target = running.programs.get(process[1:]) if is_program else running.stations.get(process)
        if target is None or target.process.dead:
            self.journal.write("skipped", to=process, example=number)
        elif isinstance(target, VirtualProgram):
            target.process.call(lambda: target.emulated.storm(number, ops))
        else:
            sender = running.senders[process]
            target.process.call(lambda: sender.storm(number, ops))

    def raw_peer(self, machine: str, suffix: str = "a") -> VirtualRawPeer:
        """The raw peer of that suffix on a machine. It starts to connect if it is new."""
        name = f"actor.{machine}.{suffix}"
        if name not in self._peers:
            peer = self._peers[name] = VirtualRawPeer(name, machine)
            peer.wire = self._wires.wire(peer.line)
            peer.wire.connect()
        return self._peers[name]

    def is_confirmed(self, peer: VirtualRawPeer, message_id: str) -> bool:
        """Wait until `peer` has the confirmation of a message. Returns False after `PEER_S`."""
        return self._until(lambda: message_id in peer.confirmed, PEER_S)

    def has_received(self, peer: VirtualRawPeer, raw: bytes) -> bool:
        """Wait until `peer` has received these bytes. Returns False after `PEER_S`."""
        return self._until(lambda: (raw,) in peer.came, PEER_S)
