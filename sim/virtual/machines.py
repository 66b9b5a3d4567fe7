"""Stations and nodes in virtual time: the roles and programs of the library and of the rehearsal, on a peer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from autopilot_net import Delivery, FileRefused, Ledger, Message, Stream
from autopilot_net.batches import handle_items
from autopilot_net.delivery import unheard
from autopilot_net.error_report import ERROR, error_report
from autopilot_net.message import expand_fields, refuse
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.effects import Effect
from autopilot_net.roles import host as roles
from autopilot_net.stream import StreamOptions
from sim.virtual.driver import Line, Peer

__all__ = ["Files", "Host", "Node", "Station"]

T = TypeVar("T")
Listen = Callable[[Message], Any]
DISK_US = 1_000  # what is done beside the listens takes so long


class Files:
    """A folder of files in memory. It outlives its machine's processes, as a disk does."""

    def __init__(self, whole: Mapping[str, bytes] | None = None) -> None:
        self._whole = dict(whole or {})
        self._parts: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """See `roles.host.Files`, as for the rest."""
        return self._found(path)[offset : offset + length]

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """Its size and its SHA-256."""
        whole = self._found(path)
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(whole).hexdigest()
        return len(whole), self._digests[path]

    def lacks(self, path: str) -> bool:
        """Whether it is not here, or not whole."""
        return path not in self._whole

    def part_size(self, path: str) -> int:
        """How much of it is here."""
        return len(self._parts.get(path, b""))

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """Add to what is here."""
        self._parts[path] = self._parts.get(path, b"")[:offset] + data

    def finish(self, path: str, digest: str) -> bool:
        """Whether it is whole and what was meant."""
        part = self._parts.pop(path, b"")
        if hashlib.sha256(part).hexdigest() != digest:
            return False
        self._whole[path] = part
        return True

    def _found(self, path: str) -> bytes:
        if path not in self._whole:
            raise FileRefused(f"there is no file {path}")
        return self._whole[path]


class Host:
    """A role's host: see `roles.host.RoleHost`."""

    def __init__(self, station: Station, files: Files) -> None:
        self.id = station.id
        self.parent = station.line.endpoint.routes.upstream
        self.files: roles.Files = files
        self._station = station
        self._promises = 0

    def send(
        self, to: str, key: str, value: Any, *, repeat: bool | None, flags: Iterable[str], **extra: Any
    ) -> Delivery:
        """Send a message of the station's."""
        message = self._station.prepare(to, key, value, flags=flags, **extra)
        return self._station.send(to, msg=message, repeat=repeat)

    def promise(self) -> Delivery:
        """A handle that the role settles."""
        return Delivery(f"{self.id} promise", self.id)

    def learn(self, name: str, peer: str) -> None:
        """`name` lies behind the neighbour `peer`."""
        line = self._station.line
        self._station.carry_out(line, line.endpoint.learn(name, peer, now=self.now()))

    def has(self, peer: str) -> bool:
        """Whether `peer` is a neighbour that is there."""
        return self._station.line.endpoint.routes.has(peer)

    def is_late(self, peer: str) -> bool:
        """Whether what was sent to the neighbour `peer` lately may lie there unread."""
        return self._station.line.endpoint.is_late(peer, now=self._station.net.loop.now)

    def is_ours(self, name: str) -> bool:
        """Whether `name` has shown that it speaks as we do."""
        return name in self._station.line.endpoint.ours

    def now(self) -> float:
        """Seconds."""
        return self._station.net.loop.now

    def clock(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead."""
        return self._station.line.endpoint.clock_offset(now=self.now())

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call it later, between two listens."""
        self._later(int(seconds * 1_000_000), call)

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """Do it as a disk does; what is about the same thing stays in order, since all takes as long."""
        del about

        def outcome() -> Callable[[], T]:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001  # it is raised where the outcome is asked for
                return _raising(error)
            return lambda: result

        self._later(DISK_US, lambda: then(outcome()))

    def stop(self) -> None:
        """Only who owns a virtual station ends it."""

    def _later(self, us: int, call: Callable[[], Any]) -> None:
        def due() -> None:
            self._station.handlers.put(lambda: _nothing(call()))

        self._station.net.loop.after(us, due, self._station.process)


class Station(Peer):
    """A machine's station."""

    role: Any  # a `roles.host.Role`
    listens: dict[str, Listen]

    def take_role(self, role: Any, listens: Mapping[str, Listen]) -> None:
        """Be what `role` decides, with listens of the rehearsal's beside."""
        self.role = role
        self.listens = {**role.listens(), "STREAM": self._on_stream, **listens}

    def on_message(self, message: Message) -> Any:
        """By its key. A key that nobody listens for is refused, and so is what the role raises at."""
        listen = self.listens.get(message.key)
        if listen is None:
            return unheard(message, self.id)
        try:
            return listen(message)
        except Exception as error:
            refuse(message, f"{type(error).__name__}: {error}")
            raise

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """A pilot's role wants to know."""
        news = getattr(self.role, "neighbour", None)
        if news is not None:
            news(peer, is_there)

    def report(self, error: BaseException, trace: str) -> None:
        """Tell whoever is above."""
        facts = error_report(self.id, error, trace)
        home = self.line.endpoint.routes.upstream or "_" + self.id
        self.send(home, msg=self.prepare(home, ERROR, facts), repeat=True)

    def _on_stream(self, message: Message) -> Any:
        return handle_items(message, self.on_message, lambda _, error, trace: self.report(error, trace), update=True)


class Node(Peer):
    """A program's node, or that of a storm."""

    listens: dict[str, Listen]

    def begin(self, listens: Mapping[str, Listen]) -> None:
        """Listen to these, and connect."""
        self.listens = {**listens, "STREAM": self._on_stream}
        self.ledger = Ledger()
        self.streams: dict[str, Stream] = {}
        self.connect(self.line)

    @property
    def ip(self) -> str:
        """There is only one address in virtual time."""
        return "127.0.0.1"

    def send(self, to: Any = None, *, msg: Message | None = None, repeat: bool | None = None) -> Delivery:
        """Send, and note in the ledger what was sent."""
        sent = super().send(to, msg=msg, repeat=repeat)
        if msg is not None and msg.key == "DATA":
            self.ledger.record(msg.id, msg.value)
        return sent

    def get_stream(self, id: str, key: str, *, min_size: int, to: str, pilot: str, reliable: bool) -> Stream:
        """A stream, with a line of its own."""
        line = self.open(f"{self.id}_{id}", self.line.endpoint.routes.upstream, durable=reliable, clock_s=None)
        driver: Any = Pumping(self)
        own: Any = line
        headers = {"subject": None, "pilot": pilot, "continuous": True}
        options = StreamOptions(to=to, key=key, headers=headers, min_size=min_size, reliable=reliable)
        stream = line.source = Stream(driver, own, options, numbers=self.numbers, now=self.timestamp)
        self.streams[id] = stream
        self.connect(line)
        return stream

    def on_message(self, message: Message) -> Any:
        """By its key, arrays as arrays."""
        if message.key == "COHERE" and message.key not in self.listens:
            return self._cohere(message)
        listen = self.listens.get(message.key)
        if listen is None:
            return unheard(message, self.id)
        if message.key != "STREAM":
            expand_fields(message, [name for name in message if isinstance(message[name], dict | list)])
        return listen(message)

    def report(self, error: BaseException, trace: str) -> None:
        """Tell our station, which tells whoever is above."""
        home = str(self.line.endpoint.routes.upstream)
        facts = error_report(home, error, trace)
        self.send(home, msg=self.prepare(home, ERROR, facts), repeat=True)

    def _on_stream(self, message: Message) -> Any:
        return handle_items(message, self.on_message, lambda _, error, trace: self.report(error, trace), update=False)

    def _cohere(self, message: Message) -> Delivery | None:
        question = message.value if isinstance(message.value, dict) else {}
        if "digest" in question:
            return None
        home = str(self.line.endpoint.routes.upstream)
        answer = {"pilot": home, **self.ledger.answer(question)}
        to = str(question.get("answer_to", home))
        return self.send(to, msg=self.prepare(to, "COHERE", answer), repeat=True)


class Pumping:
    """What a stream asks of the driver of its node."""

    is_closed = False

    def __init__(self, node: Node) -> None:
        self.name = node.id
        self.counters = node.counters
        self._node = node

    def run(self, line: Line, act: Callable[[float], list[Effect]]) -> None:
        """Do it now."""
        self._node.carry_out(line, act(self._node.net.loop.now))

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Nothing waits in virtual time: a queue may grow beyond its size."""
        del timeout
        return condition()

    def retire(self, line: Line) -> None:
        """Close the line behind what it has sent."""

        def close() -> None:
            if line in self._node.lines:
                self._node.lines.remove(line)
                if line.wire is not None:
                    line.wire.close()

        self._node.net.loop.after(0, close, self._node.process)


def _raising(error: Exception) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


def _nothing(_: object) -> None:
    """What a call between listens returns concerns nobody."""
