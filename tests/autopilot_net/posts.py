"""Stations in this process, on loopback, with real sockets and threads; and plain sockets beside them. For tests."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zmq

from autopilot_net import Delivery, Message, Net_Node
from autopilot_net.core import Core
from autopilot_net.listening import find_listen
from autopilot_net.protocol.endpoint import Settings
from tests.conftest import Context, Socket, eventually, plain
from tests.patience import DEADLINE_S

Listens = Mapping[str, Callable[..., Any]]
LOCAL = "127.0.0.1"
LONG_S = 60.0  # an interval that no test waits for: what happens, happens without it


class Post:
    """A station in this process: a participant that forwards, and the listens behind it."""

    def __init__(
        self,
        context: Context,
        id: str,
        *,
        upstream: tuple[str, int] | None = None,
        port: int = 0,
        listens: Listens | None = None,
        forwards: bool = True,
        trace: Path | None = None,
        slow_handler_s: float = 5.0,
        **settings: Any,
    ) -> None:
        self.id = id
        self.listens = dict(listens or {})
        self.handled: list[Message] = []
        self.neighbours: list[tuple[str, bool]] = []
        self.raised: list[BaseException] = []
        self.twins: list[tuple[str, tuple[str, str]]] = []
        self.core = Core(
            id,
            self,
            upstream=upstream[0] if upstream else None,
            forwards=forwards,
            context=context,
            settings=Settings(**settings),
            trace=trace,
            slow_handler_s=slow_handler_s,
        )
        self.port = self.core.attachment.sockets.bind(LOCAL, port)
        if upstream:
            self.core.attachment.sockets.connect(upstream[0], LOCAL, upstream[1])
        self.core.start()

    def send(self, to: str, key: str, value: Any = None, *, repeat: bool = True, **options: Any) -> Delivery:
        message = self.core.prepare(to, key, value, flags=() if repeat else ["NOREPEAT"])
        return self.core.send(message, repeat=repeat, **options)

    def values(self, key: str) -> list[Any]:
        return [message.value for message in self.handled if message.key == key]

    @property
    def counters(self) -> Mapping[str, int]:
        return self.core.driver.counters

    @property
    def below(self) -> list[str]:
        return list(self.core.endpoint.routes.below)

    def stop(self) -> None:
        self.core.driver.stop()

    # -- the host of its driver

    def on_message(self, message: Message) -> Any:
        self.handled.append(message)
        listen = find_listen(self.listens, message, self.id)
        return None if listen is None else listen(message)

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        self.neighbours.append((peer, is_there))

    def on_twins(self, peer: str, addresses: tuple[str, str]) -> None:
        self.twins.append((peer, addresses))

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        self.raised.append(error)

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        self.raised.append(error)

    def is_concurrent(self, message: Message) -> bool:
        return bool(getattr(self.listens.get(message.key), "concurrent", False))


class Lab:
    """What a test starts, and what ends with it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._ends: list[Callable[[], object]] = []
        self._gates: list[threading.Event] = []

    def post(self, id: str = "T", **options: Any) -> Post:
        made = Post(self.context, id, **options)
        self._ends.append(made.stop)
        return made

    def node(self, id: str, post: Post | tuple[str, int], listens: Listens | None = None, **options: Any) -> Net_Node:
        upstream, port = (post.id, post.port) if isinstance(post, Post) else post
        made = Net_Node(id, upstream, port, listens, **options)
        self._ends.append(made.release)
        return made

    def raw(self, id: str, port: int, **options: Any) -> Socket:
        """A plain DEALER that is connected."""
        made = plain(self.context, zmq.DEALER, IDENTITY=id.encode(), **options)
        made.connect(f"tcp://{LOCAL}:{port}")
        return made

    def raw_upstream(self, port: int | None = None) -> tuple[Socket, int]:
        """A plain ROUTER, which confirms nothing and answers no probe unless the test does."""
        made = plain(self.context, zmq.ROUTER, ROUTER_HANDOVER=1)
        eventually(lambda: binds(made, port or "*"))
        return made, int(made.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def gate(self) -> threading.Event:
        """What a handler waits for; it opens at the end of the test at the latest."""
        self._gates.append(threading.Event())
        return self._gates[-1]

    def end(self) -> None:
        for gate in self._gates:
            gate.set()
        for end in reversed(self._ends):
            end()


def binds(one: Socket, port: int | str) -> bool:
    """A port is free a moment after its socket was closed: another thread closes it."""
    with contextlib.suppress(zmq.ZMQError):
        one.bind(f"tcp://{LOCAL}:{port}")
        return True
    return False


def read(one: Socket) -> list[bytes]:
    assert one.poll(int(DEADLINE_S * 1000)), "nothing came"
    return one.recv_multipart()


def messages(one: Socket) -> Iterator[Message]:
    """What comes, without the probes."""
    while True:
        payload = read(one)[-1]
        if payload:
            yield Message(msg=payload)


def one(key: str, sender: str = "r") -> bytes:
    """A message as of a program that knows nothing of ours, and seeks no confirmation."""
    return Message(id=f"{sender}_1", to="T", sender=sender, key=key, flags={"NOREPEAT": True}).serialize()


def concurrent(listen: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(listen)
    def beside(message: Any) -> Any:
        return listen(message)

    beside.concurrent = True  # type: ignore[attr-defined]
    return beside


def waits_for(gate: threading.Event) -> Callable[[Any], None]:
    def listen(_: Any) -> None:
        assert gate.wait(DEADLINE_S)

    return listen


def nothing(_: Any) -> None:
    """A listen that does nothing."""


# -- the path ----------------------------------------------------------------------------------------------------------


def probe_binds(port: int) -> bool:
    context: Context = zmq.Context()
    with context.socket(zmq.ROUTER) as one:
        is_free = binds(one, port)
    context.term()
    return is_free
