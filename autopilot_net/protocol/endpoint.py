"""Endpoint: what is confirmed to whom, who is told of what, and what to do when a neighbour comes and goes.

Frames and time come in, effects come out. It composes the parts beside it and adds what none of them may know of the
others: a route decides whether a channel is open, a packet for me becomes a delivery, a handled ticket a CONFIRM.
`router.py` decides where a packet goes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from msgspec import Struct

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.accounts import Account, Losses
from autopilot_net.protocol.clock import Clock, ClockOffset
from autopilot_net.protocol.control import Control
from autopilot_net.protocol.duplicate_ids import DuplicateIdWatch
from autopilot_net.protocol.durable_records import Saved
from autopilot_net.protocol.effects import (
    Deliver,
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    Gap,
    PeerDown,
    PeerUp,
    Reconnect,
    Silent,
    Traffic,
    Transmit,
)
from autopilot_net.protocol.frames import Packet, read_frames
from autopilot_net.protocol.inbox import via_of
from autopilot_net.protocol.liveness import Liveness, Move
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.outbox import Outbox, Window
from autopilot_net.protocol.probes import PROBE, ProbeState, read_state
from autopilot_net.protocol.reachability import Reachability
from autopilot_net.protocol.reasons import refusal
from autopilot_net.protocol.reliable import Reliable
from autopilot_net.protocol.router import Router
from autopilot_net.protocol.streams import GapWatch

__all__ = ["Endpoint", "Settings"]

CLOSING = b"CLOSING"  # stops a station of Autopilot's own; ours is stopped by whoever owns its process
AGAIN = "a repeat that one of Autopilot's own would handle again"
TAKEN = "from below, under the id of a station above"
LOST = "lost with its connection"
UNKNOWN_LOSS = "it is not known how much was read of a connection whose other end has died; at most"
DEEP = 64  # stations above one another, at most
ACCOUNTS = 4_096  # neighbours of which it is known what they read


class Settings(Struct, frozen=True, kw_only=True):
    """The knobs of one endpoint. Times are seconds, sizes bytes."""

    repeat_interval: float = 5.0
    liveness_s: float = 1.0
    window: Window = Window()
    backlog_bytes: int = 64 << 20
    clock_s: float | None = 16.0  # how often it asks for the time in the long run; None: never


class Endpoint:
    """One participant: a station (`forwards=True`), a node, or a stream.

    `id` is its identity on the wire, `upstream` that of the neighbour it connects to, None for the root.
    `incarnation` is unlike that of any former life under this id. `epoch` is the wall-clock time, in seconds, at
    `now == 0`. `now` never runs backwards. No method blocks, and a call too many is harmless.

    `life` is unlike that of any former life, also where a durable one keeps its incarnation; the incarnation, if it is
    not given. With `saved` it is durable: it begins with what a former life has left there, which had the same
    incarnation, and asks for what it promises and what it has handled to be kept (`Store`, `Forget`).
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
        self._gaps = GapWatch()
        self._control = Control(self.router, incarnation=incarnation, epoch=epoch)
        self._reliable = Reliable(self.router, self._control, self.outbox, saved=saved)
        self._reachability = Reachability(self.router, self._control)
        self._special = {"GONE": self._read_gone, "BACK": self._read_back, "CLOCK": self._read_clock}
        self._duplicate_ids = DuplicateIdWatch()
        self._clock = Clock(interval=self.settings.clock_s or 0.0)
        self._liveness = Liveness(self.settings.liveness_s, seed=f"{id} {incarnation}")
        self._accounts: dict[str, Account] = {}
        self._connections = 0  # to the upstream, so far
        self._has_asked = False  # whether an upstream of unknown kind was told who we are, by the present connection
        self.is_upstream_new = False  # whether the upstream has shown that it tells connections of one id apart
        self.upstream_is = ""  # the id of whoever answers as the upstream, as far as it has said
        self._retry_at: float | None = None  # when to try again what the upstream has said that it cannot reach

    @property
    def epoch(self) -> float:
        """The wall-clock time at `now == 0`. Whoever runs this sets it anew when the wall clock is set."""
        return self._control.epoch

    @epoch.setter
    def epoch(self, epoch: float) -> None:
        self._control.epoch = epoch

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
        if peer == self.routes.upstream and self._liveness.hear():
            self.router.is_upstream_silent = False
            effects += [Silent(peer, 0.0), *self._reachability.back(peer, now=now, kept=True)]
        if frames and not frames[-1]:
            return effects + self._read_probe(peer, frames, now)
        self._account(peer).received()
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
            self._liveness.meet(now=now)
            self._clock.meet(now=now)
            begun = self._begin_connection(peer)
        if is_first:  # what was sent so far waits in one queue
            return [PeerUp(peer), *begun, *self.ready(peer), *self._reliable.open_closed(now=now)]
        return [PeerUp(peer), *begun, *self.ready(peer), *self._reopen(peer, now)]

    def connected(self, peer: str, address: str, *, took_over: bool, connection: str = "") -> list[Effect]:
        """`peer` below came by a new connection from `address`. `took_over`: its former one had not gone by then.

        All that was received by the former one has been handed in before. `connection` is its name, if it has one yet.
        """
        losses = self._tell_losses(peer, self._account(peer).renew(connection))
        twins = self._duplicate_ids.connected(peer, address, took_over=took_over)
        return [*losses, DuplicateId(peer, twins)] if twins else losses

    def is_late(self, peer: str, *, now: float) -> bool:
        """Whether what was sent to the neighbour `peer` lately may lie there unread: of the upstream that is known."""
        return peer == self.routes.upstream and self._liveness.is_behind(now=now)

    def is_reached(self) -> bool:
        """Whether the upstream is there, and is who it was said to be. The root has none to reach."""
        upstream = self.routes.upstream
        return upstream is None or (self.routes.up and self.upstream_is in ("", upstream))

    def next_connection(self) -> str:
        """The name for the next connection to the upstream: none, where it would not tell it from the others."""
        return f"{self.life}.{self._connections + 1}" if self.is_upstream_new else ""

    def sent(self, effect: Transmit) -> None:
        """The socket has taken the message of `effect`: it is gone if its connection breaks."""
        if effect.frames[-1]:
            self._account(effect.peer).sent(counts=effect.kind is Traffic.DATA)

    def lose(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` went away, with all that lay behind it."""
        del now
        if not self.routes.lose(peer):
            return []
        self._reachability.interest.lose(peer)
        if peer == self.routes.upstream:
            self._liveness.lose()
            self.router.is_upstream_silent = False
        dropped = self.router.lose(peer)
        self._reliable.close_what_has_no_path()
        return [PeerDown(peer), *dropped]

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self._reopen(name, now) if self.routes.learn(name, peer) else []

    def full(self, peer: str, refused: Iterable[Transmit]) -> None:
        """See `Router.full`."""
        self.router.full(peer, refused)

    def ready(self, peer: str) -> list[Effect]:
        """See `Router.ready`."""
        return self.router.ready(peer)

    def flush(self, *, now: float) -> list[Effect]:
        """Have the upstream say, by sending a probe back, that it has read what was sent to it: see `is_flushed`."""
        upstream = self.routes.upstream
        if upstream is None or not self.routes.up:
            return []
        self._liveness.flush()
        return [Transmit(upstream, self._probe_frames(now=now))]

    def is_flushed(self) -> bool:
        """Whether the upstream has read all that was sent before `flush`, or went away, and what it has not is lost."""
        return self._liveness.is_flushed()

    # -- what time does ------------------------------------------------------------------------------------------

    def handle_timer(self, *, now: float) -> list[Effect]:
        """Whatever is due by now."""
        effects = self._reliable.handle_timer(now=now, is_stuck=lambda target: self._is_stuck(target, now))
        if self._retry_at is not None and now >= self._retry_at:
            effects += self._try_beyond(now)
        if self._liveness.probe_at is not None and now >= self._liveness.probe_at:
            effects += self._probe(now)
        ask_at = self._ask_at()
        if ask_at is not None and now >= ask_at:
            effects += self._ask_clock(now)
        return effects

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, at the latest; None while nothing is due, ever."""
        due = self.outbox.next_timer()  # asked for after all that happens: a generator would cost three times as much
        for timer in (self._liveness.probe_at, self._ask_at(), self._retry_at):
            if timer is not None and (due is None or timer < due):
                due = timer
        return due

    def clock_offset(self, *, now: float) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, as far as that is known. The root's is the clock."""
        if self.routes.upstream is None:
            return ClockOffset(0.0, 0.0)
        return self._clock.offset(epoch=self.epoch, now=now)

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
            message = Message(packet.payload)
            if not message.validate():
                raise BadMessage(f"no message without id, to, sender and key: {packet.payload[:60]!r}")
            told_on = (message.id, str(message.to), message.sender, message.key, str(message.get("timestamp")))
            "".join(told_on).encode()
        except ValueError as error:  # a BadMessage, or half a character, which JSON can spell and UTF-8 cannot
            return [Dropped(str(error).encode(errors="replace").decode(), peer, self.id)]
        if self.forwards and isinstance(message.to, str) and message.to not in (self.id, "_" + self.id):
            # A repeat of Autopilot's own station: its frames name its parent alone, whomever it is for.
            if self.ours.isdisjoint({message.to, message.to.removeprefix("_")}):
                return [Dropped(AGAIN, peer, message.to)]
            return self._forward(Packet((), message.to, packet.payload), peer, now)
        return self._take(message, packet, peer, now)

    def _take(self, message: Message, packet: Packet, peer: str, now: float) -> list[Effect]:
        """A message for this endpoint: by its key, ours to act on, or for a handler."""
        message.came_from = peer
        if "inc" in message:
            self.router.is_ours(message.sender)
        effects = self._place(message, peer, now) + self._hear_life(message, peer)
        if message.key == "CONFIRM" and message.to == "_" + self.id and peer != message.to and "asks" not in message:
            passed = Packet((), message.to, packet.payload)
            return effects + self.router.pass_on(passed, from_above=True, peer=peer, kind=Traffic.CONTROL)
        if message.key == "CONFIRM":
            return effects + self._reliable.read_confirm(message, now=now)
        special = self._special.get(message.key)
        if special is not None and "inc" in message and "NOREPEAT" in message.flags:  # else it is a lab's own
            return effects + special(message, peer, now)
        # A `Message` that a program of Autopilot's makes by hand says `repeat`. It is sent under one id as often as the
        # program likes, and no node of theirs looks for a confirmation of it.
        if "NOREPEAT" in message.flags or ("repeat" in message and "seq" not in message):
            return effects + self._read_unconfirmed(message, peer, len(packet.payload))
        return effects + self._reliable.arrive(message, peer, now=now)

    def _place(self, message: Message, peer: str, now: float) -> list[Effect]:
        """Note where a sender is, and the stations on its way here, of which one of Autopilot's own tells nobody.

        A sender that was away and is heard from above has moved, and is found there.
        """
        sender = message.sender
        if peer == self.routes.upstream:
            return self._reopen(sender, now) if self.routes.found_above(sender) else []
        between = itertools.takewhile(lambda name: name != self.id, via_of(message))
        return [e for name in (*between, sender) if name != peer for e in self.learn(name, peer, now=now)]

    def _hear_life(self, message: Message, peer: str) -> list[Effect]:
        """Note which incarnation of a neighbour below it is that speaks for itself."""
        life = message.get("inc")
        if message.sender != peer or peer == self.routes.upstream or not isinstance(life, str):
            return []
        twins = self._duplicate_ids.hear(peer, life)
        return [DuplicateId(peer, twins)] if twins else []

    def _read_unconfirmed(self, message: Message, peer: str, size: int) -> list[Effect]:
        first, count = as_int(message.get("first")), as_int(message.get("items"))
        if first is None or count is None:
            return [Deliver(0, peer, message, size)]
        missing = self._gaps.arrive((message.sender, str(message.get("inc"))), first, count)
        if missing < 0:
            return [Dropped("a stream's batch that came again, or too late", peer, self.id)]
        gap = [Gap(message.sender, first - missing, missing)] if missing else []
        return [*gap, Deliver(0, peer, message, size)]

    def _read_gone(self, message: Message, peer: str, now: float) -> list[Effect]:
        """From above: there is no way by it for now. From below: it is elsewhere, and the route is forgotten."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self.routes.upstream:
            self.routes.unreachable_above.add(name)
            # Not before we have probed: till then it would not tell us again, and a try would cost patience.
            wait = max(self.settings.repeat_interval, 2 * self.settings.liveness_s)
            self._retry_at = self._retry_at or now + wait
            self._reliable.close_what_has_no_path()
            is_by_it = self.router.next_hop(name) == peer
            return self._reachability.no_way(name, self._reachability.interest.of(name), now=now) if is_by_it else []
        if not self.routes.forget(name, peer):
            return []
        self._reliable.close_what_has_no_path()
        return self._reachability.gone(name, now=now)

    def _read_back(self, message: Message, peer: str, now: float) -> list[Effect]:
        """There is a way again, by `peer`: what went astray meanwhile goes out again, ours and that of who asks us."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self.routes.upstream:
            self.routes.found_above(name)
        else:
            self.routes.learn(name, peer)
        if self.router.next_hop(name) != peer:
            return []
        if message.get("kept") is True:  # it was late, and nothing is lost
            return [*self._reliable.resume(name, now=now), *self._reachability.back(name, now=now, kept=True)]
        return self._reopen(name, now)

    def _read_clock(self, message: Message, peer: str, now: float) -> list[Effect]:
        """A neighbour below asks for the time, or the upstream has told it. Who does not know yet says nothing."""
        if peer == self.routes.upstream:
            self._clock.answer(message.get("re"), message.value, now=now)
            return []
        known = self.clock_offset(now=now)
        if known is None or message.sender != peer:
            return []
        told = [self.epoch + now, known.offset, known.uncertainty]
        return self._control.say(peer, "CLOCK", told, now=now, re=message.id)

    # -- paths ---------------------------------------------------------------------------------------------------

    def _reopen(self, name: str, now: float) -> list[Effect]:
        """There is a new way to `name`: for what is ours, and for what others send by way of us."""
        return [*self._reliable.reopen(name, now=now), *self._reachability.back(name, now=now)]

    def _try_beyond(self, now: float) -> list[Effect]:
        """That there is a way again may have been said and lost: so it is tried, now and then."""
        names, self._retry_at = sorted(self.routes.unreachable_above), None
        self.routes.unreachable_above.clear()
        return [effect for name in names for effect in self._reopen(name, now)]

    # -- timers --------------------------------------------------------------------------------------------------

    def _probe(self, now: float) -> list[Effect]:
        upstream = self.routes.upstream or ""
        effects: list[Effect] = []
        is_full = upstream in self.router.waiting_peers()
        for move in self._liveness.move(now=now, is_ours=upstream in self.ours, is_full=is_full):
            if move is Move.TELL:
                self.router.is_upstream_silent = True
                effects.append(Silent(upstream, round(self._liveness.silence(now=now), 1)))
            elif move is Move.PROBE:
                probe = Transmit(upstream, self._probe_frames(now=now), Traffic.CONTROL)
                effects += self.router.transmit(probe, source=self.id)
            else:
                effects.append(Reconnect(upstream))
        return effects

    def _is_stuck(self, target: str, now: float) -> bool:
        """Whether what goes toward `target` waits here, or may lie unread at the next neighbour: it is under way."""
        if self.router.is_stuck(target):
            return True
        answers = self.is_upstream_new or not self._liveness.is_new
        return answers and self._liveness.is_behind(now=now) and self.router.next_hop(target) == self.routes.upstream

    def _ask_at(self) -> float | None:
        """When to ask the upstream for the time: it is there, and can tell it. Autopilot's own cannot."""
        can = self.settings.clock_s is not None and self.routes.up and self.routes.upstream in self.ours
        return self._clock.ask_at if can else None

    def _ask_clock(self, now: float) -> list[Effect]:
        upstream = self.routes.upstream or ""
        question = self._control.message(upstream, "CLOCK", None, now=now)
        question["id"] = f"{self.id}_{self.incarnation}_{now!r}"  # the answer to a former life's may come yet
        self._clock.ask(question.id, now=now)
        return self.router.send(upstream, (), question.serialize(), Traffic.CONTROL)

    # -- probes, and what they tell of connections -----------------------------------------------------------------

    def _read_probe(self, peer: str, frames: Sequence[bytes], now: float) -> list[Effect]:
        """From below it is answered; from above it is the answer. A bare one comes back as it was, whoever sent it."""
        state = read_state(frames)
        if peer == self.routes.upstream:
            return self._read_answer(peer, state, now)
        self.router.is_ours(peer)
        self._reachability.interest.tell_anew(peer)
        if state is None:
            return self.router.transmit(Transmit(peer, tuple(frames), Traffic.CONTROL), source=self.id)
        account = self._account(peer)
        account.connection = state.connection[:64]
        answer = Transmit(peer, self._state(peer, re=state.number).frames(), Traffic.CONTROL)
        return [*self._tell_losses(peer, account.hear(state)), *self.router.transmit(answer, source=self.id)]

    def _read_answer(self, upstream: str, state: ProbeState | None, now: float) -> list[Effect]:
        if state is None or state.life == self.life:  # bare, or our own words, as Autopilot's own send them back
            if state is None or state.number:
                self._liveness.echo(state.number if state else 0, now=now)
            if self._has_asked:
                return []
            self._has_asked = True
            return self._introduce(upstream)
        if state.re:
            self._liveness.echo(state.re, now=now)
        self.is_upstream_new, self.upstream_is = True, state.id
        self.routes.above = tuple(dict.fromkeys((upstream, *state.above[:DEEP])))
        self.router.is_ours(upstream)
        return self._tell_losses(upstream, self._account(upstream).hear(state))

    def _begin_connection(self, upstream: str) -> list[Effect]:
        """The upstream was met: by another connection, which has a name of its own."""
        self._connections += 1
        self._has_asked = self.is_upstream_new
        name = f"{self.life}.{self._connections}"
        losses = self._account(upstream).renew(name, is_told_first=self.is_upstream_new)
        return self._tell_losses(upstream, losses) + (self._introduce(upstream) if self.is_upstream_new else [])

    def _introduce(self, upstream: str) -> list[Effect]:
        """Say who we are, and how this connection is called. One of ours answers likewise."""
        return [Transmit(upstream, self._state(upstream).frames(), Traffic.CONTROL)]

    def _probe_frames(self, *, now: float) -> tuple[bytes, ...]:
        number = self._liveness.next_number(now=now)
        upstream = self.routes.upstream or ""
        return self._state(upstream, number=number).frames() if self.is_upstream_new else PROBE

    def _state(self, peer: str, **numbers: int) -> ProbeState:
        account = self._account(peer)
        above = () if peer == self.routes.upstream else self.routes.above
        closed = account.read_of()
        return ProbeState(
            self.id, self.life, connection=account.connection, read=account.read, closed=closed, above=above, **numbers
        )

    def _account(self, peer: str) -> Account:
        account = self._accounts.get(peer)
        if account is None:
            account = self._accounts[peer] = Account()
            if len(self._accounts) > ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
        return account

    @staticmethod
    def _tell_losses(peer: str, losses: Losses) -> list[Effect]:
        effects: list[Effect] = []
        if losses.lost:
            effects.append(Dropped(LOST, peer, "", losses.lost))
        if losses.unknown:
            effects.append(Dropped(UNKNOWN_LOSS, peer, "", losses.unknown, known=False))
        return effects
