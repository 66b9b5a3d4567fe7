"""The world around the core: one I/O thread that owns every socket. Its handler thread is in `handlers.py`.

Any thread may send: it runs the core under the lock, and the effects queue up for the I/O thread, which alone touches
sockets. Handlers run one at a time in order of arrival; one that blocks delays other handlers, never forwarding,
repeats or confirmations. When there is nothing to do, both threads block.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import zmq

from autopilot_net.attachment import Attachment, Stuck
from autopilot_net.delivery import Delivery, when_settled
from autopilot_net.durable import Durable
from autopilot_net.errors import AutopilotNetError, WaitInHandler, WindowFull
from autopilot_net.handlers import Call, Callbacks, Handlers
from autopilot_net.loglimit import shown
from autopilot_net.lookout import Lookout
from autopilot_net.message import Message
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import (
    Confirmed,
    Deliver,
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    PeerDown,
    PeerUp,
    Reconnect,
    Traffic,
    Transmit,
)
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.router import AWAY, READY_AT_ONCE
from autopilot_net.sockets import SendResult
from autopilot_net.trace_writer import TraceWriter
from autopilot_net.wakeup import Wakeup
from autopilot_net.wallclock import epoch

__all__ = ["Driver"]

logger = logging.getLogger("autopilot_net")

CLOSE_S = 5.0  # how long closing waits for a handler that does not return
LAST_WORDS_S = 0.05  # a DEALER that is IMMEDIATE forgets what it has not read yet when its peer closes
HANG_UP_S = 0.5  # from closing a connection to opening another under the same identity
MOST_ITEMS = 1 << 20  # of one batch of a stream: nobody says more, and counts it so
ROOM_S = 5.0  # how long a sender waits for room until that is said
READ_OUT_S = 0.01  # how often it is looked whether a connection that is over has been read out


class Driver:
    """Runs endpoints. `start` it once its first line is added; `stop` waits for what was sent last to leave."""

    def __init__(
        self,
        name: str,
        host: Callbacks,
        *,
        trace: TraceWriter | None = None,
        durable: Durable | None = None,
        slow_handler_s: float = 5.0,
        behind_bytes: int = 64 << 20,
    ) -> None:
        self.name = name
        self._observer = Observer(name, trace=trace, durable=durable)
        self.handlers = Handlers(
            name,
            host,
            slow_handler_s=slow_handler_s,
            behind_bytes=behind_bytes,
            ended=lambda error: self._break(error, "handler thread"),
        )
        self._lookout = Lookout(name, self._observer, self.run)
        self._attachments: list[Attachment] = []
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._todo: deque[tuple[Attachment, Effect]] = deque()
        self._closing_attachments: list[Attachment] = []
        self._bell: Wakeup
        self._sleeps_until = math.inf  # the I/O thread wakes by itself at that time
        self._stopped = False  # by `stop`, which may be called again
        self._stopping = False  # nothing is sent any more
        self.broken: BaseException | None = None  # what ended a thread that was to serve until `stop`
        self.on_broken: Callable[[], Any] = lambda: None
        self.on_reached: Callable[[bool], Any] = lambda _: None  # of the first upstream; told in the I/O thread
        self._spoke_at = -math.inf
        self._io = threading.Thread(target=self._run, name=f"{name} I/O", daemon=True)

    # -- for any thread ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start both threads."""
        self._bell = Wakeup()
        self.handlers.start()
        self._io.start()

    def stop(self) -> None:
        """Stop both threads and close every socket. A call too many is harmless."""
        with self._lock:
            already, self._stopped = self._stopped, True
        if already or not self._io.ident:
            return
        self.handlers.stop(CLOSE_S)  # first, so that what it handled last is confirmed
        with self._lock:
            self._stopping = True
            self._room.notify_all()
        self._ring()
        if self._io is not threading.current_thread():
            self._io.join(CLOSE_S)

    def add(self, attachment: Attachment) -> None:
        """Look after `attachment` too. Its sockets were made by the caller, who must not touch them any more."""
        with self._lock:
            if self._stopping:
                attachment.sockets.close()
                raise AutopilotNetError(f"{self.name} is closed, and opens no {attachment.endpoint.id}")
            self._attachments = [*self._attachments, attachment]
        self._ring()

    def retire(self, attachment: Attachment) -> None:
        """Close the sockets of `attachment` once what it sent has had its turn. For what runs under the lock."""
        if attachment not in self._closing_attachments:
            self._closing_attachments.append(attachment)
            self._room.notify_all()

    def send(
        self,
        attachment: Attachment,
        message: Message,
        *,
        hops: Sequence[str] = (),
        repeat: bool | None = None,
        expires_after: float | None = None,
        wait: bool | None = None,
    ) -> Delivery:
        """Send, and return the handle. Raises `BadMessage` for what cannot be sent.

        Where more awaits confirmation than the window allows, `wait` True blocks until there is room, False raises
        `WindowFull`, and None queues: what a relay passes on is bounded by the windows of those who sent it.
        """
        with self._lock:
            if repeat or (repeat is None and "NOREPEAT" not in message.flags):
                self._await_room(attachment, message, wait=wait)
            self._refuse_closed()
            effects = attachment.endpoint.send(
                message, hops=hops, repeat=repeat, expires_after=expires_after, now=time.monotonic()
            )
            sought = "NOREPEAT" not in message.flags
            delivery = Delivery(
                message.id,
                message.to,
                sought=sought,
                handler_thread=self.handlers.ident,
                io_thread=self._io.ident,
                raised=self.handlers.callback_raised,
            )
            if sought:
                attachment.deliveries[message.id] = delivery
            self._queue(attachment, effects)
        self._ring()
        if sought:
            self._observer.keep()
        return delivery

    def run(self, attachment: Attachment, act: Callable[[float], list[Effect]]) -> None:
        """Do `act(now)` to the core of `attachment`, under the lock, and carry out its effects."""
        with self._lock:
            self._queue(attachment, act(time.monotonic()))
            due = min(attachment.due(), default=math.inf)
            is_early = bool(self._todo or self._closing_attachments) or due < self._sleeps_until
        if is_early:
            self._ring()

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Block until `condition`, looked at whenever something is settled, or the driver stops; whether it holds.

        Raises `WaitInHandler` in the I/O thread, which alone could bring it about.
        """
        with self._lock:
            if threading.get_ident() == self._io.ident and not condition():
                raise WaitInHandler(
                    f"{self.name}: the callback of a delivery would wait for room, in the thread that makes it: "
                    "append to a stream that drops its oldest item, or do it in a listen or a thread of the program's"
                )
            self._room.wait_for(lambda: self._stopping or condition(), timeout)
            return condition()

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, expired, missing and the like, counted."""
        return self._observer.counters

    @property
    def is_closed(self) -> bool:
        """Whether nothing is sent any more."""
        return self._stopping

    @property
    def io_thread(self) -> threading.Thread:
        """The thread that owns the sockets."""
        return self._io

    @property
    def is_reached(self) -> bool:
        """Whether the upstream of the first line is there, and is who it was said to be."""
        return bool(self._attachments) and self._attachments[0].is_reached and not self._stopping

    def is_own_thread(self) -> bool:
        """Whether the calling thread is one of the driver's, which must not wait for the other."""
        return threading.get_ident() in (self.handlers.ident, self._io.ident)

    # -- the I/O thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop()
        except zmq.ContextTerminated:
            logger.warning("%s: its zmq context was ended before it was", self.name)
        except BaseException as error:  # noqa: BLE001  # whatever it is, nobody is served any more, which must be told
            self._break(error, "I/O thread")
        finally:
            self._close()

    def _break(self, error: BaseException, what: str) -> None:
        """A thread has ended that must not: whoever is behind the driver ends, or says so at every call."""
        self.broken = error
        logger.critical("%s: its %s ended; please report this", self.name, what, exc_info=error)
        self.on_broken()

    def _loop(self) -> None:
        poller = zmq.Poller()
        bell = self._bell.fileno()
        poller.register(bell, zmq.POLLIN)
        polled: dict[Any, int] = {}
        self._turn(())  # so that what is to be looked at later is known
        while not self._stopping:
            wanted = self._wanted()
            if wanted != polled:
                for one in polled.keys() - wanted.keys():
                    poller.unregister(one)
                for one, events in wanted.items():
                    poller.register(one, events)
                polled = wanted
            ready = {one for one, _ in poller.poll(self._timeout_ms())}
            if bell in ready:
                self._bell.silence()
            self._turn(ready)
        self._turn(polled)

    def _wanted(self) -> dict[Any, int]:
        """What to poll, and for what."""
        wanted: dict[Any, int] = {}
        for attachment in self._attachments:
            wanted |= dict.fromkeys(attachment.sockets.readable(), zmq.POLLIN)
            writable = attachment.sockets.writable()
            if writable is not None:
                wanted[writable] = zmq.POLLIN | zmq.POLLOUT
        return wanted

    def _close(self) -> None:
        self._lookout.is_over = True
        with self._lock:
            self._stopping = True
            self._room.notify_all()
        self._let_last_words_be_read()
        for attachment in self._attachments:
            attachment.sockets.close()
        self._bell.close()
        self._observer.close()
        for delivery in [delivery for attachment in self._attachments for delivery in attachment.deliveries.values()]:
            delivery.settle(confirmed=False, reason=f"{self.name} was released before a confirmation came")

    def _let_last_words_be_read(self) -> None:
        left = self._spoke_at + LAST_WORDS_S - time.monotonic()
        if left > 0 and any(attachment.endpoint.routes.below for attachment in self._attachments):
            time.sleep(left)

    def _turn(self, ready: Collection[Any]) -> None:
        """Read what is `ready`, do what is due, and carry out what came of it."""
        for attachment in self._attachments:
            attachment.endpoint.epoch = epoch(attachment.endpoint.epoch)
            self._read(attachment, ready)
            self._time(attachment)
        self._perform()
        self.handlers.watch()
        self._observer.speak()
        if self._closing_attachments:
            self._retire_attachments()

    def _retire_attachments(self) -> None:
        with self._lock:
            # What another thread has queued since would go to a closed socket, and so would what a full pipe refused.
            busy = {attachment for attachment, _ in self._todo}
            busy |= {attachment for attachment in self._attachments if attachment.endpoint.router.holds_back()}
            closing = [attachment for attachment in self._closing_attachments if attachment not in busy]
            self._closing_attachments = [attachment for attachment in self._closing_attachments if attachment in busy]
            self._attachments = [attachment for attachment in self._attachments if attachment not in closing]
        for attachment in closing:
            attachment.sockets.close()

    def _timeout_ms(self) -> int | None:
        now = time.monotonic()
        slow_at = self.handlers.slow_at()
        with self._lock:
            if self._todo:
                return 0
            due = [t for attachment in self._attachments for t in attachment.due()]
            due += [at for attachment in self._attachments for at in self._retries(attachment, now)]
            due += [at for at in (slow_at, self._observer.due()) if at is not None]
            self._sleeps_until = min(due, default=math.inf)
        # Rounded up: a timer that is polled for half a millisecond too early turns into a busy loop.
        return max(0, int((min(due) - now) * 1000) + 1) if due else None

    @staticmethod
    def _retries(attachment: Attachment, now: float) -> Iterator[float]:
        """When to try again what waits for full pipes."""
        if attachment.sockets.reads_out():
            yield now + READ_OUT_S
        upstream = attachment.endpoint.routes.upstream
        for peer in attachment.endpoint.router.waiting_peers():
            stuck = attachment.stuck.get(peer)
            if stuck is None:
                yield now
            elif peer != upstream or not attachment.sockets.blocked:  # else a poll tells
                yield stuck.retry_at

    def _read(self, attachment: Attachment, ready: Collection[Any]) -> None:
        for peer, frames, is_new in attachment.sockets.receive(ready):
            with self._lock:
                if is_new and attachment.endpoint.routes.has(peer):
                    self._lose(attachment, peer)  # the same id by a new connection: a reboot, or a twin
                if is_new:
                    address, took_over = attachment.sockets.came_by.get(peer, ("", False))
                    name = attachment.sockets.inbound.connection(peer)
                    effects = attachment.endpoint.connected(peer, address, took_over=took_over, connection=name)
                    self._queue(attachment, effects)
                self._take(attachment, peer, frames)
        self._count_skipped(attachment)
        with self._lock:
            # All at once: of an upstream that is back already, what a handler would have told it between is lost.
            for peer, is_there in attachment.sockets.changes():
                self._change(attachment, peer, is_there=is_there)

    def _take(self, attachment: Attachment, peer: str, frames: Sequence[bytes]) -> None:
        try:
            self._queue(attachment, attachment.endpoint.receive(peer, frames, now=time.monotonic()))
        except Exception:  # noqa: BLE001  # whatever one message does, the thread must outlive it
            self._outlive(f"a message from {shown(peer)}")

    def _count_skipped(self, attachment: Attachment) -> None:
        """What came in and is nobody's that could be answered is counted like what was dropped."""
        if attachment.sockets.skipped:
            skipped = attachment.sockets.skipped.items()
            self._queue_locked(attachment, [Dropped(why, "", self.name, n) for why, n in skipped])
            attachment.sockets.skipped.clear()

    def _neighbour(self, attachment: Attachment, peer: str, *, is_there: bool) -> None:
        with self._lock:
            self._change(attachment, peer, is_there=is_there)

    def _change(self, attachment: Attachment, peer: str, *, is_there: bool) -> None:
        now, is_up = time.monotonic(), peer == attachment.endpoint.routes.upstream
        if is_there:
            if is_up:
                attachment.backoff.connected(now=now)
            self._queue(attachment, attachment.endpoint.meet(peer, now=now))
            return
        self._lose(attachment, peer)
        if is_up and attachment.endpoint.is_upstream_new and attachment.reconnect_at is None:
            # zmq would connect again under the identity that the upstream may still read from.
            self._hang_up(attachment)

    def _lose(self, attachment: Attachment, peer: str) -> None:
        self._queue(attachment, attachment.endpoint.lose(peer, now=time.monotonic()))
        stuck = attachment.stuck.pop(peer, None)
        count = sum(effect.kind is Traffic.DATA for effect in stuck.effects) if stuck is not None else 0
        if count:
            self._queue(attachment, [Dropped(AWAY, peer, "", count)])

    def _time(self, attachment: Attachment) -> None:
        if attachment.reconnect_at is not None and time.monotonic() >= attachment.reconnect_at:
            attachment.reconnect_at = None
            attachment.sockets.reconnect(attachment.endpoint.next_connection())
        with self._lock:
            for peer in attachment.endpoint.router.waiting_peers():
                self._retry(attachment, peer)
            now = time.monotonic()
            self._mind_upstream(attachment, now)
            self._queue(attachment, attachment.endpoint.handle_timer(now=now))
            try:
                self._queue(attachment, attachment.source.pump(now) if attachment.source is not None else [])
            except Exception:  # noqa: BLE001  # likewise what a program appended, and has changed since
                self._outlive("an item of its stream")

    def _mind_upstream(self, attachment: Attachment, now: float) -> None:
        """Note whether the upstream is reached. Where it is not, have it looked why, and said."""
        reached = attachment.endpoint.is_reached()
        if reached != attachment.is_reached:
            attachment.is_reached = reached
            if attachment is self._attachments[0]:
                self.on_reached(reached)
        self._lookout.mind(attachment, self._attachments, reached=reached, now=now)

    def _retry(self, attachment: Attachment, peer: str) -> None:
        """Try again what a full pipe has refused; and once it is through, some of what waits behind it."""
        stuck = attachment.stuck.get(peer)
        while stuck is not None and stuck.effects:
            sent = attachment.sockets.send(peer, stuck.effects[0].frames)
            if sent is SendResult.YES:
                attachment.endpoint.sent(stuck.effects.popleft())
                continue
            if sent is SendResult.GONE:
                self._lose(attachment, peer)
            else:
                stuck.postpone(time.monotonic(), late=sent is SendResult.LATE)
            return
        attachment.stuck.pop(peer, None)
        self._queue(attachment, attachment.endpoint.ready(peer))

    def _outlive(self, what: str) -> None:
        """Go on: the thread has others to serve."""
        self.counters["broken"] += 1
        self._observer.blame(f"{self.name}: internal error while handling {what}; please report this")

    def _queue(self, attachment: Attachment, effects: list[Effect]) -> None:
        for effect in effects:
            self._todo.append((attachment, effect))
        self._observer.put(attachment.endpoint, effects)

    def _perform(self) -> None:
        """Carry out what is queued: told to the trace first, so that nothing happens that was not written down."""
        todo = self._to_do()
        if not todo:
            return
        self._observer.write([(attachment.endpoint, effect) for attachment, effect in todo])
        self._spoke_at = time.monotonic()
        calls: list[Call] = []
        for attachment, effect in todo:
            if isinstance(effect, Transmit):
                self._transmit(attachment, effect)
            elif isinstance(effect, Deliver):
                calls += self._deliver(attachment, effect)
            elif isinstance(effect, PeerUp | PeerDown | DuplicateId):
                self._observer.tell_of_neighbour(effect, upstream=attachment.endpoint.routes.upstream)
                calls.append(self._news_of(effect))
            else:
                self._note(attachment, effect)
        if calls:
            self.handlers.put(calls)
        with self._lock:
            self._room.notify_all()

    def _to_do(self) -> list[tuple[Attachment, Effect]]:
        """What is queued, but for what a pipe would not take by now: that goes back, to wait within its bound.

        All of what is queued for such a neighbour goes back at once, so that nothing overtakes it.
        """
        taken: Counter[tuple[Attachment, str]] = Counter()
        back: dict[tuple[Attachment, str], list[Transmit]] = {}
        todo: list[tuple[Attachment, Effect]] = []
        with self._lock:
            queued, self._todo = self._todo, deque()
            for attachment, effect in queued:
                if isinstance(effect, Transmit):
                    key = (attachment, effect.peer)
                    taken[key] += 1
                    if taken[key] > READY_AT_ONCE or effect.peer in attachment.stuck:
                        back.setdefault(key, []).append(effect)
                        continue
                todo.append((attachment, effect))
            for (attachment, peer), effects in back.items():
                attachment.endpoint.full(peer, effects)
        return todo

    def _news_of(self, effect: PeerUp | PeerDown | DuplicateId) -> Call:
        if isinstance(effect, DuplicateId):
            self.counters["twins"] += 1
            return self.handlers.duplicate_id(effect.peer, effect.addresses)
        return self.handlers.neighbour(effect.peer, isinstance(effect, PeerUp))

    def _deliver(self, attachment: Attachment, effect: Deliver) -> list[Call]:
        if not effect.ticket and not self.handlers.takes(effect.size):
            count = as_int(effect.message.get("items"), 1, MOST_ITEMS) or 1
            self._queue_locked(attachment, [Dropped("the handlers are behind", effect.peer, self.name, count)])
            return []
        call = self.handlers.delivery(effect.message, self._done(attachment, effect.ticket), effect.size)
        return [call] if call else []

    def _done(self, attachment: Attachment, ticket: int) -> Callable[[list[Delivery]], None] | None:
        return (lambda passed_on: self._handled(attachment, ticket, passed_on)) if ticket else None

    def _handled(self, attachment: Attachment, ticket: int, passed_on: list[Delivery]) -> None:
        """The handler of `ticket` is done. What it passed on by this line the core minds; other promises, we do."""
        outbox, is_minded = attachment.endpoint.outbox, True

        def act(now: float) -> list[Effect]:
            nonlocal is_minded
            waits = [delivery.id for delivery in passed_on if not delivery.settled]
            is_minded = all(message_id in outbox for message_id in waits)
            failed = any(delivery.expired for delivery in passed_on)
            return attachment.endpoint.handled(ticket, failed=failed, relays=waits, now=now) if is_minded else []

        self.run(attachment, act)
        if is_minded:
            # Before the next handler begins: a restart then repeats what was in a handler, and no more.
            self._observer.keep()
        else:
            when_settled(passed_on, lambda: self._handled(attachment, ticket, passed_on))

    def _transmit(self, attachment: Attachment, effect: Transmit) -> None:
        stuck = attachment.stuck.get(effect.peer)
        if stuck is not None:
            stuck.effects.append(effect)
            return
        sent = attachment.sockets.send(effect.peer, effect.frames)
        if sent is SendResult.YES:
            attachment.endpoint.sent(effect)
        elif sent is not SendResult.GONE:
            self._hold(attachment, effect, late=sent is SendResult.LATE)
        else:
            self._neighbour(attachment, effect.peer, is_there=False)
            if effect.kind is Traffic.DATA and effect.frames[-1]:  # the rest is said again, or missed by nobody
                self._queue_locked(attachment, [Dropped(AWAY, effect.peer, "")])

    def _hold(self, attachment: Attachment, effect: Transmit, *, late: bool) -> None:
        """A pipe is full: what it refused must go first, and what follows waits behind that."""
        stuck = attachment.stuck[effect.peer] = Stuck()
        stuck.effects.append(effect)
        stuck.postpone(time.monotonic(), late=late)
        with self._lock:
            attachment.endpoint.full(effect.peer, [])

    def _queue_locked(self, attachment: Attachment, effects: list[Effect]) -> None:
        with self._lock:
            self._queue(attachment, effects)

    def _note(self, attachment: Attachment, effect: Effect) -> None:
        if isinstance(effect, Reconnect):
            self._reconnect(attachment, effect.peer)
            return
        self._observer.tell(effect)
        if isinstance(effect, Confirmed | Expired):
            delivery = attachment.deliveries.pop(effect.id, None)
            if delivery is not None:
                reason = "" if isinstance(effect, Confirmed) else effect.reason
                delivery.settle(confirmed=not reason, reason=reason)

    def _reconnect(self, attachment: Attachment, peer: str) -> None:
        """Make the connection to a silent upstream anew, once all is read that it has brought."""
        self.counters["reconnects"] += 1
        self._observer.warn(peer, f"{peer} answers no probe; connecting anew")
        with self._lock:
            for frames in attachment.sockets.last_words():
                self._take(attachment, peer, frames)
            self._lose(attachment, peer)
        self._hang_up(attachment)

    def _hang_up(self, attachment: Attachment) -> None:
        """Close the connection to the upstream. Another is opened when the backoff says so."""
        attachment.sockets.hang_up()
        now = time.monotonic()
        wait = attachment.backoff.lost(now=now, chance=random.random())
        # One that does not tell connections of one id apart must first hear that the former one is over.
        attachment.reconnect_at = now + (wait if attachment.endpoint.next_connection() else max(wait, HANG_UP_S))

    def _ring(self) -> None:
        if self._io.ident not in (None, threading.get_ident()):
            self._bell.ring()

    def _refuse_closed(self) -> None:
        if self.broken is not None:
            raise AutopilotNetError(
                f"{self.name} sends nothing any more: one of its threads ended with {self.broken!r}, which the log has "
                "in full. Release it and make another"
            ) from self.broken
        if self._stopping:
            raise AutopilotNetError(f"{self.name} is closed, and sends nothing")

    def _await_room(self, attachment: Attachment, message: Message, *, wait: bool | None) -> None:
        self._refuse_closed()
        outbox = attachment.endpoint.outbox
        if wait is None or outbox.room(message.to):
            return
        if not wait:
            raise WindowFull(f"{len(outbox)} messages await confirmation; message {message.id} was not sent")
        began = time.monotonic()
        while not self._room.wait_for(lambda: self._stopping or outbox.room(message.to), ROOM_S):
            waited, count = time.monotonic() - began, outbox.count(message.to)
            self._observer.warn(
                f"room for {message.to}",
                f"send has waited for {waited:.0f} s for room: {count:,} messages to {message.to} await confirmation; "
                "is it there, and does it handle them? (wait=False refuses instead)",
            )

