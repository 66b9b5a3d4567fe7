"""Endpoint: what is confirmed to whom, who is told of what, and what to do when a neighbour comes and goes.

Frames and time come in, effects come out. It composes the parts beside it and adds what none of them may know of the
others: a route decides whether a channel is open, a packet for me becomes a delivery, a handled ticket a CONFIRM.
Where a packet goes is the post's to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from autopilot_net.errors import BadMessage
from autopilot_net.message import Message
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
from autopilot_net.protocol.frames import PROBE, Packet, read_frames
from autopilot_net.protocol.inbox import Inbox, Verdict, receipt_of
from autopilot_net.protocol.liveness import Liveness, Move
from autopilot_net.protocol.notices import Notices
from autopilot_net.protocol.outbox import Entry, Outbox, Window
from autopilot_net.protocol.post import Post
from autopilot_net.protocol.records import Record, Saved
from autopilot_net.protocol.relays import Relays
from autopilot_net.protocol.streams import GapWatch
from autopilot_net.protocol.twins import TwinWatch
from autopilot_net.protocol.voice import Voice

__all__ = ["Endpoint", "Settings"]

CLOSING = b"CLOSING"  # stops a station of Autopilot's own; ours is stopped by whoever owns its process
AGAIN = "a repeat that one of Autopilot's own would handle again"


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
        self.post = Post(id, upstream=upstream, forwards=forwards, backlog_bytes=self.settings.backlog_bytes)
        self.routes, self.ours, self.theirs = self.post.routes, self.post.ours, self.post.theirs
        self.outbox = Outbox(
            incarnation=incarnation, repeat_interval=self.settings.repeat_interval, window=self.settings.window
        )
        self._inbox = Inbox()
        self._relays = Relays()
        self._keeps = saved is not None
        self._gaps = GapWatch()
        self._voice = Voice(self.post, incarnation=incarnation, epoch=epoch)
        self._notices = Notices(self.post, self._voice)
        self._special = {"GONE": self._read_gone, "BACK": self._read_back, "CLOCK": self._read_clock}
        self._twins = TwinWatch()
        self._clock = Clock(interval=self.settings.clock_s or 0.0)
        self._liveness = Liveness(self.settings.liveness_s)
        self._retry_at: float | None = None  # when to try again what the upstream has said that it cannot reach
        if saved is not None:
            self._restore(saved)

    @property
    def epoch(self) -> float:
        """The wall-clock time at `now == 0`. Whoever runs this sets it anew when the wall clock is set."""
        return self._voice.epoch

    @epoch.setter
    def epoch(self, epoch: float) -> None:
        self._voice.epoch = epoch

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
        hops = self.post.from_here(hops)
        if hops or self._is_far(message.to):
            message["via"] = self.post.way_back(hops, message.to)
        if repeat is None:
            repeat = "NOREPEAT" not in message.flags and self._can_confirm(message.to)
        if not repeat:
            message.flags["NOREPEAT"] = True
            return self.post.send(message.to, hops, message.serialize(pack=self._packs(message)))
        message.flags.pop("NOREPEAT", None)
        if message.id in self.outbox:
            raise BadMessage(f"message {message.id} awaits its confirmation; what is sent anew needs an id of its own")
        entry = Entry(message, hops, pack=self._packs(message))
        is_open = self.post.is_open(entry.target, message.to)
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
        return self._store(outcome.record) + self._voice.tell(outcome.receipt, verdict, now=now) if outcome else []

    # -- what the wire does --------------------------------------------------------------------------------------

    def receive(self, peer: str, frames: Sequence[bytes], *, now: float) -> list[Effect]:
        """A message came in from the neighbour `peer`; `frames` are without the identity that a ROUTER prepends."""
        effects = [] if self.routes.has(peer) else self.meet(peer, now=now)
        if peer == self.routes.upstream:
            self._liveness.hear()
        if frames and not frames[-1]:
            return effects + self._answer_probe(peer, frames)
        self.post.hear(peer)
        try:
            packet = read_frames(frames, me=self.id)
        except ValueError as error:
            return [*effects, Dropped(f"frames that cannot be read: {error}", peer, "")]
        if self.post.is_mine(packet, peer):
            return effects + self._read(packet, peer, now)
        return effects + self._forward(packet, peer, now)

    def meet(self, peer: str, *, now: float) -> list[Effect]:
        """The neighbour `peer` is there, or there again."""
        if not self.routes.meet(peer):
            return []
        if peer == self.routes.upstream:
            self._liveness.meet(now=now)
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
        self._notices.askers.lose(peer)
        if peer == self.routes.upstream:
            self._liveness.lose()
        dropped = self.post.lose(peer)
        self._close_what_has_no_path()
        return [Lost(peer), *dropped]

    def learn(self, name: str, peer: str, *, now: float) -> list[Effect]:
        """`name` lies behind the neighbour `peer`."""
        return self._reopen(name, now) if self.routes.learn(name, peer) else []

    def full(self, peer: str, refused: Iterable[tuple[bytes, ...]]) -> None:
        """See `Post.full`."""
        self.post.full(peer, refused)

    def ready(self, peer: str) -> list[Effect]:
        """See `Post.ready`."""
        return self.post.ready(peer)

    def flush(self) -> list[Effect]:
        """Have the upstream say, by sending a probe back, that it has read what was sent to it: see `is_flushed`."""
        upstream = self.routes.upstream
        if upstream is None or not self.routes.up:
            return []
        self._liveness.flush()
        return [Transmit(upstream, PROBE)]

    def is_flushed(self) -> bool:
        """Whether the upstream has read all that was sent before `flush`, or went away, and what it has not is lost."""
        return self._liveness.is_flushed()

    # -- what time does ------------------------------------------------------------------------------------------

    def handle_timer(self, *, now: float) -> list[Effect]:
        """Whatever is due by now."""
        again, expired = self.outbox.handle_timer(now=now, is_stuck=self.post.is_stuck)
        effects = [*self._expire(expired, now), *self._transmit_all(again, now)]
        if self._retry_at is not None and now >= self._retry_at:
            effects += self._try_beyond(now)
        upstream = self.routes.upstream or ""
        is_full = upstream in self.post.waiting_peers()
        move = self._liveness.move(now=now, is_ours=upstream in self.ours, is_full=is_full)
        if move is not None:
            effects.append(Transmit(upstream, PROBE) if move is Move.PROBE else Reconnect(upstream))
        ask_at = self._ask_at()
        if ask_at is not None and now >= ask_at:
            effects += self._ask_clock(now)
        return effects

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, at the latest; None while nothing is due, ever."""
        timers = (self.outbox.next_timer(), self._liveness.probe_at, self._ask_at(), self._retry_at)
        return min((t for t in timers if t is not None), default=None)

    def clock_offset(self, *, now: float) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's, as far as that is known. The root's is the clock."""
        if self.routes.upstream is None:
            return ClockOffset(0.0, 0.0)
        return self._clock.offset(epoch=self.epoch, now=now)

    # -- sending -------------------------------------------------------------------------------------------------

    def _transmit_all(self, entries: Iterable[Entry], now: float) -> list[Effect]:
        """Send what is due. What may be for Autopilot's own, which handles each repeat again, is not repeated.

        In its place goes one question, which theirs take for a confirmation of nothing. Ours answer, so that they are
        known to be ours, and get it all.
        """
        effects: list[Effect] = []
        asked: set[str] = set()
        for entry in entries:
            to = str(entry.message.to)
            if not entry.again or self.post.is_known(to):
                effects += self.post.send(to, entry.hops, entry.wire())
            elif to not in asked:
                asked.add(to)
                via = {"via": entry.message.via} if "via" in entry.message else {}
                question = self._voice.message(to, "CONFIRM", entry.message.id, now=now, asks=True, **via)
                effects += self.post.send(to, entry.hops, question.serialize())
        return effects

    def _is_far(self, to: str) -> bool:
        return not self.forwards and to != self.routes.upstream

    def _can_confirm(self, to: str) -> bool:
        return not self.forwards or self.post.is_known(to)

    def _packs(self, message: Message) -> bool:
        return bool(message.blosc) or message.to.removeprefix("_") not in self.ours

    # -- receiving -----------------------------------------------------------------------------------------------

    def _forward(self, packet: Packet, peer: str, now: float) -> list[Effect]:
        if not self.forwards and peer == self.routes.upstream:
            return [Dropped("not for this node", peer, packet.recipient)]
        self._notices.askers.note(packet.recipient, peer)
        effects = self.post.pass_on(packet, from_above=peer == self.routes.upstream, peer=peer)
        return effects + self._notices.passed_on(packet, peer, effects, now=now)

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
            self.post.is_ours(message.sender)
        effects = self._place(message, peer, now) + self._hear_life(message, peer)
        if message.key == "CONFIRM":
            return effects + self._read_confirm(message, packet, peer, now)
        special = self._special.get(message.key)
        if special is not None:
            return effects + special(message, peer, now)
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
            effects += self._voice.tell(receipt, arrival.tell, missing=arrival.missing, now=now)
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
            self._retry_at = self._retry_at or now + self.settings.repeat_interval
            self._close_what_has_no_path()
            is_by_it = self.post.next_hop(name) == peer
            return self._notices.no_way(name, self._notices.askers.of(name), now=now) if is_by_it else []
        if not self.routes.forget(name, peer):
            return []
        self._close_what_has_no_path()
        return self._notices.gone(name, now=now)

    def _read_back(self, message: Message, peer: str, now: float) -> list[Effect]:
        """There is a way again, by `peer`: what went astray meanwhile goes out again, ours and that of who asks us."""
        name = message.value
        if not isinstance(name, str):
            return []
        if peer == self.routes.upstream:
            self.routes.found_above(name)
        else:
            self.routes.learn(name, peer)
        return self._reopen(name, now) if self.post.next_hop(name) == peer else []

    def _read_clock(self, message: Message, peer: str, now: float) -> list[Effect]:
        """A neighbour below asks for the time, or the upstream has told it. Who does not know yet says nothing."""
        if peer == self.routes.upstream:
            self._clock.answer(message.get("re"), message.value, now=now)
            return []
        known = self.clock_offset(now=now)
        if known is None or message.sender != peer:
            return []
        told = [self.epoch + now, known.offset, known.uncertainty]
        effects = self._voice.say(peer, "CLOCK", told, now=now, re=message.id)
        return [Transmit(e.peer, e.frames, missed=False) if isinstance(e, Transmit) else e for e in effects]

    def _read_confirm(self, message: Message, packet: Packet, peer: str, now: float) -> list[Effect]:
        if message.to == "_" + self.id and peer != message.to:
            return self.post.pass_on(Packet((), message.to, packet.payload), from_above=True, peer=peer)
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
            return self._voice.confirm(receipt_of(message), now=now, here=True)
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

    def _reopen(self, name: str, now: float) -> list[Effect]:
        """There is a new way to `name`: what waits for one goes out, and what went another way goes out again."""
        for recipient, target in self.outbox.recipients(is_open=True):
            if name.removeprefix("_") in (target.removeprefix("_"), recipient.removeprefix("_")):
                self.outbox.close(recipient)
        entries = [
            entry
            for recipient, target in self.outbox.recipients(is_open=False)
            if self.post.is_open(target, recipient)
            for entry in self.outbox.open(recipient, now=now)
        ]
        return [*self._transmit_all(entries, now), *self._notices.back(name, now=now)]

    def _try_beyond(self, now: float) -> list[Effect]:
        """That there is a way again may have been said and lost: so it is tried, now and then."""
        names, self._retry_at = sorted(self.routes.beyond), None
        self.routes.beyond.clear()
        return [effect for name in names for effect in self._reopen(name, now)]

    def _close_what_has_no_path(self) -> None:
        for name, target in self.outbox.recipients(is_open=True):
            if not self.post.is_open(target, name):
                self.outbox.close(name)

    # -- timers --------------------------------------------------------------------------------------------------

    def _answer_probe(self, peer: str, frames: Sequence[bytes]) -> list[Effect]:
        if peer == self.routes.upstream:
            self._liveness.echo()
            return []
        self.post.is_ours(peer)
        self._notices.askers.tell_anew(peer)
        return [Transmit(peer, tuple(frames))]

    def _ask_at(self) -> float | None:
        """When to ask the upstream for the time: it is there, and can tell it. Autopilot's own cannot."""
        can = self.settings.clock_s is not None and self.routes.up and self.routes.upstream in self.ours
        return self._clock.ask_at if can else None

    def _ask_clock(self, now: float) -> list[Effect]:
        upstream = self.routes.upstream or ""
        question = self._voice.message(upstream, "CLOCK", None, now=now)
        question["id"] = f"{self.id}_{self.incarnation}_{now!r}"  # the answer to a former life's may come yet
        self._clock.ask(question.id, now=now)
        return self.post.send(upstream, (), question.serialize())

    def _expire(self, entries: Iterable[Entry], now: float) -> list[Effect]:
        reason = "no confirmation came, and it may not be sent again"
        return [effect for entry in entries for effect in self._end(entry, now, failed=reason)]


