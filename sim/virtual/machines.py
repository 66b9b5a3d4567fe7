"""Stations and nodes in virtual time. A station has a role of the library, a node the listens of a program."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from autopilot_net import Delivery, FileRefused, Ledger, Message, Stream
from autopilot_net.batches import handle_items
from autopilot_net.delivery import unheard
from autopilot_net.error_report import ERROR, error_report
from autopilot_net.listening import duplicates_report
from autopilot_net.message import expand_fields, iso_time, refuse
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.protocol.effects import DuplicateId, Effect, PeerDown, PeerUp
from autopilot_net.roles import host as roles
from autopilot_net.stream import StreamOptions
from sim.virtual.driver import Line, Peer

__all__ = ["MemoryFiles", "Host", "Node", "Station"]

T = TypeVar("T")
Listen = Callable[[Message], Any]
RETIRE_US = 1_000  # how often to look whether all has left a stream that has ended
DISK_US = 1_000  # how long a call of `Host.beside` takes


class MemoryFiles:
    """A folder of files in memory, for a role. It outlives the processes of its machine, as a disk does.

    See `roles.host.Files`.
    """

    def __init__(
        self, complete: Mapping[str, bytes] | None = None, parts: Mapping[str, bytes] | None = None
    ) -> None:
        self._complete = dict(complete or {})
        self._parts = dict(parts or {})
        self._digests: dict[str, str] = {}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`. Raises `FileRefused`."""
        return self._found(path)[offset : offset + length]

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """The size in bytes and the SHA-256 of a complete file. Raises `FileRefused`."""
        content = self._found(path)
        if path not in self._digests:
            self._digests[path] = hashlib.sha256(content).hexdigest()
        return len(content), self._digests[path]

    def lacks(self, path: str) -> bool:
        """Whether there is no complete file of that name."""
        return path not in self._complete

    def part_size(self, path: str) -> int:
        """How many bytes of an unfinished file are here."""
        return len(self._parts.get(path, b""))

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """Write `data` at `offset` of an unfinished file. Discards what lies behind `offset`."""
        self._parts[path] = self._parts.get(path, b"")[:offset] + data

    def finish(self, path: str, digest: str) -> bool:
        """Complete a file if its SHA-256 is `digest`. Discards it and returns False if not."""
        part = self._parts.pop(path, b"")
        if hashlib.sha256(part).hexdigest() != digest:
            return False
        self._complete[path] = part
        return True

    def content(self, path: str) -> bytes | None:
        """A complete file; None if there is none of that name."""
        return self._complete.get(path)

    def _found(self, path: str) -> bytes:
        if path not in self._complete:
            raise FileRefused(f"there is no file {path}")
        return self._complete[path]


class Host:
    """The host of a station's role. See `roles.host.RoleHost`."""

    def __init__(self, station: Station, files: MemoryFiles) -> None:
        self.id = station.id
        self.parent = station.line.endpoint.routes.upstream
        self.files: roles.Files = files
        self._station = station
        self._promises = 0

    def send(
        self, to: str, key: str, value: Any, *, repeat: bool | None, flags: Iterable[str], **extra: Any
    ) -> Delivery:
        """Send a message from the station."""
        message = self._station.prepare(to, key, value, flags=flags, **extra)
        return self._station.send(to, msg=message, repeat=repeat)

    def promise(self) -> Delivery:
        """A delivery that the role settles itself."""
        return Delivery(f"{self.id} promise", self.id)

    def learn(self, name: str, peer: str) -> None:
        """Note that `name` lies behind the neighbour `peer`."""
        line = self._station.line
        self._station.carry_out(line, line.endpoint.learn(name, peer, now=self.now()))

    def has(self, peer: str) -> bool:
        """Whether `peer` is a neighbour that is connected."""
        return self._station.line.endpoint.routes.has(peer)

    def is_late(self, peer: str) -> bool:
        """Whether the neighbour `peer` may not have read yet what was sent to it lately."""
        return self._station.line.endpoint.is_late(peer, now=self._station.net.loop.now)

    def is_ours(self, name: str) -> bool:
        """Whether `name` has shown that it runs this library."""
        return name in self._station.line.endpoint.ours

    def now(self) -> float:
        """Virtual time in seconds."""
        return self._station.net.loop.now

    def clock(self) -> ClockOffset | None:
        """How far the terminal's clock is ahead of this machine's. None while that is not known."""
        return self._station.clock_offset

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """Run `call` after `seconds`, between two listens."""
        self._later(int(seconds * 1_000_000), call)

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """Run `call` after `DISK_US`, and then `then(outcome)`. Calls stay in order, since all take equally long."""
        del about

        def outcome() -> Callable[[], T]:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001  # `outcome()` raises it in `then`
                return _raiser(error)
            return lambda: result

        self._later(DISK_US, lambda: then(outcome()))

    def stop(self) -> None:
        """Do nothing: only the lab ends a virtual station."""

    def _later(self, us: int, call: Callable[[], Any]) -> None:
        def due() -> None:
            self._station.handlers.put(lambda: _nothing(call()))

        self._station.net.loop.after(us, due, self._station.process)


class Station(Peer):
    """The station of a machine, in one life."""

    role: Any  # a `roles.host.Role`
    listens: dict[str, Listen]

    def take_role(self, role: Any, listens: Mapping[str, Listen]) -> None:
        """Take the listens of `role` and those of the rehearsal. The latter win. Call it before anything arrives."""
        self.role = role
        self._own = set(listens)
        self.listens = {**role.listens(), "STREAM": self._on_stream, **listens}

    def on_message(self, message: Message) -> Any:
        """Handle a message by its key. Refuses an unknown key, and a message at which the role raises.

        What a lab's own listen raises at counts as handled.
        """
        listen = self.listens.get(message.key)
        if listen is None:
            return unheard(message, self.id)
        try:
            return listen(message)
        except Exception as error:
            if message.key not in self._own:
                refuse(message, f"{type(error).__name__}: {error}")
            raise

    def on_peer(self, news: PeerUp | PeerDown | DuplicateId) -> None:
        """Tell the role of a neighbour, and whoever is above of two that share one id."""
        if isinstance(news, DuplicateId):
            self._tell_error(duplicates_report(self.id, news.peer, news.addresses))
        else:
            self.role.neighbour(news.peer, isinstance(news, PeerUp))

    def report(self, error: BaseException, trace: str) -> None:
        """Send an error to the parent, or to the own program where there is no parent."""
        self._tell_error(error_report(self.id, error, trace))

    def _tell_error(self, facts: dict[str, str]) -> None:
        home = self.line.endpoint.routes.upstream or "_" + self.id
        self.send(home, msg=self.prepare(home, ERROR, facts), repeat=True)

    def _on_stream(self, message: Message) -> Any:
        return handle_items(message, self.on_message, lambda _, error, trace: self.report(error, trace), update=True)


class Node(Peer):
    """The node of a program, or the probe node that storms use."""

    listens: dict[str, Listen]

    def begin(self, listens: Mapping[str, Listen]) -> None:
        """Set the listens, and connect."""
        self.listens = {**listens, "STREAM": self._on_stream}
        self.ledger = Ledger()
        self.streams: dict[str, Stream] = {}
        self.connect(self.line)

    @property
    def ip(self) -> str:
        """Always loopback: virtual time has one address."""
        return "127.0.0.1"

    def send(
        self, to: Any = None, *, msg: Message | None = None, repeat: bool | None = None, expires_after: Any = None
    ) -> Delivery:
        """Send, and record a DATA message in the ledger."""
        sent = super().send(to, msg=msg, repeat=repeat, expires_after=expires_after)
        if msg is not None and msg.key == "DATA":
            self.ledger.record(msg.id, msg.value)
        return sent

    def _timestamp(self, now: float) -> str:
        """The wall-clock time at virtual time `now` (seconds), as ISO 8601."""
        return iso_time(self.clock.epoch + now)

    def get_stream(
        self, id: str, key: str, *, min_size: int, to: str, pilot: str, reliable: bool, subject: str | None = None
    ) -> Stream:
        """Open a stream with its own line. Its queue may grow beyond its size: nothing waits in virtual time."""
        line = self.open(f"{self.id}_{id}", self.line.endpoint.routes.upstream, durable=reliable, clock_s=None)
        driver: Any = Pumping(self)
        own: Any = line
        headers = {"subject": subject, "pilot": pilot, "continuous": True}
        options = StreamOptions(to=to, key=key, headers=headers, min_size=min_size, reliable=reliable)
        stream = line.source = Stream(driver, own, options, numbers=self.numbers, now=self._timestamp)
        self.streams[id] = stream
        self.connect(line)
        return stream

    def on_message(self, message: Message) -> Any:
        """Handle a message by its key, with its arrays decoded."""
        if message.key == "COHERE" and message.key not in self.listens:
            return self._cohere(message)
        listen = self.listens.get(message.key)
        if listen is None:
            return unheard(message, self.id)
        if message.key != "STREAM":
            expand_fields(message, [name for name in message if isinstance(message[name], dict | list)])
        return listen(message)

    def report(self, error: BaseException, trace: str) -> None:
        """Send an error to the station of this machine, which forwards it to its parent."""
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
    """The driver that a stream of a node uses."""

    is_closed = False

    def __init__(self, node: Node) -> None:
        self.name = node.id
        self.counters = node.counters
        self._node = node

    def run(self, line: Line, act: Callable[[float], list[Effect]]) -> None:
        """Carry out the effects of `act(now)` at once."""
        self._node.carry_out(line, act(self._node.at(line)))

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Whether `condition` holds now. Does not wait."""
        del timeout
        return condition()

    def retire(self, line: Line) -> None:
        """Close the line after what it has sent."""

        def close() -> None:
            if line.endpoint.router.holds_back() and line.wire is not None and line.wire.is_up:
                self._node.net.loop.after(RETIRE_US, close, self._node.process)  # a full pipe has yet to take the rest
            elif line in self._node.lines:
                self._node.lines.remove(line)
                if line.wire is not None:
                    line.wire.close()

        self._node.net.loop.after(0, close, self._node.process)


def _raiser(error: Exception) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


def _nothing(_: object) -> None:
    """Discard what a call between listens returned, as it is no `Done`."""
