"""Net_Node: how a program takes part, in its own process."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import zmq

from autopilot_net import live_nodes
from autopilot_net.addressing import Flags, address
from autopilot_net.arguments import check_node, port_of, seconds_of
from autopilot_net.closable import Port, Sock
from autopilot_net.core import Core, wall_time
from autopilot_net.coroutines import refuse_generators
from autopilot_net.defaults import LOOPBACK, SLOW_HANDLER_S
from autopilot_net.delivery import Delivery
from autopilot_net.errors import AutopilotNetError, WindowFull
from autopilot_net.listening import (
    Listen,
    gone,
)
from autopilot_net.message import Message
from autopilot_net.node_listens import NodeListens
from autopilot_net.participant import own_ip
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox_channel import Window
from autopilot_net.stream import Stream, StreamOptions, open_stream

__all__ = ["Net_Node"]

logger = logging.getLogger("autopilot_net")

REPORT_S = 2.0  # how long what a program's block raised may take to come home, before the node is released
LAST_MOMENT_S = 0.5  # how long what was sent last may take to arrive before a node is closed
INSTEAD = {
    "loop": "there is no tornado loop; threads are the node's own, and `release()` ends them",
    "threaded_loop": "there is no loop to run or to override; the I/O thread, `loop_thread`, starts with the node",
    "file_block": "files are pulled in parts by the station, and nothing waits for them",
    "timers": "the I/O thread repeats what is due; `outbox` shows what awaits its confirmation",
    "msg_counter": "`prepare_message` numbers messages by itself",
    "expand": "say `expand_on_receive` when the node is made",
    "subject": "say `subject` when a stream is opened, or put it into the values that are sent",
}


class Net_Node(NodeListens):  # noqa: N801  # the name that labs' programs import
    """Connects a program to its station `upstream`, at `upstream_ip`:`port`, under the identity `id`.

    `listens` maps a key to a handler. A handler gets the message's *value*, with arrays expanded unless
    `expand_on_receive` is False; if its first parameter is annotated `Message`, it gets the message. Handlers run one
    at a time, in a thread of the node's own, in order of arrival. A message is handled when its handler returns or
    raises, or, if the handler returned delivery handles, when these are settled. A handler with an attribute
    `concurrent = True` runs beside the others. An `async def` is run to its end before the next handler begins, in an
    asyncio loop of that thread; tasks that it leaves continue while another one runs.

    What a handler raises is logged, and sent to the terminal as an ERROR. Any thread may use a node. Its threads are
    daemons whatever `daemon` says, except for a concurrent handler that still runs, which the end of the program waits
    for. In a fork of the process, every call raises `AutopilotNetError`, and `release` does nothing. As a context
    manager, it reports what its block raised, and is released.

    With `router_port` the node also listens there, at `listen_ip`, so that other nodes can connect to it with no
    station between; then `upstream` may be None. Nodes made with `instance=True` share one zmq context of the process.

    `repeat_interval` is in seconds: what is not confirmed is sent again after it. `window` bounds what may be under way
    to one recipient. `trace` is the path of a file to which every effect is appended as a line of JSON. A handler that
    runs longer than `slow_handler_s` seconds is named in the log.

    With `durable`, the path of a file that is made if it does not exist, unconfirmed messages sent with `repeat=True`
    survive the process: the next node of this id that is given the file sends them on, in order, and handles nothing
    twice. `send` returns when the message is stored. A loss of power is survived only with `sync="full"`, where each
    commit waits for the disk. Raises `DurableRefused` for a file that is not this node's.
    """

    def __init__(
        self,
        id: str,
        upstream: str | None,
        port: int | None,
        listens: Mapping[str, Listen] | None = None,
        instance: bool = True,
        upstream_ip: str = "localhost",
        router_port: int | None = None,
        daemon: bool = True,
        expand_on_receive: bool = True,
        *,
        listen_ip: str = LOOPBACK,
        repeat_interval: float | None = None,
        window: Window | None = None,
        trace: str | os.PathLike[str] | None = None,
        durable: str | os.PathLike[str] | None = None,
        sync: str = "normal",
        slow_handler_s: float = SLOW_HANDLER_S,
    ) -> None:
        check_node(id, upstream, router_port, listens)
        super().__init__(id, upstream or "", listens or {}, expand=expand_on_receive)
        refuse_generators(self.listens, f"node {id}")
        self.port = port_of(port or 0, f"the port of the upstream of node {id}")
        self.router_port = None if router_port is None else port_of(router_port, f"the router_port of node {id}")
        self.upstream_ip = LOOPBACK if upstream_ip == "localhost" else upstream_ip
        self.listen_ip = listen_ip
        self.daemon = daemon
        if repeat_interval is not None:
            self.repeat_interval = seconds_of(repeat_interval, f"the repeat_interval of node {id}")
        self.streams: dict[str, Stream] = {}
        live_nodes.refuse_twin(self)
        self.context = zmq.Context.instance() if instance else zmq.Context()
        self._owns_context = not instance
        settings = Settings(repeat_interval=self.repeat_interval, window=window or Window())
        self._begin(settings, trace=trace, durable=durable, sync=sync, slow_handler_s=slow_handler_s)

    def _begin(self, settings: Settings, **how: Any) -> None:
        self._core = Core(
            self.id,
            self,
            upstream=self.upstream or None,
            forwards=False,
            context=self.context,
            settings=settings,
            **how,
        )
        try:
            self.init_networking()
        except Exception:
            self._core.start()  # what was opened so far is closed by the threads that would have used it
            self.release()
            raise
        self._core.start()
        live_nodes.add(self)

    def __getattr__(self, name: str) -> Any:
        raise gone(self, name, INSTEAD)

    def __enter__(self) -> Net_Node:
        return self

    def __exit__(self, kind: object, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, Exception) and not self.closing.is_set():
            with contextlib.suppress(AutopilotNetError):
                self.report(error, "".join(traceback.format_exception(type(error), error, tb))).wait(REPORT_S)
        self.release()

    def init_networking(self) -> None:
        """Make the sockets. Called once, when the node is made. Override it to do more then."""
        if self.loop_thread.ident:
            raise AutopilotNetError(f"{self.id} is connected; sockets are made once, before its I/O thread starts")
        sockets = self._core.attachment.sockets
        if self.router_port is not None:
            self.router_port = sockets.bind(self.listen_ip, self.router_port)
            if self.listen_ip == LOOPBACK and self.upstream and self.upstream_ip != LOOPBACK:
                logger.warning(
                    "node %s listens at %d on loopback alone, so nodes on other machines cannot reach it; give it "
                    "listen_ip='*'",
                    self.id,
                    self.router_port,
                )
        if self.upstream:
            sockets.connect(self.upstream, self.upstream_ip, self.port)

    @property
    def connected(self) -> bool:
        """Whether its station is there, and has the id `upstream`. Messages sent before that wait."""
        return self._core.driver.is_reached

    @property
    def senders(self) -> dict[str, None]:
        """The nodes that are connected to this node's own router, in the order in which they came."""
        return dict(self._core.endpoint.routes.below)

    @property
    def router(self) -> Port | None:
        """The port this node listens at, or None. Closing it does nothing; `release` closes it."""
        return None if self.router_port is None else Port(self.router_port, self.id)

    @property
    def sock(self) -> Sock:
        """Has a `close`, which does nothing: `release` closes the sockets."""
        return Sock(self.id)

    @property
    def outbox(self) -> dict[str, Message]:
        """The messages that await their confirmation, by id."""
        return self._core.endpoint.outbox.messages()

    @property
    def loop_thread(self) -> threading.Thread:
        """The I/O thread."""
        return self._core.driver.io_thread

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
        flags: Flags = None,
        blosc: bool = False,
    ) -> Message:
        """A message of this node's with an id of its own, to be changed and then sent by `send(msg=…)`."""
        message = self._core.prepare(to, key, value, flags=flags, blosc=blosc)
        message.is_sought = repeat
        if not repeat:
            message.flags["NOREPEAT"] = True
        return message

    def send(
        self,
        to: str | Sequence[str] | None = None,
        key: str | None = None,
        value: Any = None,
        msg: Message | None = None,
        repeat: bool | None = None,
        flags: Flags = None,
        force_to: bool = False,
        blosc: bool = False,
        *,
        wait: bool = True,
        expires_after: float | None = None,
    ) -> Delivery:
        """Send `key` with `value`, or a prepared `msg`, to `to` (the upstream if None; a list means hops).

        A `msg` goes where it says itself unless `to` is given; `flags` and `blosc` add to what it says. With `repeat`
        it is repeated until it is handled, or expires; the handle says which. If `repeat` is None, a `msg` is repeated
        if it was prepared so, and anything else is not. One that names another sender never is. `force_to` insists that
        `to` is connected to this node's own router. While more awaits confirmation than the window allows, it
        blocks, or with `wait=False` raises `WindowFull`; in a handler it queues. `expires_after` is in seconds.
        Raises `BadMessage`, naming the part, for what JSON cannot carry.
        """
        self._core.refuse_fork()
        if msg is None:
            if to is None and not self.upstream:
                raise AutopilotNetError(f"{self.id} has no upstream: say to whom {key} is to go")
            to = self.upstream if to is None else to
            if not key:
                raise AutopilotNetError(f"{self.id} was to send a message to {to} without a key")
            msg = self.prepare_message(to, key, value, repeat=bool(repeat), flags=flags, blosc=blosc)
        hops = address(msg, to, flags, at=wall_time(time.monotonic()))
        msg.blosc = bool(msg.blosc or blosc)
        if force_to and msg.to not in self._core.endpoint.routes.below:
            raise AutopilotNetError(f"{msg.to} is not connected to the router of {self.id}, so force_to cannot hold")
        repeat = msg.is_sought if repeat is None else repeat
        options: dict[str, Any] = {"hops": hops, "repeat": repeat, "expires_after": expires_after}
        sent = self._send_data(msg, wait, options) if msg.key == "DATA" else self._core.send(msg, wait=wait, **options)
        return self._passing_confirmation_on(sent)

    def _send_data(self, msg: Message, wait: bool, options: dict[str, Any]) -> Delivery:
        """Send, and record in the ledger exactly what was sent, in the order in which it went.

        It never waits while it holds the lock: an answer to COHERE, in the handler thread, takes the lock too.
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

        It has a connection of its own, as `{node}_{id}`, to the node's station or to `upstream` at `ip`:`port`. Items
        are sent in batches of `min_size`, or when the oldest is `max_delay` seconds old. At most `q_size` items wait
        (None: 1,000). `subject` and `pilot` (the node's machine if None) are sent along with every item. A `reliable`
        stream is confirmed and repeated; gaps in any other are reported where it arrives. A full queue blocks `append`,
        or with `drop_oldest` loses its oldest item, which is counted.

        A stream of the same name that has ended is waited for, up to 10 s, until it is sent. Raises `AutopilotNetError`
        if it is still open or not sent by then, and for sizes that make no batch.
        """
        self._core.refuse_fork()
        if self.closing.is_set():
            raise AutopilotNetError(f"{self.id} is closed, and opens no stream {self.id}_{id}")
        upstream, port = upstream or self.upstream, self.port if port is None else port
        headers = {"subject": subject, "pilot": pilot or self._machine(), "continuous": True}
        options = StreamOptions(to or upstream, key, headers, min_size, max_delay, q_size, reliable, drop_oldest)
        way, former = (upstream, ip or self.upstream_ip, port), self.streams.get(id)
        stream = self.streams[id] = open_stream(self._core, id, options, way, former=former)
        return stream

    def _machine(self) -> str:
        """The machine whose program this is: by the node's own name if it begins with `_`; else its station."""
        return (self.id if self.id.startswith("_") else self.upstream).removeprefix("_")

    def release(self) -> None:
        """End the node: what was sent last has half a second to arrive, streams end, threads stop, sockets close.

        To be sure that a message was handled, wait for its handle before. In a fork of the process this does nothing.
        """
        if not self._core.is_here:
            return
        driver = self._core.driver
        if not (driver.is_closed or driver.is_own_thread()):
            for stream in list(self.streams.values()):
                stream.close()
            driver.wait_until(self._is_settled, LAST_MOMENT_S)
        self.closing.set()
        driver.stop()
        if not self._owns_context:
            return
        if threading.current_thread() is driver.io_thread:  # in a delivery's callback: it has its sockets to close yet
            threading.Thread(target=self.context.term, name=f"{self.id} context", daemon=True).start()
        else:
            self.context.term()

    def _is_settled(self) -> bool:
        endpoint = self._core.endpoint
        is_out = not (endpoint.router.holds_back() or len(endpoint.outbox))
        return is_out and all(stream.is_sent() for stream in self.streams.values())
