"""Router: to which neighbour a packet goes, in which frames, and what waits where a pipe is full. No message is read.

It composes `routes`, `frames` and `send_queue`, and knows of every neighbour whether it is one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autopilot_net.protocol.effects import Dropped, Effect, Traffic, Transmit
from autopilot_net.protocol.frames import Packet, pack_to, pack_up
from autopilot_net.protocol.routes import Routes
from autopilot_net.protocol.send_queue import SendQueue

__all__ = ["AWAY", "TAKES_NO_MORE", "UNKNOWN", "Router"]

UNKNOWN = "nobody of that id is known here"
AWAY = "its neighbour went away"
TAKES_NO_MORE = "its neighbour takes no more"
CAME_BACK = "the neighbour on its way does not know the rest of it, and sent it back for"
READY_AT_ONCE = 64  # messages tried at once on a pipe that takes again: as many as it holds


class Router:
    """The routing half of one endpoint: a station (`forwards=True`), a node, or a stream."""

    def __init__(self, id: str, *, upstream: str | None, forwards: bool, backlog_bytes: int) -> None:
        self.id = id
        self.forwards = forwards
        self.routes = Routes(id, upstream)
        self.ours: set[str] = set()  # ids that have shown that they are ours
        self.theirs: set[str] = set()  # neighbours below that sent something before any probe, as ours never do
        self.is_upstream_silent = False  # whether it is there, and does not answer
        self._queues: dict[str, SendQueue] = {}
        self._queue_bytes = backlog_bytes

    # -- who is who ----------------------------------------------------------------------------------------------

    def is_ours(self, name: str) -> None:
        """`name` has shown that it speaks as we do."""
        self.ours.add(name)
        self.theirs.discard(name)

    def hear(self, peer: str) -> None:
        """A neighbour has sent a message that is no probe."""
        if peer not in self.ours and peer != self.routes.upstream:
            self.theirs.add(peer)

    def is_known(self, to: str) -> bool:
        """Whether `to` is one of ours, or near enough that even one of Autopilot's own can confirm."""
        names = {to, to.removeprefix("_")}
        near = to == "_" + self.id or not names.isdisjoint(self.routes.met)
        return near or not names.isdisjoint(self.ours)

    def is_mine(self, packet: Packet, peer: str) -> bool:
        """Whether `packet` is for us. Packets for our program are ours too, unless the program sent them."""
        program = "_" + self.id
        mine = (self.id,) if peer == program else (self.id, program)
        return packet.recipient in mine and all(hop in mine for hop in packet.hops)

    # -- paths ---------------------------------------------------------------------------------------------------

    def next_hop(self, name: str, *, from_above: bool = False) -> str | None:
        """The neighbour on the path to `name`. A station's own program is below it, or unreachable."""
        own = self.forwards and name == "_" + self.id
        return self.routes.next_hop(name, from_above=from_above or own)

    def from_here(self, hops: Sequence[str]) -> tuple[str, ...]:
        """`hops` without this endpoint, where they begin with it."""
        return tuple(hops[1:] if hops and hops[0] == self.id else hops)

    def way_back(self, hops: Sequence[str], to: str) -> list[str]:
        """The stations that a confirmation passes, in the order in which the message passed them."""
        path, upstream = list(hops[:-1]), self.routes.upstream
        goes_up = not self.forwards and self.next_hop(hops[0] if hops else to) == upstream
        return [upstream, *path] if goes_up and upstream and path[:1] != [upstream] else path

    def is_open(self, target: str, recipient: str) -> bool:
        """Whether the path to `recipient`, which begins toward `target`, is believed to be up."""
        hop = self.next_hop(target)
        if hop is None or not (self.routes.has(hop) or self.is_to_come(hop)) or self.routes.is_away(target):
            return False
        return hop != self.routes.upstream or recipient not in self.routes.unreachable_above

    def is_to_come(self, hop: str) -> bool:
        """Whether `hop` is an upstream that was never met yet. What is sent to it waits, in order."""
        return hop == self.routes.upstream and not self.routes.was_up

    def is_cut_off(self, packet: Packet) -> bool:
        """Whether `packet`, which came from below, has to go up, and cannot now, or would not be read there."""
        routes = self.routes
        is_there = routes.up and not self.is_upstream_silent
        if routes.upstream is None or (is_there and packet.recipient not in routes.unreachable_above):
            return False
        return self.next_hop(packet.target) == routes.upstream

    def is_stuck(self, target: str) -> bool:
        """Whether what goes toward `target` waits for a full pipe."""
        return self.next_hop(target) in self._queues

    # -- packets -------------------------------------------------------------------------------------------------

    def send(self, to: str, hops: tuple[str, ...], raw: bytes, kind: Traffic = Traffic.DATA) -> list[Effect]:
        """A message of our own sets out."""
        return self.pass_on(Packet(hops, to, raw), from_above=False, peer=self.id, kind=kind)

    def pass_on(self, packet: Packet, *, from_above: bool, peer: str, kind: Traffic = Traffic.DATA) -> list[Effect]:
        """Hand `packet`, which came from `peer`, to the next neighbour on its way."""
        hop = self.next_hop(packet.target, from_above=from_above)
        if hop is None:
            # A copy for a plot that is not open is no loss.
            return [] if packet.target.startswith("P_") else [Dropped(UNKNOWN, peer, packet.target)]
        if hop == peer and packet.target.removeprefix("_") != hop.removeprefix("_"):
            return [Dropped(CAME_BACK, peer, packet.recipient)]
        is_up = hop == self.routes.upstream
        frames = pack_up(packet, hop) if is_up else pack_to(packet, hop, is_theirs=hop in self.theirs)
        if not self.routes.has(hop) and self.routes.was_up:
            return [Dropped("the way up is down", peer, packet.recipient)]
        return self.transmit(Transmit(hop, frames, kind), source=peer, recipient=packet.recipient)

    def transmit(self, effect: Transmit, *, source: str, recipient: str = "") -> list[Effect]:
        """Send `effect`, which came from the neighbour `source`, or let it wait where the pipe is full."""
        queue = self._queues.get(effect.peer)
        if queue is None and self.routes.has(effect.peer):
            return [effect]
        if queue is None:  # the upstream was never met yet: what is sent meanwhile waits
            queue = self._queues[effect.peer] = SendQueue(self._queue_bytes)
        dropped = queue.put(effect, source)
        if dropped is None:
            return []
        named = recipient if dropped is effect else _recipient(dropped)
        return [Dropped(TAKES_NO_MORE, effect.peer, named)]

    # -- pipes ---------------------------------------------------------------------------------------------------

    def lose(self, peer: str) -> list[Effect]:
        """A neighbour went away: what waited for it is dropped. Another machine may come back under its id."""
        self.ours.discard(peer)
        self.theirs.discard(peer)
        waiting = self._queues.pop(peer, None)
        gone = sum(effect.kind is Traffic.DATA for effect in waiting.drain()) if waiting else 0
        return [Dropped(AWAY, peer, "", gone)] if gone else []

    def full(self, peer: str, refused: Iterable[Transmit]) -> None:
        """The pipe to `peer` took none of `refused`. Until `ready`, messages to it wait in a bounded queue."""
        self._queues.setdefault(peer, SendQueue(self._queue_bytes)).put_back(refused)

    def ready(self, peer: str) -> list[Effect]:
        """The messages that have waited longest for `peer`, to be tried again. The rest at the next call.

        Call it while `peer` is in `waiting_peers`. What the pipe refuses comes back by `full`. Only a few are tried at
        once: trying a long queue on a pipe that takes little would cost as much each time as the queue is long.
        """
        queue = self._queues.get(peer)
        if queue is None:
            return []
        taken = queue.take(READY_AT_ONCE)
        if not queue:
            del self._queues[peer]
        return list(taken)

    def waiting_peers(self) -> list[str]:
        """The neighbours whose pipes are full."""
        return [peer for peer in self._queues if self.routes.has(peer)]

    def holds_back(self) -> bool:
        """Whether anything waits: for a neighbour whose pipe is full, or for an upstream that was never met yet."""
        return bool(self._queues)


def _recipient(effect: Transmit) -> str:
    """The recipient. If that is the neighbour itself, it is not among the frames."""
    return effect.frames[-2].decode() if len(effect.frames) > 1 else effect.peer
