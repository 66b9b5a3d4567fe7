"""The I/O thread of a driver: it alone touches sockets. It reads, does what is due, and carries effects out.

It is the `World` of the endpoints of the driver. When there is nothing to do, it waits in a poll.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import zmq

from autopilot_net.attachment import Attachment
from autopilot_net.backpressure import Backpressure
from autopilot_net.effect_queue import EffectQueue
from autopilot_net.handlers import Call, Handlers
from autopilot_net.interpreter import Outcome, carry_out, handled
from autopilot_net.loglimit import shown
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Deliver, Dropped, DuplicateId, Effect, PeerDown, PeerUp, Reconnect, Transmit
from autopilot_net.protocol.numbers import as_int
from autopilot_net.protocol.router import AWAY
from autopilot_net.unreached import UnreachedWatch
from autopilot_net.wakeup import Wakeup
from autopilot_net.wallclock import epoch

__all__ = ["IoThread"]

logger = logging.getLogger("autopilot_net")

LAST_WORDS_S = 0.05  # a DEALER that is IMMEDIATE forgets what it has not read yet when its peer closes
HANG_UP_S = 0.5  # from closing a connection to opening another under the same identity
MOST_ITEMS = 1 << 20  # of one batch of a stream: nobody says more, and counts it so


class IoThread:
    """Serves `queue` until that is stopping.

    `ended` is told what ended it before that, and `reached` whenever the upstream of the first endpoint comes or goes.
    Both are called in this thread.
    """

    def __init__(
        self,
        name: str,
        queue: EffectQueue,
        handlers: Handlers,
        observer: Observer,
        *,
        ended: Callable[[BaseException], Any],
        reached: Callable[[bool], Any],
    ) -> None:
        self.name = name
        self._reached = reached
        self._queue = queue
        self._handlers = handlers
        self._observer = observer
        self._ended = ended
        self._lookout = UnreachedWatch(name, observer, queue.run)
        self._backpressure = Backpressure(queue.lock)
        self._calls: list[Call] = []  # for the handlers, gathered while effects are carried out
        self._spoke_at = -float("inf")
        self.thread = threading.Thread(target=self._run, name=f"{name} I/O", daemon=True)
        queue.io_thread = self.thread

    def start(self) -> None:
        """Start the thread."""
        self._queue.wakeup = Wakeup()
        self.thread.start()

    # -- the loop ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop()
        except zmq.ContextTerminated:
            logger.warning("%s: its zmq context was terminated while it was still open", self.name)
        except BaseException as error:  # noqa: BLE001  # whatever it is, nobody is served any more, which must be told
            self._ended(error)
        finally:
            self._close()

    def _loop(self) -> None:
        poller = zmq.Poller()
        wakeup = self._queue.wakeup
        poller.register(wakeup.fileno(), zmq.POLLIN)
        polled: dict[Any, int] = {}
        self._turn(())  # so that what is to be looked at later is known
        while not self._queue.is_stopping:
            wanted = self._wanted()
            if wanted != polled:
                for one in polled.keys() - wanted.keys():
                    poller.unregister(one)
                for one, events in wanted.items():
                    poller.register(one, events)
                polled = wanted
            ready = {one for one, _ in poller.poll(self._timeout_ms() if wakeup.sleep() else 0)}
            wakeup.woken(is_rung=wakeup.fileno() in ready)
            self._turn(ready)
        self._turn(polled)

    def _wanted(self) -> dict[Any, int]:
        """What to poll, and for what."""
        wanted: dict[Any, int] = {}
        for attachment in self._queue.attachments:
            wanted |= dict.fromkeys(attachment.sockets.readable(), zmq.POLLIN)
            writable = attachment.sockets.writable()
            if writable is not None:
                wanted[writable] = zmq.POLLIN | zmq.POLLOUT
        return wanted

    def _timeout_ms(self) -> int | None:
        now = time.monotonic()
        slow_at = self._handlers.slow_at()
        with self._queue.lock:
            if self._queue.effects:
                return 0
            attachments = self._queue.attachments
            due = [t for attachment in attachments for t in attachment.due()]
            due += [t for attachment in attachments for t in self._backpressure.retries(attachment, now)]
            due += [t for t in (slow_at, self._observer.due()) if t is not None]
            self._queue.sleeps_until = min(due, default=float("inf"))
        # Rounded up: a timer that is polled for half a millisecond too early turns into a busy loop.
        return max(0, int((min(due) - now) * 1000) + 1) if due else None

    def _turn(self, ready: Collection[Any]) -> None:
        """Read what is `ready`, do what is due, and carry out what came of it."""
        for attachment in self._queue.attachments:
            attachment.endpoint.epoch = epoch(attachment.endpoint.epoch)
            self._read(attachment, ready)
            self._time(attachment)
        self._perform()
        self._handlers.watch()
        self._observer.speak()
        if self._queue.retiring:
            self._close_retired()

    def _close_retired(self) -> None:
        with self._queue.lock:
            retired = self._queue.take_retired()
        for attachment in retired:
            attachment.sockets.close()

    def _close(self) -> None:
        self._lookout.is_over = True
        self._queue.stop()
        self._let_last_words_be_read()
        attachments = self._queue.attachments
        for attachment in attachments:
            attachment.sockets.close()
        self._queue.wakeup.close()
        self._observer.close()
        for delivery in [delivery for attachment in attachments for delivery in attachment.deliveries.values()]:
            delivery.settle(confirmed=False, reason=f"{self.name} was released before a confirmation came")

    def _let_last_words_be_read(self) -> None:
        left = self._spoke_at + LAST_WORDS_S - time.monotonic()
        if left > 0 and any(attachment.endpoint.routes.below for attachment in self._queue.attachments):
            time.sleep(left)

    # -- what comes in -------------------------------------------------------------------------------------------

    def _read(self, attachment: Attachment, ready: Collection[Any]) -> None:
        endpoint, sockets = attachment.endpoint, attachment.sockets
        for peer, frames, is_new in sockets.receive(ready):
            with self._queue.lock:
                if is_new and endpoint.routes.has(peer):
                    self._lose(attachment, peer)  # the same id by a new connection: a reboot, or a second machine
                if is_new:
                    address, took_over = sockets.came_by.get(peer, ("", False))
                    name = sockets.inbound.connection(peer)
                    effects = endpoint.connected(peer, address, took_over=took_over, connection=name)
                    self._queue.put(attachment, effects)
                self._take(attachment, peer, frames)
        self._count_skipped(attachment)
        with self._queue.lock:
            # Processed together: an upstream may be back already, and messages sent in between would be lost.
            for peer, is_there in sockets.changes():
                self._change(attachment, peer, is_there=is_there)

    def _take(self, attachment: Attachment, peer: str, frames: Sequence[bytes]) -> None:
        try:
            self._queue.put(attachment, attachment.endpoint.receive(peer, frames, now=time.monotonic()))
        except Exception:  # noqa: BLE001  # whatever one message does, the thread must outlive it
            self._outlive(f"a message from {shown(peer)}")

    def _count_skipped(self, attachment: Attachment) -> None:
        """Count what came in from nobody that could be answered, as what was dropped is counted."""
        skipped = attachment.sockets.skipped
        if skipped:
            self._queue.put_locked(attachment, [Dropped(why, "", self.name, n) for why, n in skipped.items()])
            skipped.clear()

    def _change(self, attachment: Attachment, peer: str, *, is_there: bool) -> None:
        """A neighbour came or went. Called under the lock."""
        now, is_up = time.monotonic(), peer == attachment.endpoint.routes.upstream
        if is_there:
            if is_up:
                attachment.backoff.connected(now=now)
            self._queue.put(attachment, attachment.endpoint.meet(peer, now=now))
            return
        self._lose(attachment, peer)
        if is_up and attachment.endpoint.is_upstream_new and attachment.reconnect_at is None:
            # zmq would connect again under the identity that the upstream may still read from.
            self._hang_up(attachment)

    def _lose(self, attachment: Attachment, peer: str) -> None:
        self._queue.put(attachment, attachment.endpoint.lose(peer, now=time.monotonic()))
        count = self._backpressure.discard(attachment, peer)
        if count:
            self._queue.put(attachment, [Dropped(AWAY, peer, "", count)])

    def _outlive(self, what: str) -> None:
        """Go on: the thread has others to serve."""
        self._observer.counters["broken"] += 1
        self._observer.blame(f"{self.name}: internal error while handling {what}; please report this")

    # -- what is due ---------------------------------------------------------------------------------------------

    def _time(self, attachment: Attachment) -> None:
        if attachment.reconnect_at is not None and time.monotonic() >= attachment.reconnect_at:
            attachment.reconnect_at = None
            attachment.sockets.reconnect(attachment.endpoint.next_connection())
        with self._queue.lock:
            for peer in attachment.endpoint.router.waiting_peers():
                self._retry(attachment, peer)
            now = time.monotonic()
            self._mind_upstream(attachment, now)
            self._queue.put(attachment, attachment.endpoint.handle_timer(now=now))
            try:
                self._queue.put(attachment, attachment.source.pump(now) if attachment.source is not None else [])
            except Exception:  # noqa: BLE001  # likewise what a program appended, and has changed since
                self._outlive("an item of its stream")

    def _retry(self, attachment: Attachment, peer: str) -> None:
        """Try again what a full pipe has refused; and once it is through, some of what waits behind it."""
        outcome = self._backpressure.retry(attachment, peer)
        if outcome is Outcome.GONE:
            self._lose(attachment, peer)
        elif outcome is Outcome.SENT:
            self._queue.put(attachment, attachment.endpoint.ready(peer))

    def _mind_upstream(self, attachment: Attachment, now: float) -> None:
        """Note whether the upstream is reached. Where it is not, have the reason looked for, and logged."""
        reached, attachments = attachment.endpoint.is_reached(), self._queue.attachments
        if reached != attachment.is_reached:
            attachment.is_reached = reached
            if attachment is attachments[0]:
                self._reached(reached)
        self._lookout.mind(attachment, attachments, reached=reached, now=now)

    # -- effects: see `World` ------------------------------------------------------------------------------------

    def _perform(self) -> None:
        """Carry out what is queued. It is written to the trace first, so that nothing happens without a trace."""
        with self._queue.lock:
            todo = self._backpressure.admit(self._queue.take())
        if not todo:
            return
        self._observer.write([(attachment.endpoint, effect) for attachment, effect in todo])
        self._spoke_at = time.monotonic()
        for attachment, effect in todo:
            carry_out(self, attachment, effect)
        if self._calls:
            calls, self._calls = self._calls, []
            self._handlers.put(calls)
        with self._queue.lock:
            self._queue.changed.notify_all()

    def transmit(self, carrier: Attachment, effect: Transmit) -> Outcome:
        """Send it, or keep it for later."""
        return self._backpressure.send(carrier, effect)

    def lose(self, carrier: Attachment, peer: str) -> None:
        """The neighbour `peer` went away."""
        with self._queue.lock:
            self._change(carrier, peer, is_there=False)

    def put(self, carrier: Attachment, effects: list[Effect]) -> None:
        """Queue effects."""
        self._queue.put_locked(carrier, effects)

    def run(self, carrier: Attachment, act: Callable[[float], list[Effect]]) -> None:
        """See `EffectQueue.run`."""
        self._queue.run(carrier, act)

    def deliver(self, carrier: Attachment, effect: Deliver) -> None:
        """Gather the call of its handler, or drop it where the handlers are behind, and nobody waits for it."""
        if not effect.ticket and not self._handlers.takes(effect.size):
            count = as_int(effect.message.get("items"), 1, MOST_ITEMS) or 1
            self.put(carrier, [Dropped("the handlers are behind", effect.peer, self.name, count)])
            return
        ticket = effect.ticket
        done = (lambda passed_on: handled(self, carrier, ticket, passed_on)) if ticket else None
        call = self._handlers.delivery(effect.message, done, effect.size)
        if call is not None:
            self._calls.append(call)

    def tell_of_peer(self, carrier: Attachment, effect: PeerUp | PeerDown | DuplicateId) -> None:
        """Log it, and tell the program."""
        self._observer.tell_of_neighbour(effect, upstream=carrier.endpoint.routes.upstream)
        if isinstance(effect, DuplicateId):
            self._observer.counters["twins"] += 1
            self._calls.append(self._handlers.duplicate_id(effect.peer, effect.addresses))
        else:
            self._calls.append(self._handlers.neighbour(effect.peer, isinstance(effect, PeerUp)))

    def note(self, carrier: Attachment, effect: Effect) -> None:
        """See `Observer.tell`."""
        del carrier
        self._observer.tell(effect)

    def keep(self) -> None:
        """See `Observer.keep`."""
        self._observer.keep()

    def reconnect(self, carrier: Attachment, effect: Reconnect) -> None:
        """Make the connection to a silent upstream anew, once all is read that it has brought."""
        peer = effect.peer
        self._observer.counters["reconnects"] += 1
        self._observer.warn(peer, f"{peer} answers no probe; connecting anew")
        with self._queue.lock:
            for frames in carrier.sockets.last_words():
                self._take(carrier, peer, frames)
            self._lose(carrier, peer)
        self._hang_up(carrier)

    def _hang_up(self, attachment: Attachment) -> None:
        """Close the connection to the upstream. Another is opened when the backoff says so."""
        attachment.sockets.hang_up()
        now = time.monotonic()
        wait = attachment.backoff.lost(now=now, chance=random.random())
        # One that does not tell connections of one id apart must first hear that the former one is over.
        has_name = bool(attachment.endpoint.next_connection())
        attachment.reconnect_at = now + (wait if has_name else max(wait, HANG_UP_S))
