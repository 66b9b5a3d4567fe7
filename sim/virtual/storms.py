"""Storms in a virtual lab: who lives plays its part, and so do the raw peers."""

from __future__ import annotations

from collections.abc import Callable

from sim.emulator.storms import raw_peers_of, record_raw_peers, start_storm
from sim.lab.topology import Topology
from sim.scenario import Example, Op
from sim.virtual.connections import Wires
from sim.virtual.journal import VirtualWriter
from sim.virtual.programs import Running, VirtualProgram
from sim.virtual.raw_peer import VirtualRawPeer

__all__ = ["VirtualStorms"]

PEER_S = 5.0  # how long after all else a raw peer waits, each


class VirtualStorms:
    """Plays storms. `until(condition, seconds)` lets time pass until something is so, and says whether it is."""

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
        """What plays `example`, when it is called."""
        return lambda: self.play(example, number)

    def play(self, example: Example, number: int) -> None:
        """Have everybody begin their part. The raw peers were connected before, if time may not pass here."""
        start_storm(self, number, example)

    def connect_peers(self, example: Example) -> None:
        """Have the raw peers connect that have a part in `example`."""
        for op in example.ops:
            raw_peers_of(self, op)
        for peer in self._peers.values():
            self._until(lambda peer=peer: bool(peer.came), PEER_S)  # type: ignore[misc]

    def record_peers(self, example: Example, number: int) -> None:
        """Write down what became of the raw peers' part."""
        record_raw_peers(self, number, dict(enumerate(example.ops)))

    # -- what playing a storm asks of its world ----------------------------------------------------------------------

    def can_play(self, op: Op) -> bool:
        """Always: `send_part` skips the whole part of a process that is dead."""
        del op
        return True

    def announce(self, process: str, number: int, count: int) -> None:
        """Tell a process how many messages and items will reach it."""
        self._running.senders[process].arrivals.expect(number, count)

    def send_part(self, process: str, number: int, ops: list[tuple[int, Op]]) -> None:
        """Have a process send its part; journals `skipped` where it is dead."""
        running = self._running
        is_program = process.startswith("_")
        who = running.programs.get(process[1:]) if is_program else running.stations.get(process)
        if who is None or who.process.dead:
            self.journal.write("skipped", to=process, example=number)
        elif isinstance(who, VirtualProgram):
            who.process.call(lambda: who.emulated.storm(number, ops))
        else:
            sender = running.senders[process]
            who.process.call(lambda: sender.storm(number, ops))

    def raw_peer(self, machine: str, suffix: str = "a") -> VirtualRawPeer:
        """The raw peer of that suffix on a machine."""
        name = f"actor.{machine}.{suffix}"
        if name not in self._peers:
            peer = self._peers[name] = VirtualRawPeer(name, machine)
            peer.wire = self._wires.wire(peer.line)
            peer.wire.connect()
        return self._peers[name]

    def is_confirmed(self, peer: VirtualRawPeer, message_id: str) -> bool:
        """Whether a confirmation has come within `PEER_S`."""
        return self._until(lambda: message_id in peer.confirmed, PEER_S)

    def has_received(self, peer: VirtualRawPeer, raw: bytes) -> bool:
        """Whether these bytes have come within `PEER_S`."""
        return self._until(lambda: (raw,) in peer.came, PEER_S)
