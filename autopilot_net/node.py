"""Net_Node: how a program takes part, in its own process."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import zmq

from autopilot_net.delivery import Delivery
from autopilot_net.errors import AutopilotNetError, WindowFull
from autopilot_net.message import Message, expand
from autopilot_net.participant import (
    Listen,
    Participant,
    find_listen,
    gone,
    handle_items,
    split_hops,
    timestamp,
    wants_message,
)
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox import Window
from autopilot_net.roles.coherence import Ledger
from autopilot_net.stream import Stream

__all__ = ["Net_Node"]

logger = logging.getLogger("autopilot_net")

DRAIN_S = 10.0  # how long a stream that is opened anew waits for what its namesake has yet to deliver
INSTEAD = {
    "loop": "there is no tornado loop; threads are the node's own, and `release()` ends them",
    "file_block": "files are pulled in parts by the station, and nothing waits for them",
}


class Net_Node:  # noqa: N801  # the name that labs' programs import
    """Connects a program to its station `upstream`, at `upstream_ip`:`port`, under the identity `id`.

    `listens` maps a message's key to a handler, which gets the message's *value*, arrays expanded unless
    `expand_on_receive` is False; a handler whose first parameter is annotated `Message` gets the message. Handlers run
    one at a time, in a thread of the node's own, in order of arrival; one that returns a delivery handle is done when
    that is settled, and one with an attribute `concurrent = True` runs beside the others. With `router_port` the node
    also listens there, so that other nodes can connect to it with no station between. Nodes made with `instance=True`
    share one zmq context in the process. Threads are daemons whatever `daemon` says. Safe to use from any thread.

    With `durable`, the path of a file that is made if it is not there, what was sent with `repeat=True` and is not yet
    confirmed is sent on by the next node of this id that is given the same file, in order; and what was handled is not
    handled again. `send` returns when it is kept. It outlives the death of the process; a loss of power only with
    `sync="full"`, where each commit waits for the disk. Raises `DurableRefused` for a file that is not this node's.
    """

    def __init__(
        self,
        id: str,
        upstream: str,
        port: int,
        listens: Mapping[str, Listen] | None = None,
        instance: bool = True,
        upstream_ip: str = "localhost",
        router_port: int | None = None,
        daemon: bool = True,
        expand_on_receive: bool = True,
        *,
        listen_ip: str = "127.0.0.1",
        repeat_interval: float = 5.0,
        window: Window | None = None,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = 5.0,
    ) -> None:
        self.id = id
        self.upstream = upstream
        self.port = int(port)
        self.listens: dict[str, Listen] = {"STREAM": self.l_stream, "COHERE": self._l_cohere, **(listens or {})}
        self.daemon = daemon
        self.repeat_interval = repeat_interval
        self.msgs_received = 0
        self.closing = threading.Event()
        self.streams: dict[str, Stream] = {}
        self.ledger = Ledger()
        self._ledger_lock = threading.Lock()
        self._expand = expand_on_receive
        self._upstream_ip = "127.0.0.1" if upstream_ip == "localhost" else upstream_ip
        self.context = zmq.Context.instance() if instance else zmq.Context()
        self._owns_context = not instance
        self._core = Participant(
            id,
            self,
            upstream=upstream,
            forwards=False,
            context=self.context,
            settings=Settings(repeat_interval=repeat_interval, window=window or Window()),
            trace=trace,
            durable=durable,
            sync=sync,
            slow_handler_s=slow_handler_s,
        )
        pipes = self._core.line.pipes
        try:
            self.router_port = None if router_port is None else pipes.bind(listen_ip, router_port)
            pipes.connect(upstream, self._upstream_ip, self.port)
        except Exception:
            self._core.start()  # what was opened so far is closed by the threads that would have used it
            self.release()
            raise
        self._core.start()

    def __getattr__(self, name: str) -> Any:
        raise gone(self, name, INSTEAD)

    def __enter__(self) -> Net_Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def senders(self) -> dict[str, None]:
        """The nodes that are connected to this node's own router, in the order in which they came."""
        return dict(self._core.endpoint.routes.below)

    @property
    def router(self) -> int | None:
        """The port this node listens at, if it does."""
        return self.router_port

    @property
    def outbox(self) -> dict[str, Message]:
        """What awaits its confirmation, by id."""
        return self._core.endpoint.outbox.messages()

    @property
    def loop_thread(self) -> threading.Thread:
        """The I/O thread."""
        return self._core.driver.io_thread

    @property
    def counters(self) -> Mapping[str, int]:
        """What was dropped, expired or missing, counted."""
        return dict(self._core.driver.counters)

    @property
    def ip(self) -> str:
        """The address under which other machines most likely reach this one; loopback where there is no network."""
        return own_ip()

    # -- sending -------------------------------------------------------------------------------------------------

    def prepare_message(
        self,
        to: str | Sequence[str],
        key: str,
        value: Any,
        repeat: bool = False,
        flags: Iterable[str] | Mapping[str, Any] | None = None,
        blosc: bool = False,
    ) -> Message:
        """A message of this node's with an id of its own, to be changed and then sent by `send(msg=…)`."""
        message = self._core.prepare(to, key, value, flags=flags, blosc=blosc)
        if not repeat:
            message.flags["NOREPEAT"] = True
        return message

    def send(
        self,
        to: str | Sequence[str] | None = None,
        key: str | None = None,
        value: Any = None,
        msg: Message | None = None,
        repeat: bool = False,
        flags: Iterable[str] | Mapping[str, Any] | None = None,
        force_to: bool = False,
        blosc: bool = False,
        *,
        wait: bool = True,
        expires_after: float | None = None,
    ) -> Delivery:
        """Send `key` with `value`, or a prepared `msg`, to `to` (the upstream if None; a list means hops).

        With `repeat` it is repeated until it is handled, or expires; the handle says which. `force_to` insists that
        `to` is connected to this node's own router. While more awaits confirmation than the window allows, it
        blocks, or with `wait=False` raises `WindowFull`; in a handler it queues. `expires_after` is in seconds.
        Raises `BadMessage`, naming the part, for what JSON cannot carry.
        """
        if msg is not None and to:
            msg.to = to if isinstance(to, str) else to[-1]
        to = to or (msg.to if msg is not None else self.upstream)
        if msg is None:
            if not key:
                raise AutopilotNetError(f"{self.id} was to send a message to {to} without a key")
            msg = self.prepare_message(to, key, value, repeat=repeat, flags=flags, blosc=blosc)
        if force_to and msg.to not in self._core.endpoint.routes.below:
            raise AutopilotNetError(f"{msg.to} is not connected to the router of {self.id}, so force_to cannot hold")
        repeat = repeat or "NOREPEAT" not in msg.flags
        options: dict[str, Any] = {"hops": split_hops(to), "repeat": repeat, "expires_after": expires_after}
        if msg.key == "DATA":
            return self._send_data(msg, wait, options)
        return self._core.send(msg, wait=wait, **options)

    def _send_data(self, msg: Message, wait: bool, options: dict[str, Any]) -> Delivery:
        """Send, and note in the ledger what was sent and nothing else, in the order in which it went.

        Never waits with the lock in hand: an answer to COHERE, in the handler thread, takes it too.
        """
        driver = self._core.driver
        at_once = None if wait and driver.is_own_thread() else False
        while True:
            try:
                with self._ledger_lock:
                    delivery = self._core.send(msg, wait=at_once, **options)
                    self.ledger.record(msg.id, msg.value)
                    return delivery
            except WindowFull:
                if not wait:
                    raise
            driver.wait_until(lambda: self._core.endpoint.outbox.room(msg.to))

    def get_stream(
        self,
        id: str,
        key: str,
        min_size: int = 5,
        upstream: str | None = None,
        port: int | None = None,
        ip: str | None = None,
        subject: str | None = None,
        q_size: int | None = None,
        *,
        to: str | None = None,
        pilot: str | None = None,
        max_delay: float = 0.1,
        reliable: bool = True,
        drop_oldest: bool = False,
    ) -> Stream:
        """A queue whose items reach the listen for `key` at `to` (the upstream if None), in order.

        It connects on its own, as `{node}_{id}`, to the node's station or to `upstream` at `ip`:`port`. Items go out
        in batches of `min_size`, or when the oldest is `max_delay` seconds old. `q_size` (1,000 items if None) bounds
        what waits. `subject` and `pilot` (the node's machine if None) go along with every item.
        """
        name = f"{self.id}_{id}"
        if self.closing.is_set():
            raise AutopilotNetError(f"{self.id} is closed, and opens no stream {name}")
        former = self.streams.get(id)
        if former is not None and not (former.ended and former.wait(DRAIN_S)):
            raise AutopilotNetError(f"stream {name} is open, or still being sent; end it before it is opened again")
        upstream = upstream or self.upstream
        line = self._core.branch(name, upstream, ip or self._upstream_ip, port or self.port, durable=reliable)
        headers = {"subject": subject, "pilot": pilot or self.id.removeprefix("_"), "continuous": True}
        stream = Stream(
            self._core.driver,
            line,
            to=to or upstream,
            key=key,
            headers=headers,
            min_size=min_size,
            max_delay=max_delay,
            q_size=q_size or max(1_000, min_size),
            reliable=reliable,
            drop_oldest=drop_oldest,
            now=timestamp,
        )
        line.source = stream
        self._core.driver.add(line)
        self.streams[id] = stream
        return stream

    def release(self) -> None:
        """End the node: what was sent last has a moment to leave, the threads stop, the sockets close."""
        self.closing.set()
        self._core.driver.stop()
        if self._owns_context:
            self.context.term()

    # -- receiving -----------------------------------------------------------------------------------------------

    def on_message(self, message: Message) -> Any:
        """Call the listen for what came in."""
        self.msgs_received += 1
        listen = find_listen(self.listens, message, self.id)
        if listen is None:
            return None
        if self._expand:
            message.value = expand(message.value)
        return listen(message if wants_message(listen) else message.value)

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """A node acts on nothing but messages."""

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        """Tell the terminal why a program stopped: nobody should have to log in to a Pi for it."""
        logger.error("%s: the handler of %s raised\n%s", self.id, message.key, trace)
        if message.key != "ERROR" and not self.closing.is_set():
            self.report(error, trace)

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        """Tell it likewise of the callback of a delivery."""
        if not self.closing.is_set():
            self.report(error, trace)

    def report(self, error: BaseException, trace: str) -> Delivery:
        """Send an exception home, as an ERROR message."""
        facts = {"machine": self.upstream, "exception": f"{type(error).__name__}: {error}", "traceback": trace}
        return self.send(self.upstream, "ERROR", facts, repeat=True)

    def is_concurrent(self, message: Message) -> bool:
        """Whether the listen for `message` may run beside others."""
        return bool(getattr(self.listens.get(message.key), "concurrent", False))

    def l_confirm(self, message: Message) -> None:
        """CONFIRMs settle delivery handles before any listen is called; this is for programs that name it."""

    def l_stream(self, message: Message) -> Any:
        """Call the listen for a batch's inner key with each item, in order."""
        return handle_items(message, self._handle_item, self.on_exception, update=False)

    def _handle_item(self, item: Message) -> Any:
        listen = find_listen(self.listens, item, self.id)
        if listen is None:
            return None
        return listen(item if wants_message(listen) else item.value)

    def _l_cohere(self, message: Message) -> Delivery | None:
        question = message.value if isinstance(message.value, dict) else {}
        if "digest" in question:
            logger.warning("%s: an answer to COHERE came, and no listen of this program's takes it", self.id)
            return None
        with self._ledger_lock:
            answer = {"pilot": self.upstream, **self.ledger.answer(question)}
        return self.send(str(question.get("answer_to", self.upstream)), "COHERE", answer, repeat=True)


def own_ip() -> str:
    """The address of the interface that leads out; no packet is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation: only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
