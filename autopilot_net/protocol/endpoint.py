"""Endpoint: where a frame goes, what is confirmed to whom, what to do when a neighbour comes and goes.

Frames and time come in, effects come out. It composes the parts beside it and adds what none of them may know of the
others: a route decides whether a channel is open, a packet for me becomes a delivery, a handled ticket a CONFIRM.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
from autopilot_net.protocol.askers import Askers
from autopilot_net.protocol.backlog import Backlog
from autopilot_net.protocol.clock import Clock, ClockOffset
from autopilot_net.protocol.effects import (
    Confirmed,
    Deliver,
    Dropped,
    Effect,
    Expired,
    Forget,
    Gap,
    Lost,
    Met,
    Reconnect,
    Store,
    Transmit,
    Twins,
)
from autopilot_net.protocol.frames import PROBE, Packet, pack_to, pack_up, read_frames
from autopilot_net.protocol.inbox import Inbox, Receipt, Verdict, receipt_of
from autopilot_net.protocol.outbox import Entry, Outbox, Window
from autopilot_net.protocol.records import Record, Saved
from autopilot_net.protocol.relays import Relays
from autopilot_net.protocol.routes import Routes
from autopilot_net.protocol.streams import GapWatch
from autopilot_net.protocol.twins import TwinWatch

__all__ = ["Endpoint", "Settings"]

CLOSING = b"CLOSING"  # stops a station of Autopilot's own; ours is stopped by whoever owns its process
UNKNOWN = "nobody of that id is known here"
CAME_BACK = "the neighbour on its way does not know the rest of it, and sent it back for"
READY_AT_ONCE = 1_000  # messages tried on a pipe that takes again: about what it holds
AGAIN = "a repeat that one of Autopilot's own would handle again"
UNANSWERED = 3  # probes, after which a connection is taken for deaf


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

    With `saved` it is durable: it begins with what a former life has left there, which had the same incarnation, and
    asks for what it promises and what it has handled to be kept (`Store`, `Forget`).
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
    ) -> None:
        self.id = id
        self.forwards = forwards
        self.incarnation = incarnation
        self.settings = settings or Settings()
        self.routes = Routes(upstream)
        self.ours: set[str] = set()  # ids that have shown that they speak as we do
        self.theirs: set[str] = set()  # neighbours below that have sent something, and never a probe, as ours do first
        self.outbox = Outbox(
            incarnation=incarnation, repeat_interval=self.settings.repeat_interval, window=self.settings.window
        )
        self._inbox = Inbox()
        self._relays = Relays()
        self._keeps = saved is not None
        self._gaps = GapWatch()
        self._askers = Askers()
        self._notices = {"GONE": self._read_gone, "BACK": self._read_back, "CLOCK": self._read_clock}
        self._backlogs: dict[str, Backlog] = {}
        self._twins = TwinWatch()
        self._clock = Clock(interval=self.settings.clock_s or 0.0)
        self.epoch = epoch  # whoever runs it sets it anew when the wall clock is set
        self._confirms = 0
        self._probe_at: float | None = None
        self._answers = False  # whether the upstream has sent a probe back
        self._unanswered = 0
        self._echoes_due = 0  # probes on their way to the upstream and back, the one that zmq sends at first among them
        self._flush_left = 0  # how many of these must come back until all that was sent before is known to be read
        if saved is not None:
            self._restore(saved)

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
        hops = self._from_here(hops)
        if hops or self._is_far(message.to):
            message["via"] = self._way_back(hops, message.to)
        if repeat is None:
            repeat = "NOREPEAT" not in message.flags and self._can_confirm(message.to)
        if not repeat:
            message.flags["NOREPEAT"] = True
            return self._send_raw(message.to, hops, message.serialize(pack=self._packs(message)))
        message.flags.pop("NOREPEAT", None)
        if message.id in self.outbox:
            raise BadMessage(f"message {message.id} awaits its confirmation; what is sent anew needs an id of its own")
        entry = Entry(message, hops, pack=self._packs(message))
        is_open = self._is_open(entry.target, message.to)
        until = None if expires_after is None else now + expires_after
        out = self.outbox.put(entry, now=now, is_open=is_open, expires_at=until)
        record = entry.record(None if until is None else until + self.epoch)
        return [*self._store(record), *self._transmit_all(out, now)]

    def handled(
        self, ticket: int, *, failed: bool = False, relays: Iterable[str] = (), now: float
    ) -> list[Effect]:
        """The handler of a `Deliver` returned or raised; `failed`: something that it passed on has expired.

        `relays` are the messages of this endpoint's that it passed on and that are under way: the sender is told once
        they are settled.
        """
        waits = [message_id for message_id in relays if message_id in self.outbox]
        if ticket and waits:
            self._relays.wait(ticket, waits, failed=failed)
            return self._store(self._inbox.relayed(ticket, waits, failed=failed))
        verdict = Verdict.FAILED if failed else Verdict.HANDLED
        outcome = self._inbox.handled(ticket, verdict)
        return self._store(outcome.record) + self._tell(outcome.receipt, verdict, None, now) if outcome else []

    # -- what the wire does --------------------------------------------------------------------------------------

    def receive(self, peer: str, frames: Sequence[bytes], *, now: float) -> list[Effect]:
        """A message came in from the neighbour `peer`; `frames` are without the identity that a ROUTER prepends."""
        effects = [] if self.routes.has(peer) else self.meet(peer, now=now)
        if peer == self.routes.upstream:
            self._unanswered = 0
        if frames and not frames[-1]:
            return effects + self._answer_probe(peer, frames)
        if peer not in self.ours and peer != self.routes.upstream:
            self.theirs.add(peer)
        try:
            packet = read_frames(frames, me=self.id)
        except ValueError as error:
            return [*effects, Dropped(f"frames that cannot be read: {error}", peer, "")]
        if self._is_mine(packet, peer):
            return effects + self._read(packet, peer, now)
        return effects + self._forward(packet, peer, now)

    def meet(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` is there, or there again."""
        if not self.routes.meet(peer):
            return []
        if peer == self.routes.upstream:
            self._unanswered = 0
            self._echoes_due, self._flush_left = 1, 0
            self._probe_at = now + self.settings.liveness_s
            self._clock.meet(now=now)
        return [Met(peer), *self.ready(peer), *self._reopen(peer, now)]

    def connected(self, peer: str, address: str, *, took_over: bool) -> list[Effect]:
        """`peer` below came by a new connection from `address`. `took_over`: its former one had not gone by then."""
        twins = self._twins.connected(peer, address, took_over=took_over)
        return [Twins(peer, twins)] if twins else []

    def lose(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` went away, with all that lay behind it."""
        del now
        if not self.routes.lose(peer):
            return []
        self.ours.discard(peer)  # what comes back under this id may be another program
        self.theirs.discard(peer)
        self._askers.lose(peer)
        if peer == self.routes.upstream:
            self._probe_at = None
            self._answers = False
            self._echoes_due = self._flush_left = 0
        waiting = self._backlogs.pop(peer, None)
        gone = len(waiting) if waiting else 0
        self._close_what_has_no_path()
        return [Lost(peer), Dropped("its neighbour went away", peer, "", gone)] if gone else [Lost(peer)]

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self._reopen(name, now) if self.routes.learn(name, peer) else []

    def full(self, peer: str, refused: Iterable[tuple[bytes, ...]]) -> None:
        """The pipe to `peer` took none of `refused`; until `ready`, what goes there waits within its bound."""
        self._backlogs.setdefault(peer, Backlog(self.settings.backlog_bytes)).put_back(refused)

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

    def flush(self) -> list[Effect]:
        """Have the upstream say, by sending a probe back, that it has read what was sent to it: see `is_flushed`."""
        upstream = self.routes.upstream
        if upstream is None or not self.routes.up:
            return []
        self._echoes_due += 1
        self._flush_left = self._echoes_due
        return [Transmit(upstream, PROBE)]

    def is_flushed(self) -> bool:
        """Whether the upstream has read all that was sent before `flush`, or went away, and what it has not is lost."""
        return not self._flush_left

    def holds_back(self) -> bool:
        """Whether something waits for a neighbour: one whose pipe is full, or one that is yet to be met."""
        return bool(self._backlogs)

    # -- what time does ------------------------------------------------------------------------------------------

    def handle_timer(self, *, now: float) -> list[Effect]:
        """Whatever is due by now."""
        again, expired = self.outbox.handle_timer(now=now, is_stuck=self._is_stuck)
        effects = [*self._expire(expired, now), *self._transmit_all(again, now)]
        if self._probe_at is not None and now >= self._probe_at:
            effects += self._probe(now)
        ask_at = self._ask_at()
        if ask_at is not None and now >= ask_at:
            effects += self._ask_clock(now)
        return effects

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, at the latest; None while nothing is due, ever."""
        due = [t for t in (self.outbox.next_timer(), self._probe_at, self._ask_at()) if t is not None]
        return min(due, default=None)

    def clock_offset(self, *, now: float) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, as far as that is known. The root's is the clock."""
        if self.routes.upstream is None:
            return ClockOffset(0.0, 0.0)
        return self._clock.offset(epoch=self.epoch, now=now)

    # -- sending -------------------------------------------------------------------------------------------------

    def _send_raw(self, to: str, hops: tuple[str, ...], raw: bytes) -> list[Effect]:
        return self._pass_on(Packet(hops, to, raw), from_above=False, peer=self.id)

    def _transmit_all(self, entries: Iterable[Entry], now: float) -> list[Effect]:
        """Send what is due. What may be for Autopilot's own, which handles each repeat again, is not repeated.

        In its place goes one question, which theirs take for a confirmation of nothing. Ours answer, so that they are
        known to be ours, and get it all.
        """
        effects: list[Effect] = []
        asked: set[str] = set()
        for entry in entries:
            to = str(entry.message.to)
            if not entry.again or self._is_known(to):
                effects += self._send_raw(to, entry.hops, entry.wire())
            elif to not in asked:
                asked.add(to)
                via = {"via": entry.message.via} if "via" in entry.message else {}
                question = self._own_message(to, "CONFIRM", entry.message.id, now=now, asks=True, **via)
                effects += self._send_raw(to, entry.hops, question.serialize())
        return effects

    def _pass_on(self, packet: Packet, *, from_above: bool, peer: str) -> list[Effect]:
        hop = self._next_hop(packet.target, from_above=from_above)
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
            backlog = self._backlogs[hop] = Backlog(self.settings.backlog_bytes)
        return [] if backlog.put(frames) else [Dropped("its neighbour takes no more", hop, packet.recipient)]

    def _is_far(self, to: str) -> bool:
        return not self.forwards and to != self.routes.upstream

    def _from_here(self, hops: Sequence[str]) -> tuple[str, ...]:
        """`hops` without this endpoint, where the way begins with it."""
        return tuple(hops[1:] if hops and hops[0] == self.id else hops)

    def _way_back(self, hops: Sequence[str], to: str) -> list[str]:
        """The stations a confirmation passes, in the order in which the message passed them."""
        way, upstream = list(hops[:-1]), self.routes.upstream
        goes_up = not self.forwards and self._next_hop(hops[0] if hops else to) == upstream
        return [upstream, *way] if goes_up and upstream and way[:1] != [upstream] else way

    def _can_confirm(self, to: str) -> bool:
        return not self.forwards or self._is_known(to)

    def _is_known(self, to: str) -> bool:
        """Whether `to` is one of ours, or so near that one of Autopilot's own can confirm."""
        names = {to, to.removeprefix("_")}
        near = to == "_" + self.id or not names.isdisjoint(self.routes.met)
        return near or not names.isdisjoint(self.ours)

    def _packs(self, message: Message) -> bool:
        return bool(message.blosc) or message.to.removeprefix("_") not in self.ours

    # -- receiving -----------------------------------------------------------------------------------------------

    def _is_mine(self, packet: Packet, peer: str) -> bool:
        program = "_" + self.id
        mine = (self.id,) if peer == program else (self.id, program)
        return packet.recipient in mine and all(hop in mine for hop in packet.hops)

    def _forward(self, packet: Packet, peer: str, now: float) -> list[Effect]:
        if not self.forwards and peer == self.routes.upstream:
            return [Dropped("not for this node", peer, packet.recipient)]
        from_above = peer == self.routes.upstream
        self._askers.note(packet.recipient, peer)
        effects = self._pass_on(packet, from_above=from_above, peer=peer)
        if from_above:
            if any(isinstance(e, Dropped) and e.reason == UNKNOWN for e in effects):
                effects += self._say_gone(packet.target, now)
        elif self._is_cut_off(packet):
            effects += self._say_no_way(packet.recipient, [peer], now)
        return effects

    def _say_gone(self, name: str, now: float) -> list[Effect]:
        """Tell whoever is above that `name` is not below, as long as it is not: they all believe the same."""
        parent = self.routes.upstream
        if parent is None or self.routes.next_hop(name, from_above=True) is not None:
            return []
        return self._notice(parent, "GONE", name, now)

    def _is_cut_off(self, packet: Packet) -> bool:
        """Whether `packet`, which came from below, would have to go up, and cannot now."""
        routes = self.routes
        if routes.upstream is None or (routes.up and packet.recipient not in routes.beyond):
            return False
        return self._next_hop(packet.target) == routes.upstream

    def _say_no_way(self, name: str, peers: Iterable[str], now: float) -> list[Effect]:
        """Tell those who send up to `name` in vain; each once until it probes, for it may send thousands."""
        untold = [peer for peer in peers if self._askers.tell(name, peer)]
        return [effect for peer in untold for effect in self._notice(peer, "GONE", name, now)]

    def _notice(self, peer: str, key: str, name: str, now: float) -> list[Effect]:
        """Tell the neighbour `peer` whether there is a way to `name`. Autopilot's own would not know what to do."""
        if peer not in self.ours:
            return []
        return self._send_raw(peer, (), self._own_message(peer, key, name, now=now).serialize())

    def _read(self, packet: Packet, peer: str, now: float) -> list[Effect]:
        if packet.payload == CLOSING:
            return [Dropped("CLOSING, which only this station's owner may say", peer, self.id)]
        try:
            message = Message(packet.payload)
            if not message.validate():
                raise BadMessage(f"no message without id, to, sender and key: {packet.payload[:60]!r}")
            "".join((message.id, str(message.to), message.sender, message.key)).encode()  # all are told on, and logged
        except ValueError as error:  # a BadMessage, or half a character, which JSON can spell and UTF-8 cannot
            return [Dropped(str(error), peer, self.id)]
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
            self._is_ours(message.sender)
        effects = self._place(message, peer, now) + self._hear_life(message, peer)
        if message.key == "CONFIRM":
            return effects + self._read_confirm(message, packet, peer, now)
        notice = self._notices.get(message.key)
        if notice is not None:
            return effects + notice(message, peer, now)
        return effects + self._read_for_handler(message, peer, len(packet.payload), now)

    def _place(self, message: Message, peer: str, now: float) -> list[Effect]:
        """Note where a sender is, and the stations on its way here, of which one of Autopilot's own tells nobody.

        A sender that was away and is heard from above has moved, and is found there.
        """
        sender = message.sender
        if peer == self.routes.upstream:
            return self._reopen(sender, now) if self.routes.found_above(sender) else []
        way = receipt_of(message).via if "via" in message else ()
        between = itertools.takewhile(lambda name: name != self.id, way)
        return [e for name in (*between, sender) if name != peer for e in self.learn(name, peer, now=now)]

    def _hear_life(self, message: Message, peer: str) -> list[Effect]:
        """Note which incarnation of a neighbour below it is that speaks for itself."""
        life = message.get("inc")
        if message.sender != peer or peer == self.routes.upstream or not isinstance(life, str):
            return []
        twins = self._twins.hear(peer, life)
        return [Twins(peer, twins)] if twins else []

    def _read_for_handler(self, message: Message, peer: str, size: int, now: float) -> list[Effect]:
        if "NOREPEAT" in message.flags:
            return self._read_unconfirmed(message, peer, size)
        receipt = receipt_of(message)
        arrival = self._inbox.arrive(message, receipt)
        effects: list[Effect] = [Deliver(ticket, peer, item) for ticket, item in arrival.deliver]
        if arrival.dropped:
            effects.append(Dropped(arrival.dropped, peer, self.id))
        if arrival.tell is not None:
            effects += self._tell(receipt, arrival.tell, arrival.missing, now)
        return effects

    def _read_unconfirmed(self, message: Message, peer: str, size: int) -> list[Effect]:
        first, count = message.get("first"), message.get("items")
        if not (isinstance(first, int) and isinstance(count, int)):
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
            self.routes.beyond.add(name)
            self._close_what_has_no_path()
            return self._say_no_way(name, self._askers.of(name), now) if self._next_hop(name) == peer else []
        if not self.routes.forget(name, peer):
            return []
        self._close_what_has_no_path()
        return self._say_gone(name, now)

    def _read_back(self, message: Message, peer: str, now: float) -> list[Effect]:
        """There is a way again, by `peer`: what went astray meanwhile goes out again, ours and that of who asks us."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self.routes.upstream:
            self.routes.found_above(name)
        else:
            self.routes.learn(name, peer)
        return self._reopen(name, now) if self._next_hop(name) == peer else []

    def _read_clock(self, message: Message, peer: str, now: float) -> list[Effect]:
        """A neighbour below asks for the time, or the upstream has told it. Who does not know yet says nothing."""
        if peer == self.routes.upstream:
            self._clock.answer(message.get("re"), message.value, now=now)
            return []
        known = self.clock_offset(now=now)
        if known is None or message.sender != peer:
            return []
        told = [self.epoch + now, known.offset, known.uncertainty]
        answer = self._own_message(peer, "CLOCK", told, now=now)
        answer["re"] = message.id
        effects = self._send_raw(peer, (), answer.serialize())
        return [Transmit(e.peer, e.frames, missed=False) if isinstance(e, Transmit) else e for e in effects]

    def _read_confirm(self, message: Message, packet: Packet, peer: str, now: float) -> list[Effect]:
        if message.to == "_" + self.id and peer != message.to:
            return self._pass_on(Packet((), message.to, packet.payload), from_above=True, peer=peer)
        if "asks" in message or "here" in message:
            return self._read_question(message, now)
        re, about = message.get("re"), str(message.value)
        if message.get("failed"):
            return self._settle(about, message.sender, re, now, failed=True)
        if not message.get("received"):
            return self._settle(about, message.sender, re, now, failed=False)
        self.outbox.received(about, message.sender, re)
        gap = message.get("missing")
        if not (isinstance(gap, list) and len(gap) == 2 and all(isinstance(n, int) for n in gap)):
            return []
        return self._transmit_all(self.outbox.missing(message.sender, re, gap[0], gap[1], now=now), now)

    def _read_question(self, message: Message, now: float) -> list[Effect]:
        """Whether we are ours; or the answer, after which what was not repeated meanwhile is repeated at once."""
        if "asks" in message:
            return self._confirm(receipt_of(message), now, here=True)
        names = {message.sender, "_" + message.sender, message.sender.removeprefix("_")}
        found = [name for name, _ in self.outbox.recipients(is_open=True) if name in names]
        return self._transmit_all((entry for name in found for entry in self.outbox.open(name, now=now)), now)

    def _settle(self, about: str, recipient: str, re: Any, now: float, *, failed: bool) -> list[Effect]:
        settled, more = self.outbox.confirm(about, recipient, re, now=now)
        if not settled:
            return []  # a second confirmation of the same message, which is what repeats bring
        reason = "its recipient could not pass it on" if failed else ""
        return [*self._end(settled, now, recipient, failed=reason), *self._transmit_all(more, now)]

    def _end(self, entry: Entry, now: float, by: str = "", *, failed: str = "") -> list[Effect]:
        """A message of ours is settled, and with it what waited for nothing else."""
        about, to = entry.message.id, by or entry.message.to
        effects: list[Effect] = [Forget(entry.message.to, entry.seq)] if self._keeps else []
        effects.append(Expired(about, to, failed) if failed else Confirmed(about, to))
        for ticket, left, has_failed in self._relays.settle(about, failed=bool(failed)):
            if not left:
                effects += self.handled(ticket, failed=has_failed, now=now)
            elif failed:
                effects += self._store(self._inbox.relayed(ticket, left, failed=True))
        return effects

    def _tell(
        self, receipt: Receipt, verdict: Verdict, missing: tuple[int, int] | None, now: float
    ) -> list[Effect]:
        if receipt.re is None and verdict is not Verdict.HANDLED:
            return []  # Autopilot's own take every CONFIRM to mean that they may stop repeating
        extra: dict[str, Any] = {}
        if receipt.re is not None:
            extra["re"] = list(receipt.re)
        if verdict is not Verdict.HANDLED:
            extra[verdict.value] = True
        if missing is not None:
            extra["missing"] = list(missing)
        return self._confirm(receipt, now, **extra)

    def _confirm(self, receipt: Receipt, now: float, **extra: Any) -> list[Effect]:
        confirm = self._own_message(receipt.sender, "CONFIRM", receipt.id, now=now, **extra)
        back = self._from_here(tuple(reversed(receipt.via)))
        hops = (*back, receipt.sender) if back else ()
        return self._send_raw(receipt.sender, hops, confirm.serialize())

    def _own_message(self, to: str, key: str, value: Any, *, now: float, **extra: Any) -> Message:
        self._confirms += 1
        return Message(
            id=f"{self.id}_c{self._confirms}",
            to=to,
            sender=self.id,
            key=key,
            value=value,
            flags={"NOREPEAT": True, "NOLOG": True},
            timestamp=datetime.fromtimestamp(self.epoch + now, UTC).isoformat(),
            inc=self.incarnation,
            **extra,
        )

    # -- what outlives a restart ---------------------------------------------------------------------------------

    def _restore(self, saved: Saved) -> None:
        self.outbox.restore(saved, epoch=self.epoch)
        for ticket, record in self._inbox.restore(saved):
            waits = [message_id for message_id in record.waits if message_id in self.outbox]
            if waits:
                self._relays.wait(ticket, waits, failed=record.failed)
            else:
                self._inbox.handled(ticket, Verdict.FAILED if record.failed else Verdict.HANDLED)

    def _store(self, record: Record | None) -> list[Effect]:
        return [Store(record)] if self._keeps and record is not None else []

    # -- paths ---------------------------------------------------------------------------------------------------

    def _next_hop(self, name: str, *, from_above: bool = False) -> str | None:
        """The neighbour on the way to `name`. A station's own program is below it, or nowhere."""
        own = self.forwards and name == "_" + self.id
        return self.routes.next_hop(name, from_above=from_above or own)

    def _is_open(self, target: str, recipient: str) -> bool:
        hop = self._next_hop(target)
        if hop is None or not self.routes.has(hop) or self.routes.is_away(target):
            return False
        return hop != self.routes.upstream or recipient not in self.routes.beyond

    def _is_stuck(self, target: str) -> bool:
        return self._next_hop(target) in self._backlogs

    def _reopen(self, name: str, now: float) -> list[Effect]:
        """There is a new way to `name`: what waits for one goes out, and what went another way goes out again."""
        for recipient, target in self.outbox.recipients(is_open=True):
            if name.removeprefix("_") in (target.removeprefix("_"), recipient.removeprefix("_")):
                self.outbox.close(recipient)
        entries = [
            entry
            for recipient, target in self.outbox.recipients(is_open=False)
            if self._is_open(target, recipient)
            for entry in self.outbox.open(recipient, now=now)
        ]
        return [*self._transmit_all(entries, now), *self._tell_askers(name, now)]

    def _tell_askers(self, name: str, now: float) -> list[Effect]:
        """Those who send by way of us to `name`, or to what is reached by it: what they sent may be lost."""
        effects: list[Effect] = []
        for recipient in self._askers.recipients():
            hop = self._next_hop(recipient)
            if hop == name or recipient.removeprefix("_") == name.removeprefix("_"):
                for peer in self._askers.is_back(recipient):
                    effects += self._notice(peer, "BACK", recipient, now) if peer != hop else []
        return effects

    def _close_what_has_no_path(self) -> None:
        for name, target in self.outbox.recipients(is_open=True):
            if not self._is_open(target, name):
                self.outbox.close(name)

    # -- timers --------------------------------------------------------------------------------------------------

    def _answer_probe(self, peer: str, frames: Sequence[bytes]) -> list[Effect]:
        if peer == self.routes.upstream:
            self._echoes_due = max(0, self._echoes_due - 1)
            self._flush_left = max(0, self._flush_left - 1)
            self._answers = True  # as stations of Autopilot's own do: it shows life, and not whose kind it is
            return []
        self._is_ours(peer)
        self._askers.tell_anew(peer)
        return [Transmit(peer, tuple(frames))]

    def _is_ours(self, name: str) -> None:
        self.ours.add(name)
        self.theirs.discard(name)

    def _probe(self, now: float) -> list[Effect]:
        upstream = self.routes.upstream or ""
        self._probe_at = now + self.settings.liveness_s
        if not self._answers and upstream not in self.ours:
            return []  # silence of one that has never answered says nothing
        if self._unanswered >= UNANSWERED:
            self._unanswered = 0
            return [Reconnect(upstream)]
        self._unanswered += 1
        self._echoes_due += 1
        return [Transmit(upstream, PROBE)]

    def _ask_at(self) -> float | None:
        """When to ask the upstream for the time: it is there, and can tell it. Autopilot's own cannot."""
        can = self.settings.clock_s is not None and self.routes.up and self.routes.upstream in self.ours
        return self._clock.ask_at if can else None

    def _ask_clock(self, now: float) -> list[Effect]:
        upstream = self.routes.upstream or ""
        question = self._own_message(upstream, "CLOCK", None, now=now)
        question["id"] = f"{self.id}_{self.incarnation}_{now!r}"  # the answer to a former life's may come yet
        self._clock.ask(question.id, now=now)
        return self._send_raw(upstream, (), question.serialize())

    def _expire(self, entries: Iterable[Entry], now: float) -> list[Effect]:
        reason = "no confirmation came, and it may not be sent again"
        return [effect for entry in entries for effect in self._end(entry, now, failed=reason)]


