"""Post: to which neighbour a packet goes, in which frames, and what waits where a pipe is full. No message is read.

It composes `routes`, `frames` and `backlog`, and knows of every neighbour whether it is one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autopilot_net.protocol.backlog import Backlog
from autopilot_net.protocol.effects import Dropped, Effect, Transmit
from autopilot_net.protocol.frames import Packet, pack_to, pack_up
from autopilot_net.protocol.routes import Routes

__all__ = ["UNKNOWN", "Post"]

UNKNOWN = "nobody of that id is known here"
CAME_BACK = "the neighbour on its way does not know the rest of it, and sent it back for"
READY_AT_ONCE = 1_000  # messages tried on a pipe that takes again: about what it holds


class Post:
    """The routing half of one endpoint: a station (`forwards=True`), a node, or a stream."""

    def __init__(self, id: str, *, upstream: str | None, forwards: bool, backlog_bytes: int) -> None:
        self.id = id
        self.forwards = forwards
        self.routes = Routes(upstream)
        self.ours: set[str] = set()  # ids that have shown that they speak as we do
        self.theirs: set[str] = set()  # neighbours below that have sent something, and never a probe, as ours do first
        self._backlogs: dict[str, Backlog] = {}
        self._backlog_bytes = backlog_bytes

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
        """Whether `to` is one of ours, or so near that one of Autopilot's own can confirm."""
        names = {to, to.removeprefix("_")}
        near = to == "_" + self.id or not names.isdisjoint(self.routes.met)
        return near or not names.isdisjoint(self.ours)

    def is_mine(self, packet: Packet, peer: str) -> bool:
        """Whether `packet` is for us: our program's id is ours too, but for what that program says itself."""
        program = "_" + self.id
        mine = (self.id,) if peer == program else (self.id, program)
        return packet.recipient in mine and all(hop in mine for hop in packet.hops)

    # -- ways ----------------------------------------------------------------------------------------------------

    def next_hop(self, name: str, *, from_above: bool = False) -> str | None:
        """The neighbour on the way to `name`. A station's own program is below it, or nowhere."""
        own = self.forwards and name == "_" + self.id
        return self.routes.next_hop(name, from_above=from_above or own)

    def from_here(self, hops: Sequence[str]) -> tuple[str, ...]:
        """`hops` without this endpoint, where the way begins with it."""
        return tuple(hops[1:] if hops and hops[0] == self.id else hops)

    def way_back(self, hops: Sequence[str], to: str) -> list[str]:
        """The stations a confirmation passes, in the order in which the message passed them."""
        way, upstream = list(hops[:-1]), self.routes.upstream
        goes_up = not self.forwards and self.next_hop(hops[0] if hops else to) == upstream
        return [upstream, *way] if goes_up and upstream and way[:1] != [upstream] else way

    def is_open(self, target: str, recipient: str) -> bool:
        """Whether the path to `recipient`, which begins toward `target`, is believed to be up."""
        hop = self.next_hop(target)
        if hop is None or not self.routes.has(hop) or self.routes.is_away(target):
            return False
        return hop != self.routes.upstream or recipient not in self.routes.beyond

    def is_cut_off(self, packet: Packet) -> bool:
        """Whether `packet`, which came from below, would have to go up, and cannot now."""
        routes = self.routes
        if routes.upstream is None or (routes.up and packet.recipient not in routes.beyond):
            return False
        return self.next_hop(packet.target) == routes.upstream

    def is_stuck(self, target: str) -> bool:
        """Whether what goes toward `target` waits for a full pipe."""
        return self.next_hop(target) in self._backlogs

    # -- packets -------------------------------------------------------------------------------------------------

    def send(self, to: str, hops: tuple[str, ...], raw: bytes) -> list[Effect]:
        """A message of our own sets out."""
        return self.pass_on(Packet(hops, to, raw), from_above=False, peer=self.id)

    def pass_on(self, packet: Packet, *, from_above: bool, peer: str) -> list[Effect]:
        """Hand `packet`, which came from `peer`, to the next neighbour on its way."""
        hop = self.next_hop(packet.target, from_above=from_above)
        if hop is None:
            # A plot that is not open is nobody's loss.
            return [] if packet.target.startswith("P_") else [Dropped(UNKNOWN, peer, packet.target)]
        if hop == peer and packet.target.removeprefix("_") != hop.removeprefix("_"):
            return [Dropped(CAME_BACK, peer, packet.recipient)]
        is_up = hop == self.routes.upstream
        frames = pack_up(packet, hop) if is_up else pack_to(packet, hop, is_theirs=hop in self.theirs)
        if not self.routes.has(hop) and self.routes.was_up:
            return [Dropped("the way up is down", peer, packet.recipient)]
        backlog = self._backlogs.get(hop)
        if backlog is None and self.routes.has(hop):
            return [Transmit(hop, frames)]
        if backlog is None:  # the upstream is yet to be met for the first time, and what is sent meanwhile may wait
            backlog = self._backlogs[hop] = Backlog(self._backlog_bytes)
        return [] if backlog.put(frames) else [Dropped("its neighbour takes no more", hop, packet.recipient)]

    # -- pipes ---------------------------------------------------------------------------------------------------

    def lose(self, peer: str) -> list[Effect]:
        """A neighbour went away: what waited for it is dropped, and what comes back under its id may be another."""
        self.ours.discard(peer)
        self.theirs.discard(peer)
        waiting = self._backlogs.pop(peer, None)
        gone = len(waiting) if waiting else 0
        return [Dropped("its neighbour went away", peer, "", gone)] if gone else []

    def full(self, peer: str, refused: Iterable[tuple[bytes, ...]]) -> None:
        """The pipe to `peer` took none of `refused`; until `ready`, what goes there waits within its bound."""
        self._backlogs.setdefault(peer, Backlog(self._backlog_bytes)).put_back(refused)

    def ready(self, peer: str) -> list[Effect]:
        """Try again what has waited longest for `peer`; the rest at the next call, while it is among `waiting_peers`.

        What is refused comes back by `full`: to try all of a long backlog on a pipe that takes a little costs as much
        each time as there is.
        """
        backlog = self._backlogs.get(peer)
        if backlog is None:
            return []
        taken = backlog.take(READY_AT_ONCE)
        if not backlog:
            del self._backlogs[peer]
        return [Transmit(peer, frames) for frames in taken]

    def waiting_peers(self) -> list[str]:
        """The neighbours whose pipes are full."""
        return [peer for peer in self._backlogs if self.routes.has(peer)]

    def holds_back(self) -> bool:
        """Whether something waits for a neighbour: one whose pipe is full, or one that is yet to be met."""
        return bool(self._backlogs)
