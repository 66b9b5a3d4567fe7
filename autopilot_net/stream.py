"""A program's queue of items, and the pump that turns it into messages. A stream has an endpoint of its own."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from autopilot_net.addressing import hops_of
from autopilot_net.arguments import check_id, port_of
from autopilot_net.codec import encode
from autopilot_net.core import Core, timestamp
from autopilot_net.errors import AutopilotNetError, BadMessage, WindowFull
from autopilot_net.listening import gone
from autopilot_net.message import Message
from autopilot_net.protocol.effects import Dropped, Effect
from autopilot_net.protocol.streams import END, Batcher

if TYPE_CHECKING:
    from autopilot_net.attachment import Attachment
    from autopilot_net.driver import Driver

__all__ = ["Stream", "StreamOptions", "open_stream"]

DRAIN_S = 10.0  # how long a stream that is opened anew waits for what its namesake has yet to deliver
FLUSH_S = 10.0  # how long the last items of an unreliable stream may take, if the upstream does not report them read

_NOT_A_QUEUE = "what is appended is sent, and whoever it is sent to gets it in the listen for the stream's key"
_IN_ORDER = "items go out in the order in which they are appended"
_NO_THREAD = "there is no thread of its own; `join()` waits until all is sent"
_NOT_A_PROCESS = "it sends by itself from when it was opened; `close()`, or appending 'END', ends it"
INSTEAD = {
    **dict.fromkeys(("get", "get_nowait", "pop", "popleft", "popitem", "task_done"), _NOT_A_QUEUE),
    **dict.fromkeys(("appendleft", "insert"), _IN_ORDER),
    **dict.fromkeys(("start", "run", "terminate", "kill", "release", "stop"), _NOT_A_PROCESS),
    **dict.fromkeys(("cancel_join_thread", "join_thread"), _NO_THREAD),
    "clear": "what was appended will be sent; open it with `drop_oldest` where only the latest items count",
    "maxlen": "say `q_size` when it is opened, and `full()` tells whether so many wait",
    "send": "`append` an item, or have the node `send` a message",
}


class _Full(WindowFull, queue.Full):
    """The queue of a stream is full, as an error that code for queues expects."""


class StreamOptions(Struct, frozen=True):
    """How a stream is sent: to whom, under which key, with which headers, in which batches."""

    to: str
    key: str
    headers: dict[str, Any]
    min_size: int = 5
    max_delay: float = 0.1
    q_size: int | None = None  # items that wait; a thousand, or one batch, if None
    reliable: bool = True
    drop_oldest: bool = False

    @property
    def capacity(self) -> int:
        """How many items may wait."""
        return self.q_size or max(1_000, self.min_size)

    def check(self) -> None:
        """Raise `AutopilotNetError` for sizes that make no batch."""
        if self.min_size < 1 or self.capacity < self.min_size:
            sizes = f"{self.min_size} and {self.capacity}"
            raise AutopilotNetError(f"a stream needs min_size >= 1 and q_size >= min_size, not {sizes}")


class Stream:
    """A queue of items to one recipient, made by `Net_Node.get_stream`. `'END'`, or `close`, ends it.

    What is left is sent first. Items are dicts, scalars or arrays, of any shape and any dtype that a message carries. A
    reliable stream is confirmed and in order. One that is not reliable is not repeated, and its receiver is told of
    gaps. A full queue blocks `append`, or with `drop_oldest` loses its oldest item, which is counted in `dropped`. Any
    thread may append, except a handler that must return before the queue can empty.
    """

    def __init__(
        self, driver: Driver, attachment: Attachment, options: StreamOptions, *, numbers: Iterator[int], now: Any
    ) -> None:
        self.id = attachment.endpoint.id
        self.to = options.to
        self.key = options.key
        self.dropped = 0
        self._pid = os.getpid()
        self._driver = driver
        self._attachment = attachment
        self._options = options
        self._batcher = Batcher(min_size=options.min_size, max_delay=options.max_delay)
        self._numbers = numbers
        self._now = now
        self._gives_up_at: float | None = None  # when its socket is closed, whether or not all has left it
        self._has_left = False

    def __len__(self) -> int:
        return len(self._batcher)

    def __getattr__(self, name: str) -> Any:
        raise gone(self, name, INSTEAD)

    @property
    def ended(self) -> bool:
        """Whether it was closed."""
        return self._batcher.ended

    def append(self, item: Any) -> None:
        """Add one item. Raises `AutopilotNetError` after the end; ending it twice is harmless."""
        self._refuse_fork()
        if isinstance(item, str) and item == END:
            self.close()
            return
        if not self._options.drop_oldest:
            self._driver.wait_until(lambda: self.ended or len(self._batcher) < self._options.capacity)
        self._driver.run(self._attachment, lambda now: self._append(item, now))

    def extend(self, items: Iterable[Any]) -> None:
        """Add several."""
        for item in items:
            self.append(item)

    put = append

    def put_nowait(self, item: Any) -> None:
        """Add one item if there is room. If there is none, raises `WindowFull`, which is a `queue.Full` too."""
        is_end = isinstance(item, str) and item == END
        if not (is_end or self.ended or self._options.drop_oldest) and self.full():
            raise _Full(f"stream {self.id} holds {len(self)} items, and takes no more for now")
        self.append(item)

    def qsize(self) -> int:
        """How many items have yet to be sent."""
        return len(self)

    def empty(self) -> bool:
        """Whether none has."""
        return not len(self)

    def full(self) -> bool:
        """Whether `append` would block, or lose the oldest item."""
        return len(self) >= self._options.capacity

    def join(self, timeout: float | None = None) -> None:
        """Wait until every item is sent, or `timeout` seconds; see `wait`, which says which."""
        self.wait(timeout)

    def is_alive(self) -> bool:
        """Whether it takes items, or has some to send."""
        return not (self._driver.is_closed or (self.ended and self.wait(0)))

    def close(self) -> None:
        """Send what is left, and end. Does nothing if the stream or its node has ended, or in a fork of its process."""
        if os.getpid() == self._pid and not self._driver.is_closed:
            self._driver.run(self._attachment, self._end)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every item is sent; False if `timeout` (seconds) came first.

        For a reliable stream: until each item is settled. For another that has ended: until its upstream has read the
        items, or has not said so for 10 s.
        """
        self._refuse_fork()
        return self._driver.wait_until(self._is_over, timeout)

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise AutopilotNetError(
                f"stream {self.id} lives in process {self._pid}, and this is process {os.getpid()}, a fork of that, in "
                "which nothing sends it: make a node here, with an id of its own, and open a stream of that"
            )

    # -- the pump, for the I/O thread, under its lock --------------------------------------------------------------

    def pump(self, now: float) -> list[Effect]:
        """The batches that are due and that the window has room for."""
        effects: list[Effect] = []
        while self._batcher.due(now=now) and self._has_room():
            effects += self._send(now)
        if self.ended and self.is_sent():
            effects += self._leave(now)
        return effects

    def next_timer(self) -> float | None:
        """When a batch falls due, if it could then be sent, or the socket is to be closed at the latest."""
        if self._gives_up_at is not None:
            return None if self._has_left else self._gives_up_at
        return self._batcher.next_timer() if self._has_room() else None

    def _has_room(self) -> bool:
        endpoint = self._attachment.endpoint
        if self._options.reliable:
            return endpoint.outbox.room(self.to)
        # Frames that wait in the endpoint, unsent, are lost when the socket closes.
        return endpoint.routes.was_up and not endpoint.router.waiting_peers()

    def _leave(self, now: float) -> list[Effect]:
        """Close the socket once its last frames have left: a closed socket lingers less long than a slow link takes."""
        flush: list[Effect] = []
        if not self._options.reliable and self._gives_up_at is None:
            self._gives_up_at = now + FLUSH_S
            flush = self._attachment.endpoint.flush(now=now)
        if self._gives_up_at is None or self._attachment.endpoint.is_flushed() or now >= self._gives_up_at:
            self._has_left = True
            self._driver.retire(self._attachment)
        return flush

    def _is_over(self) -> bool:
        return self.is_sent() and (self._options.reliable or self._has_left or not self.ended)

    def is_sent(self) -> bool:
        """Whether every item is sent and, of a reliable stream, settled. Called under the lock."""
        endpoint = self._attachment.endpoint
        return not (len(self._batcher) or len(endpoint.outbox) or endpoint.router.waiting_peers())

    def _end(self, now: float) -> list[Effect]:
        if not self.ended:
            self._batcher.append(END, now=now)
        return self.pump(now)

    def _append(self, item: Any, now: float) -> list[Effect]:
        if self._driver.is_closed:
            raise AutopilotNetError(f"stream {self.id} takes no item, for {self._driver.name} is closed")
        if self.ended:
            raise AutopilotNetError(f"stream {self.id} has ended; open another")
        if self._options.drop_oldest and len(self._batcher) >= self._options.capacity:
            self._batcher.drop_oldest()
            self.dropped += 1
            self._driver.counters["dropped"] += 1
        self._batcher.append(item, now=now)
        return self.pump(now)

    def _send(self, now: float) -> list[Effect]:
        first, items = self._batcher.take()
        batch, lost = items, list[Effect]()
        while batch:
            try:
                message = self._message(first, batch, now)
                return [*lost, *self._attachment.endpoint.send(message, repeat=self._options.reliable, now=now)]
            except BadMessage as error:
                good = [item for item in batch if _can_travel(item)]
                batch = good if len(good) < len(batch) else []
                lost = [Dropped(str(error), self.id, self.to, len(items) - len(batch))]
        return lost

    def _message(self, first: int, items: list[Any], now: float) -> Message:
        flags = {"MINPRINT": True} if self._options.reliable else {"MINPRINT": True, "NOREPEAT": True}
        gaps = {} if self._options.reliable else {"first": first, "items": len(items)}
        common: dict[str, Any] = {
            "id": f"{self.id}_{next(self._numbers)}",
            "to": self.to,
            "sender": self.id,
            "flags": flags,
            "timestamp": self._now(now),
            **gaps,
        }
        if self._batcher.min_size == 1:
            return Message(**common, key=self.key, value=items[0], **self._options.headers)
        value = {"inner_key": self.key, "headers": self._options.headers, "payload": items}
        return Message(**common, key="STREAM", value=value)


def open_stream(
    core: Core, id: str, options: StreamOptions, way: tuple[str, str, object], *, former: Stream | None
) -> Stream:
    """A stream of the node of `core`, with a connection of its own to `way`: an upstream, its address and its port.

    `former` is the last stream of this name: see `Net_Node.get_stream`.
    """
    upstream, ip, port = way
    name = f"{core.id}_{id}"
    if former is not None and not (former.ended and former.wait(DRAIN_S)):
        raise AutopilotNetError(f"stream {name} is open, or still being sent; end it before it is opened again")
    check_id(upstream, f"the upstream of stream {name}")
    options = replace(options, to=hops_of(options.to, f"stream {name} cannot go")[-1])
    number = port_of(port, f"the port of the upstream of stream {name}")
    options.check()
    attachment = core.branch(name, upstream, ip, number, durable=options.reliable)
    stream = attachment.source = Stream(core.driver, attachment, options, numbers=core.numbers, now=timestamp)
    core.driver.add(attachment)
    return stream


def _can_travel(item: Any) -> bool:
    try:
        encode(item)
    except BadMessage:
        return False
    return True
