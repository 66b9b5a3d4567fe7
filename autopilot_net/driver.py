"""Driver: runs endpoints on real sockets, for a node or a station.

Two threads: the I/O thread (`io_thread.py`) owns every socket, and the handler thread (`handlers.py`) runs a lab's
handlers. Any thread may send: it runs the endpoint under the lock, and the effects queue up for the I/O thread. A
handler that blocks delays other handlers, never forwarding, repeats or confirmations.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from autopilot_net.attachment import Attachment
from autopilot_net.defaults import SLOW_HANDLER_S
from autopilot_net.delivery import Delivery
from autopilot_net.durable import Durable
from autopilot_net.effect_queue import EffectQueue
from autopilot_net.errors import AutopilotNetError, WaitInHandler, WindowFull
from autopilot_net.handlers import Callbacks, Handlers
from autopilot_net.interpreter import new_delivery
from autopilot_net.io_thread import IoThread
from autopilot_net.message import Message
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Effect
from autopilot_net.trace_writer import TraceWriter

__all__ = ["Driver"]

logger = logging.getLogger("autopilot_net")

CLOSE_S = 5.0  # how long closing waits for a handler that does not return
ROOM_S = 5.0  # how long a sender waits for room until it is logged


class Driver:
    """Runs endpoints. Call `start` once the first is added. `stop` waits for the last messages to leave."""

    def __init__(
        self,
        name: str,
        callbacks: Callbacks,
        *,
        trace: TraceWriter | None = None,
        durable: Durable | None = None,
        slow_handler_s: float = SLOW_HANDLER_S,
        behind_bytes: int = 64 << 20,
    ) -> None:
        self.name = name
        self.broken: BaseException | None = None  # the error that ended a thread before `stop`
        self.on_broken: Callable[[], Any] = lambda: None
        self.on_reached: Callable[[bool], Any] = lambda _: None  # of the first upstream; called in the I/O thread
        self._stopped = False  # by `stop`, which may be called again
        self._observer = Observer(name, trace=trace, durable=durable)
        self.queue = EffectQueue(name, self._observer)
        self.handlers = Handlers(
            name,
            callbacks,
            slow_handler_s=slow_handler_s,
            behind_bytes=behind_bytes,
            ended=lambda error: self._break(error, "handler thread"),
        )
        self.io = IoThread(
            name,
            self.queue,
            self.handlers,
            self._observer,
            ended=lambda error: self._break(error, "I/O thread"),
            reached=self._tell_reached,
        )

    def start(self) -> None:
        """Start both threads."""
        self.handlers.start()
        self.io.start()

    def stop(self) -> None:
        """Stop both threads and close every socket. A call too many is harmless."""
        with self.queue.lock:
            already, self._stopped = self._stopped, True
        if already or not self.io_thread.ident:
            return
        self.handlers.stop(CLOSE_S)  # first, so that what it handled last is confirmed
        self.queue.stop()
        self.queue.wake()
        if self.io_thread is not threading.current_thread():
            self.io_thread.join(CLOSE_S)

    def add(self, attachment: Attachment) -> None:
        """Run `attachment` too. Its sockets were made by the caller, who must not touch them any more."""
        self.queue.add(attachment)

    def retire(self, attachment: Attachment) -> None:
        """Close the sockets of `attachment` once what it sent has left. Called under the lock."""
        self.queue.retire(attachment)

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

        If more messages await confirmation than the window allows, `wait` True blocks until there is room, False raises
        `WindowFull`, and None queues: what a relay passes on is bounded by the windows of its senders.
        """
        with self.queue.lock:
            if repeat or (repeat is None and "NOREPEAT" not in message.flags):
                self._await_room(attachment, message, wait=wait)
            self._refuse_closed()
            effects = attachment.endpoint.send(
                message, hops=hops, repeat=repeat, expires_after=expires_after, now=time.monotonic()
            )
            delivery = new_delivery(
                attachment,
                message,
                handler_thread=self.handlers.ident,
                io_thread=self.io_thread.ident,
                raised=self.handlers.callback_raised,
            )
            self.queue.put(attachment, effects)
        self.queue.wake()
        if delivery.sought:
            self._observer.keep()
        return delivery

    def run(self, attachment: Attachment, act: Callable[[float], list[Effect]]) -> None:
        """Do `act(now)` to the endpoint of `attachment`, under the lock, and carry out its effects."""
        self.queue.run(attachment, act)

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Block until `condition` holds, the driver stops, or `timeout` is over. Returns whether it holds.

        It is checked whenever something is settled. Raises `WaitInHandler` in the I/O thread, which settles things.
        """
        with self.queue.lock:
            if threading.get_ident() == self.io_thread.ident and not condition():
                raise WaitInHandler(
                    f"{self.name}: the callback of a delivery would wait for room, in the thread that makes it: "
                    "append to a stream that drops its oldest item, or do it in a listen or a thread of the program's"
                )
            self.queue.changed.wait_for(lambda: self.queue.is_stopping or condition(), timeout)
            return condition()

    @property
    def counters(self) -> Counter[str]:
        """What was dropped, expired, missing and the like, counted."""
        return self._observer.counters

    @property
    def is_closed(self) -> bool:
        """Whether nothing is sent any more."""
        return self.queue.is_stopping

    @property
    def io_thread(self) -> threading.Thread:
        """The thread that owns the sockets."""
        return self.io.thread

    @property
    def is_reached(self) -> bool:
        """Whether the upstream of the first endpoint is there, and has the id that was given."""
        attachments = self.queue.attachments
        return bool(attachments) and attachments[0].is_reached and not self.queue.is_stopping

    def is_own_thread(self) -> bool:
        """Whether the calling thread is one of the driver's, which must not wait for the other."""
        return threading.get_ident() in (self.handlers.ident, self.io_thread.ident)

    def _tell_reached(self, is_reached: bool) -> None:
        self.on_reached(is_reached)

    def _break(self, error: BaseException, what: str) -> None:
        """A thread has ended early: a station ends too, and a node says so at every call."""
        self.broken = error
        logger.critical("%s: its %s ended; please report this", self.name, what, exc_info=error)
        self.on_broken()

    def _refuse_closed(self) -> None:
        if self.broken is not None:
            raise AutopilotNetError(
                f"{self.name} sends nothing any more: one of its threads ended with {self.broken!r}, which the log has "
                "in full. Release it and make another"
            ) from self.broken
        if self.queue.is_stopping:
            raise AutopilotNetError(f"{self.name} is closed, and sends nothing")

    def _await_room(self, attachment: Attachment, message: Message, *, wait: bool | None) -> None:
        self._refuse_closed()
        outbox = attachment.endpoint.outbox
        if wait is None or outbox.room(message.to):
            return
        if not wait:
            raise WindowFull(f"{len(outbox)} messages await confirmation; message {message.id} was not sent")
        began = time.monotonic()
        while not self.queue.changed.wait_for(lambda: self.queue.is_stopping or outbox.room(message.to), ROOM_S):
            waited, count = time.monotonic() - began, outbox.count(message.to)
            self._observer.warn(
                f"room for {message.to}",
                f"send has waited for {waited:.0f} s for room: {count:,} messages to {message.to} await confirmation; "
                "is it there, and does it handle them? (wait=False refuses instead)",
            )
