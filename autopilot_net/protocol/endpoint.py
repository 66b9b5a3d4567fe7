"""Endpoint: what is confirmed to whom, who is told of what, and what to do when a neighbour comes and goes.

Frames and time come in, effects come out. It composes the parts beside it and adds what none of them may know of the
others: a route decides whether a channel is open, a packet for me becomes a delivery, a handled ticket a CONFIRM.
`router.py` decides where a packet goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from autopilot_net.defaults import LIVENESS_S, REPEAT_INTERVAL_S
from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.clock_sync import ClockSync
from autopilot_net.protocol.connections import Connections
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import (
    Dropped,
    Effect,
    Expired,
    PeerDown,
    PeerUp,
    Silent,
    Transmit,
)
from autopilot_net.protocol.frames import Packet, read_frames
from autopilot_net.protocol.intake import Intake, read_message
from autopilot_net.protocol.outbox import Outbox
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.protocol.paths import Paths
from autopilot_net.protocol.reachability import Reachability
from autopilot_net.protocol.reasons import refusal
from autopilot_net.protocol.reliable import Reliable
from autopilot_net.protocol.router import Router

__all__ = ["Endpoint", "Settings"]

CLOSING = b"CLOSING"  # stops a station of Autopilot's own; ours is stopped by whoever owns its process
AGAIN = "a repeat that one of Autopilot's own would handle again"
TAKEN = "from below, under the id of a station above"


class Settings(Struct, frozen=True, kw_only=True):
    """The knobs of one endpoint. Times are seconds, sizes bytes."""

    repeat_interval: float = REPEAT_INTERVAL_S
    liveness_s: float = LIVENESS_S
    window: Window = Window()
    backlog_bytes: int = 64 << 20
    clock_s: float | None = 16.0  # how often it asks for the time in the long run; None: never


class Endpoint:
    """One participant: a station (`forwards=True`), a node, or a stream.

    `id` is its identity on the wire, `upstream` that of the neighbour it connects to, None for the root.
    `incarnation` is unlike that of any former life under this id. `epoch` is the wall-clock time, in seconds, at
    `now == 0`. `now` never runs backwards. No method blocks, and a call too many is harmless. One thread at a time.

    `life` is unlike that of any former life, also where a durable one keeps its incarnation; the incarnation, if it is
    not given. With `saved` it is durable: it begins with what a former life has left there, which had the same
    incarnation, and asks for what it promises and what it has handled to be kept (`Store`, `Forget`).

    Between any two calls:

    - Every effect so far was returned, once, in the order in which it is to be carried out.
    - Each message in `outbox` has exactly one number toward its recipient, and no two share one. Numbers rise in the
      order of `send`. Exactly one `Confirmed` or `Expired` was or will be returned for it, and then it is gone.
    - What was sent to a recipient and is unconfirmed is within the window, but for the last message that was let in.
    - While the path to a recipient is closed, nothing is sent to it, and no patience is spent.
    - Numbered messages of one life of a sender were delivered in the order of their numbers, and none of them twice.
    - A ticket other than 0 was delivered once. It is open until `handled` names it, and what it passed on is settled.
    - `router.routes.behind` names only neighbours below that are there.
    - `next_timer` is no later than the time at which `handle_timer` would return something.
    """

    def __init__(
        self,
        id: str,
        *,
        upstream: str | None = None,
        forwards: bool = False,
        incarnation: str,
        epoch: float = 0.0,
        settings: Settings | None = None,
        saved: Saved | None = None,
        life: str | None = None,
    ) -> None:
        self.id = id
        self.life = life or incarnation
        self.forwards = forwards
        self.incarnation = incarnation
        self.settings = settings or Settings()
        self.router = Router(id, upstream=upstream, forwards=forwards, backlog_bytes=self.settings.backlog_bytes)
        self.routes, self.ours = self.router.routes, self.router.ours
        self.outbox = Outbox(
            incarnation=incarnation, repeat_interval=self.settings.repeat_interval, window=self.settings.window
        )
        self._connections = Connections(
            self.router, life=self.life, interval=self.settings.liveness_s, seed=f"{id} {incarnation}"
        )
        self._control = Control(self.router, incarnation=incarnation, epoch=epoch)
        self._reliable = Reliable(self.router, self._control, self.outbox, saved=saved)
        self._reachability = Reachability(self.router, self._control)
        # Not before we have probed: until then the upstream would not repeat GONE, and a try would cost ttl.
        retry_s = max(self.settings.repeat_interval, 2 * self.settings.liveness_s)
        self._paths = Paths(self.router, self._reliable, self._reachability, retry_s=retry_s)
        self._clock = ClockSync(self.router, self._control, incarnation=incarnation, interval=self.settings.clock_s)
        special = {"GONE": self._paths.read_gone, "BACK": self._paths.read_back, "CLOCK": self._clock.read}
        self._intake = Intake(self.router, self._reliable, self._paths, special)

    @property
    def epoch(self) -> float:
        """The wall-clock time at `now == 0`. Whoever runs this sets it anew when the wall clock is set."""
        return self._control.epoch

    @epoch.setter
    def epoch(self, epoch: float) -> None:
        self._clock.set_epoch(epoch)

    @property
    def is_upstream_new(self) -> bool:
        """Whether the upstream has shown that it tells connections of one id apart, as all of ours do."""
        return self._connections.is_upstream_new

    @property
    def upstream_is(self) -> str:
        """The id of whoever answers as the upstream, as far as it has said."""
        return self._connections.upstream_is

    # -- what this endpoint's own program does -------------------------------------------------------------------

    def send(
        self,
        message: Message,
        *,
        hops: Sequence[str] = (),
        repeat: bool | None = None,
        expires_after: float | None = None,
        now: float,
    ) -> list[Effect]:
        """Send `message`, which is then the endpoint's, along `hops` (the last is the recipient) or by its `to` alone.

        `repeat` None means: seek a confirmation unless the message carries NOREPEAT, or goes beyond a neighbour to one
        that is not known to be ours, which could not confirm it. True insists. `expires_after` is in seconds.
        Raises `BadMessage` for what cannot be sent.
        """
        if not isinstance(message.to, str):
            raise BadMessage(f"message {message.get('id')} is to {message.to!r}; hops are given apart")
        message["inc"] = self.incarnation
        hops = self.router.from_here(hops)
        if hops or self._is_far(message.to):
            message["via"] = self.router.way_back(hops, message.to)
        if repeat is None:
            repeat = "NOREPEAT" not in message.flags and self._can_confirm(message.to)
        if not repeat:
            message.flags["NOREPEAT"] = True
            return self.router.send(message.to, hops, message.serialize(pack=self._packs(message)))
        message.flags.pop("NOREPEAT", None)
        wrong = self.routes.wrong_turn(hops)
        if wrong is not None:
            return [Expired(message.id, message.to, refusal(wrong) or "")]
        return self._reliable.send(message, hops, pack=self._packs(message), expires_after=expires_after, now=now)

    def handled(self, ticket: int, *, failed: bool = False, relays: Iterable[str] = (), now: float) -> list[Effect]:
        """The handler of a `Deliver` returned or raised; `failed`: something that it passed on has expired.

        `relays` are the messages of this endpoint's that it passed on and that are under way: the sender is told once
        they are settled.
        """
        return self._reliable.handled(ticket, failed=failed, relays=relays, now=now)

    # -- what the wire does --------------------------------------------------------------------------------------

    def receive(self, peer: str, frames: Sequence[bytes], *, now: float) -> list[Effect]:
        """A message came in from the neighbour `peer`; `frames` are without the identity that a ROUTER prepends."""
        if peer != self.routes.upstream and peer in self.routes.above:
            return [Dropped(TAKEN, peer, "")]
        effects = [] if self.routes.has(peer) else self.meet(peer, now=now)
        if peer == self.routes.upstream and self._connections.hear_upstream():
            effects += [Silent(peer, 0.0), *self._reachability.back(peer, now=now, kept=True)]
        if frames and not frames[-1]:
            return effects + self._read_probe(peer, frames, now)
        self._connections.received(peer)
        self.router.hear(peer)
        try:
            packet = read_frames(frames, me=self.id)
        except ValueError as error:
            return [*effects, Dropped(f"frames that cannot be read: {error}", peer, "")]
        if self.router.is_mine(packet, peer):
            return effects + self._read(packet, peer, now)
        return effects + self._forward(packet, peer, now)

    def meet(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` is there, or there again."""
        is_first = self.router.is_to_come(peer)
        if not self.routes.meet(peer):
            return []
        begun: list[Effect] = []
        if peer == self.routes.upstream:
            begun = self._connections.upstream_is_up(now=now)
            self._clock.upstream_is_up(now=now)
        if is_first:  # what was sent so far, also by those below, waits in one queue
            opened = [*self._reliable.open_closed(now=now), *self._reachability.back(peer, now=now, kept=True)]
            return [PeerUp(peer), *begun, *self.ready(peer), *opened]
        return [PeerUp(peer), *begun, *self.ready(peer), *self._paths.reopen(peer, now=now)]

    def connected(self, peer: str, address: str, *, took_over: bool, connection: str = "") -> list[Effect]:
        """`peer` below came by a new connection from `address`. `took_over`: its former one had not gone by then.

        All that was received by the former one has been handed in before. `connection` is its name, if it has one yet.
        """
        losses = self._connections.renewed(peer, connection)
        return losses + self._intake.connected(peer, address, took_over=took_over)

    def is_late(self, peer: str, *, now: float) -> bool:
        """Whether what was sent to the neighbour `peer` lately may lie there unread: of the upstream that is known."""
        return peer == self.routes.upstream and self._connections.is_late(now=now)

    def is_reached(self) -> bool:
        """Whether the upstream is there, and is who it was said to be. The root has none to reach."""
        upstream = self.routes.upstream
        return upstream is None or (self.routes.up and self.upstream_is in ("", upstream))

    def next_connection(self) -> str:
        """The name for the next connection to the upstream: none, where it would not tell it from the others."""
        return self._connections.next_name()

    def sent(self, effect: Transmit) -> None:
        """The socket has taken the message of `effect`: it is gone if its connection breaks."""
        self._connections.sent(effect)

    def lose(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` went away, with all that lay behind it."""
        del now
        if not self.routes.lose(peer):
            return []
        self._reachability.interest.lose(peer)
        if peer == self.routes.upstream:
            self._connections.upstream_is_down()
        dropped = self.router.lose(peer)
        self._reliable.close_what_has_no_path()
        return [PeerDown(peer), *dropped]

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self._paths.learn(name, peer, now=now)

    def full(self, peer: str, refused: Iterable[Transmit]) -> None:
        """See `Router.full`."""
        self.router.full(peer, refused)

    def ready(self, peer: str) -> list[Effect]:
        """See `Router.ready`."""
        return self.router.ready(peer)

    def flush(self, *, now: float) -> list[Effect]:
        """Have the upstream say, by sending a probe back, that it has read what was sent to it: see `is_flushed`."""
        return self._connections.flush(now=now)

    def is_flushed(self) -> bool:
        """Whether the upstream has read all that was sent before `flush`, or went away, and what it has not is lost."""
        return self._connections.is_flushed()

    # -- what time does ------------------------------------------------------------------------------------------

    def handle_timer(self, *, now: float) -> list[Effect]:
        """Whatever is due by now."""
        effects = self._reliable.handle_timer(now=now, is_stuck=lambda target: self._is_stuck(target, now))
        for at, act in (
            (self._paths.retry_at, self._paths.retry),
            (self._connections.probe_at, self._connections.probe),
            (self._clock.next_timer(), self._clock.handle_timer),
        ):
            if at is not None and now >= at:
                effects += act(now)
        return effects

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, at the latest; None while nothing is due, ever."""
        due = self.outbox.next_timer()  # called after every event: a generator would take three times as long
        for timer in (self._connections.probe_at, self._clock.next_timer(), self._paths.retry_at):
            if timer is not None and (due is None or timer < due):
                due = timer
        return due

    def clock_offset(self, *, now: float) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, as far as that is known. The root's is the clock."""
        return self._clock.offset(now=now)

    # -- sending -------------------------------------------------------------------------------------------------

    def _is_far(self, to: str) -> bool:
        return not self.forwards and to != self.routes.upstream

    def _can_confirm(self, to: str) -> bool:
        return not self.forwards or self.router.is_known(to)

    def _packs(self, message: Message) -> bool:
        return bool(message.blosc) or message.to.removeprefix("_") not in self.ours

    # -- receiving -----------------------------------------------------------------------------------------------

    def _forward(self, packet: Packet, peer: str, now: float) -> list[Effect]:
        if not self.forwards and peer == self.routes.upstream:
            return [Dropped("not for this node", peer, packet.recipient)]
        wrong = self.routes.wrong_turn((*packet.hops, packet.recipient))
        told = self._reachability.wrong_turn(packet, wrong, now=now) if wrong else []
        if wrong and told:
            return [*told, Dropped(wrong, peer, packet.recipient)]
        self._reachability.interest.note(packet.recipient, peer)
        effects = self.router.pass_on(packet, from_above=peer == self.routes.upstream, peer=peer)
        return effects + self._reachability.passed_on(packet, peer, effects, now=now)

    def _read(self, packet: Packet, peer: str, now: float) -> list[Effect]:
        if packet.payload == CLOSING:
            return [Dropped("CLOSING, which only this station's owner may say", peer, self.id)]
        try:
            message = read_message(packet.payload)
        except ValueError as error:  # a BadMessage, or half a character, which JSON can spell and UTF-8 cannot
            return [Dropped(str(error).encode(errors="replace").decode(), peer, self.id)]
        if self.forwards and isinstance(message.to, str) and message.to not in (self.id, "_" + self.id):
            # A repeat of Autopilot's own station: its frames name its parent alone, whomever it is for.
            if self.ours.isdisjoint({message.to, message.to.removeprefix("_")}):
                return [Dropped(AGAIN, peer, message.to)]
            return self._forward(Packet((), message.to, packet.payload), peer, now)
        return self._intake.take(message, packet, peer, now)

    # -- timers --------------------------------------------------------------------------------------------------

    def _is_stuck(self, target: str, now: float) -> bool:
        """Whether what goes toward `target` waits here, or may lie unread at the next neighbour: it is under way."""
        if self.router.is_stuck(target):
            return True
        is_by_upstream = self.router.next_hop(target) == self.routes.upstream
        return is_by_upstream and self._connections.is_known_late(now=now)

    # -- probes --------------------------------------------------------------------------------------------------

    def _read_probe(self, peer: str, frames: Sequence[bytes], now: float) -> list[Effect]:
        """From below it is answered; from above it is the answer."""
        if peer == self.routes.upstream:
            return self._connections.read_answer(frames, now=now)
        self._reachability.interest.tell_anew(peer)
        return self._connections.read_probe(peer, frames)
