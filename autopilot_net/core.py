"""Core: an endpoint with its sockets, threads and files, which a node or a station is made of."""

from __future__ import annotations

import copy
import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import zmq
from msgspec.structs import replace

from autopilot_net.addressing import Flags, make_message
from autopilot_net.arguments import check_derived
from autopilot_net.attachment import Attachment
from autopilot_net.defaults import SLOW_HANDLER_S
from autopilot_net.delivery import Delivery
from autopilot_net.driver import Driver
from autopilot_net.durable import Durable
from autopilot_net.errors import AutopilotNetError, DurableRefused
from autopilot_net.handlers import Callbacks
from autopilot_net.message import Message, iso_time
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.effects import Deliver, Effect
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.sockets import Sockets
from autopilot_net.trace_writer import TraceWriter
from autopilot_net.wallclock import epoch

__all__ = ["Core", "timestamp", "wall_time"]

logger = logging.getLogger("autopilot_net")


class Core:
    """One endpoint with its sockets, threads and files, in the process that made it. Labs use a node or a station."""

    def __init__(
        self,
        id: str,
        callbacks: Callbacks,
        *,
        upstream: str | None,
        forwards: bool,
        context: zmq.Context[zmq.Socket[bytes]],
        settings: Settings,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = SLOW_HANDLER_S,
    ) -> None:
        self.id = id
        self._pid = os.getpid()
        self.context = context
        self.settings = settings
        self._told_of_senders = False
        tracer, self._durable = _open_files(id, trace, durable, sync)
        self.driver = Driver(
            id,
            callbacks,
            trace=tracer,
            durable=self._durable,
            slow_handler_s=slow_handler_s,
            behind_bytes=settings.backlog_bytes,
        )
        self.attachment = self._attachment(id, upstream, forwards=forwards, durable=True)
        self.numbers: Iterator[int] = itertools.count()
        """Of messages: the next is for one, and no former life of a durable participant had it."""
        if self._durable is not None:
            self.numbers = self._durable.numbers()
            self._tell_what_waits(self._durable.waiting())

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint. It may be read; changes go through the driver."""
        return self.attachment.endpoint

    @property
    def is_here(self) -> bool:
        """Whether this is the process that made it. A fork has a copy of it, and none of its threads."""
        return os.getpid() == self._pid

    def refuse_fork(self) -> None:
        """Raise `AutopilotNetError` in any other process, before a lock is taken that nobody there would give back."""
        if not self.is_here:
            raise AutopilotNetError(
                f"{self.id} lives in process {self._pid}, and this is process {os.getpid()}, a fork of that, in which "
                "none of its threads run: make a node here, with an id of its own"
            )

    def start(self) -> None:
        """Start the driver. Sockets on `attachment.sockets` must be bound and connected before."""
        self.driver.add(self.attachment)
        self.driver.start()

    def branch(self, id: str, upstream: str, ip: str, port: int, *, durable: bool) -> Attachment:
        """Another endpoint, for a stream, with a DEALER of its own. Call `driver.add` once its source is set."""
        self.refuse_fork()
        check_derived(id, f"the identity of a stream of {self.id}")
        attachment = self._attachment(id, upstream, forwards=False, durable=durable, clock_s=None)
        attachment.sockets.connect(upstream, ip, port)
        return attachment

    def prepare(self, to: str | Sequence[str], key: str, value: Any, *, flags: Flags, **extra: Any) -> Message:
        """A message of ours with an id of its own. `to` may be a list of hops, which stays in it until it is sent."""
        self.refuse_fork()
        at = wall_time(time.monotonic())
        return make_message(self.id, self.numbers, to, key, value, flags=flags, at=at, **extra)

    def send(
        self,
        message: Message,
        *,
        hops: Sequence[str] = (),
        repeat: bool | None,
        wait: bool | None = None,
        expires_after: float | None = None,
    ) -> Delivery:
        """Send what was prepared. In its own threads nothing waits for room: the sender's window bounds it.

        A message built by hand that names another sender is sent unconfirmed: the other would get the confirmation.
        """
        self.refuse_fork()
        if message.get("sender", self.id) != self.id:
            message, repeat = self._unconfirmed(message, repeat), False
        if wait and self.driver.is_own_thread():
            wait = None
        return self.driver.send(
            self.attachment, message, hops=hops, repeat=repeat, wait=wait, expires_after=expires_after
        )

    def _unconfirmed(self, message: Message, repeat: bool | None) -> Message:
        """A copy to send unconfirmed: a listen that passes a message on, as Autopilot's do, may use it further."""
        if not self._told_of_senders and (repeat or (repeat is None and "NOREPEAT" not in message.flags)):
            self._told_of_senders = True
            logger.warning(
                "%s: message %s (%s to %s) names %s as its sender, who would get its confirmation; such messages are "
                "sent without one. To be sure that it is handled, send its key and value, or use prepare_message",
                *(self.id, message.get("id"), message.get("key"), message.get("to"), message.sender),
            )
        copied = copy.copy(message)
        copied["flags"] = dict(message.flags)
        return copied

    def pass_confirmation_on(self, delivery: Delivery) -> None:
        """Once `delivery` is confirmed, call the program's own listen for CONFIRM."""

        def then(done: Delivery) -> None:
            message = Message(id=f"{done.id}_confirmed", to=self.id, sender=done.to, key="CONFIRM", value=done.id)
            message.flags["NOREPEAT"], message.timestamp = True, timestamp(time.monotonic())
            if done.confirmed:
                self.driver.run(self.attachment, lambda _: [Deliver(0, done.to, message)])

        if delivery.sought:
            delivery.then(then)

    def learn(self, name: str, peer: str) -> None:
        """`name` lies behind the neighbour `peer`."""

        def act(now: float) -> list[Effect]:
            return self.endpoint.learn(name, peer, now=now)

        self.driver.run(self.attachment, act)

    def clock_offset(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's; None while that is not known."""
        self.endpoint.epoch = epoch(self.endpoint.epoch)
        return self.endpoint.clock_offset(now=time.monotonic())

    def _tell_what_waits(self, waiting: Mapping[str, int]) -> None:
        for name, count in waiting.items():
            how = "now" if name == self.id else "once that stream is opened again"
            logger.info("%s: %d messages that a former life had yet to deliver go out %s", name, count, how)

    def _attachment(
        self, id: str, upstream: str | None, *, forwards: bool, durable: bool, **changed: Any
    ) -> Attachment:
        incarnation = os.urandom(6).hex()
        saved = self._durable.load(id, incarnation) if self._durable is not None and durable else None
        endpoint = Endpoint(
            id,
            upstream=upstream,
            forwards=forwards,
            incarnation=saved.incarnation if saved else incarnation,
            epoch=epoch(),
            settings=replace(self.settings, **changed),
            saved=saved,
            life=os.urandom(6).hex(),
        )
        return Attachment(endpoint, Sockets(self.context, id))


def _open_files(
    id: str, trace: str | os.PathLike[str] | None, durable: str | os.PathLike[str] | None, sync: str
) -> tuple[TraceWriter | None, Durable | None]:
    """Open the files that are named. If the second is refused, the first is closed."""
    if durable is None and sync != "normal":
        raise DurableRefused(f"{id}: sync={sync!r} says how firmly a file is kept; name the file too, by durable=…")
    tracer = None if trace is None else TraceWriter(os.fspath(trace))
    try:
        return tracer, None if durable is None else Durable(durable, id, sync=sync)
    except Exception:
        if tracer is not None:
            tracer.close()
        raise


def timestamp(now: float) -> str:
    """ISO 8601, in UTC, of a monotonic time of this process, as the wall clock is set by now."""
    return iso_time(wall_time(now))


def wall_time(now: float) -> float:
    """The wall-clock time, in seconds, at the monotonic time `now` of this process, as the wall clock is set by now."""
    return time.time() + (now - time.monotonic())
