"""What a node and a station have in common: how messages are made and sent, and how a listen is found and called."""

from __future__ import annotations

import copy
import inspect
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import zmq
from msgspec.structs import replace

from autopilot_net.arguments import check_derived
from autopilot_net.attachment import Attachment
from autopilot_net.delivery import Delivery
from autopilot_net.driver import Driver
from autopilot_net.durable import Durable
from autopilot_net.errors import AutopilotNetError, BadMessage, DurableRefused
from autopilot_net.handlers import Callbacks
from autopilot_net.loglimit import LogLimit, shown
from autopilot_net.message import Message
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.effects import Deliver, Effect
from autopilot_net.protocol.endpoint import Endpoint, Settings
from autopilot_net.protocol.ids import DERIVED_BYTES, why_no_id
from autopilot_net.sockets import Sockets
from autopilot_net.trace_writer import TraceWriter
from autopilot_net.wallclock import epoch

__all__ = ["Listen", "Core", "SignatureCache", "timestamp", "wants_message"]

logger = logging.getLogger("autopilot_net")
log_limit = LogLimit(logger)

TRACE_LINES = 60

Listen = Callable[..., Any]
OWN_KEYS = ("GONE", "BACK", "CLOCK")  # which the core reads itself
Flags = Iterable[str] | Mapping[str, Any] | None


class Core:
    """One endpoint with its sockets and threads, in whatever process makes it. Labs use a node or a station."""

    def __init__(
        self,
        id: str,
        host: Callbacks,
        *,
        upstream: str | None,
        forwards: bool,
        context: zmq.Context[zmq.Socket[bytes]],
        settings: Settings,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = 5.0,
    ) -> None:
        self.id = id
        self._pid = os.getpid()
        self.context = context
        self.settings = settings
        self._told_of_senders = False
        if durable is None and sync != "normal":
            raise DurableRefused(f"{id}: sync={sync!r} says how firmly a file is kept; name the file too, by durable=…")
        tracer = None if trace is None else TraceWriter(os.fspath(trace))
        try:
            self._durable = None if durable is None else Durable(durable, id, sync=sync)
        except Exception:
            if tracer is not None:
                tracer.close()
            raise
        self.driver = Driver(
            id,
            host,
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
        """The core. Read it; what changes it goes through the driver."""
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
        """Begin: sockets were bound and connected on `attachment.sockets` before."""
        self.driver.add(self.attachment)
        self.driver.start()

    def branch(self, id: str, upstream: str, ip: str, port: int, *, durable: bool) -> Attachment:
        """Another endpoint, for a stream, with a DEALER of its own. `driver.add` it once its source is set."""
        self.refuse_fork()
        check_derived(id, f"the identity of a stream of {self.id}")
        attachment = self._attachment(id, upstream, forwards=False, durable=durable, clock_s=None)
        attachment.sockets.connect(upstream, ip, port)
        return attachment

    def prepare(
        self, to: str | Sequence[str], key: str, value: Any, *, flags: Flags, **extra: Any
    ) -> Message:
        """A message of ours with an id of its own. `to` may be a list of hops, which it keeps until it is sent."""
        self.refuse_fork()
        hops = hops_of(to, f"{self.id} cannot send {key}")
        if key in OWN_KEYS:
            raise BadMessage(f"{self.id} cannot send {key} to {to!r}: stations say that to each other; take another")
        return Message(
            id=f"{self.id}_{next(self.numbers)}",
            to=hops[-1] if len(hops) == 1 else hops,
            sender=self.id,
            key=key,
            value=value,
            timestamp=timestamp(time.monotonic()),
            flags=dict(flags) if isinstance(flags, Mapping) else dict.fromkeys(_several(flags), True),
            **extra,
        )

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

        What names another sender is sent unconfirmed, for that one would get its confirmation.
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
        """A copy to be sent: a listen that passes on what it got, as Autopilot's do, goes on with what it got."""
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
        """Once `delivery` is confirmed, hand that to the listen for CONFIRM, of a program that has one."""

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


def _several(flags: Iterable[str] | None) -> Iterable[str]:
    """Flags, of which one alone may be given as it is."""
    return (flags,) if isinstance(flags, str) else flags or ()


def timestamp(now: float) -> str:
    """ISO 8601, in UTC, of a monotonic time of this process, as the wall clock is set by now."""
    return datetime.fromtimestamp(time.time() + (now - time.monotonic()), UTC).isoformat()


def address(message: Message, to: str | Sequence[str] | None, flags: Flags = None) -> list[str]:
    """Make a prepared `message` one to `to`, if that is given, with `flags` too; the explicit hops, if there are any.

    One that its program made, rather than `prepare`, is given the time at which it is sent.
    """
    hops = hops_of(message.to if to is None else to, f"message {message.get('id')} cannot go")
    message.to = hops[-1]
    message.flags.update(flags if isinstance(flags, Mapping) else dict.fromkeys(flags or (), True))
    if "timestamp" not in message:
        message.timestamp = timestamp(time.monotonic())
    return hops if len(hops) > 1 else []


def hops_of(to: str | Sequence[str], what: str) -> list[str]:
    """`to` as hops, the last of which is the recipient. Raises a `BadMessage` that begins with `what` for no ids."""
    hops = [to] if isinstance(to, str) else list(to) if isinstance(to, Iterable) else []
    refused = f"{what} to {to!a:.100}: a recipient is an id, or a list of ids, the stations on the way first"
    if not hops:
        raise BadMessage(f"{refused}, and here is none")
    for hop in hops:
        why = why_no_id(hop, bound=DERIVED_BYTES)
        if why is not None:
            raise BadMessage(f"{refused}, and {hop!a:.80} is none: {why}")
    return hops


def find_listen(listens: Mapping[str, Listen], message: Message, who: str) -> Listen | None:
    """The listen for the key of `message`; a warning, and None, where there is none."""
    listen = listens.get(message.key)
    if listen is None:
        key, sender = shown(message.key), shown(message.sender)
        sentence = f"{who}: nobody listens for {key}, which {sender} sent (message {shown(message.id)})"
        log_limit.log(logging.WARNING, (who, "unheard", message.key[:100], message.sender[:100]), sentence)
    return listen


def log_exception(who: str, message: Message, error: BaseException, trace: str) -> None:
    """Log what the handler of `message` raised. Of a handler that raises the same again and again, now and then."""
    lines = "\n".join(shown(line, at_most=300) for line in trace.splitlines()[-TRACE_LINES:])
    thing = (who, "raised", message.key[:100], type(error).__name__)
    log_limit.log(logging.ERROR, thing, f"{who}: the handler of {shown(message.key)} raised\n{lines}")


class SignatureCache:
    """Which listens declare that they take the `Message`, looked at once each: it costs more than most listens do."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Listen, bool]] = {}

    def message(self, key: str, listen: Listen) -> bool:
        """Whether `listen`, which stands under `key` now, takes the `Message`."""
        known = self._known.get(key)
        if known is None or known[0] is not listen:
            known = self._known[key] = (listen, wants_message(listen))
        return known[1]


def wants_message(listen: Listen) -> bool:
    """Whether a listen declares that it takes the `Message`: its first parameter is annotated so."""
    try:
        parameters = list(inspect.signature(listen).parameters.values())
    except (TypeError, ValueError):
        return False
    return bool(parameters) and parameters[0].annotation in (Message, "Message", "autopilot_net.Message")


def tell_of_twins(who: str, peer: str, addresses: tuple[str, str]) -> dict[str, str]:
    """Log that two are both `peer`, as `who` has seen; the value of the ERROR that tells the terminal."""
    one, other = addresses
    where = f"one at {one}, one at {other}" if one != other else f"both at {one}"
    sentence = (
        f"two that run are both {peer}, {where}: {who} hears now one and now the other, and what is sent to {peer} "
        "reaches either. Stop one of them, or give it an id of its own"
    )
    logger.warning("%s: %s", who, sentence)
    return {"machine": peer.removeprefix("_"), "exception": sentence, "traceback": ""}


def gone(owner: object, name: str, instead: Mapping[str, str]) -> AttributeError:
    """The error for a name that Autopilot has and that would be hollow here."""
    kind = type(owner).__name__
    if name in instead:
        return AttributeError(f"{kind} has no {name!r}: {instead[name]}")
    return AttributeError(f"{kind!r} object has no attribute {name!r}")


def refuse_closed(who: str) -> AutopilotNetError:
    """The error for what is asked of a station outside its own process."""
    return AutopilotNetError(
        f"station {who} sends from its own process alone, in its listens; other processes take part by a Net_Node"
    )
