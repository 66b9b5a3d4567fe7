"""Stations and senders in processes that a test kills and starts again, and what they wrote down before it did.

A journal is a file of lines, each appended by one write, so that the system keeps it when its writer is killed in it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from autopilot_net import Delivery, Message, Net_Node, Station
from tests.conftest import eventually
from tests.harness import started_by

S = TypeVar("S", bound=Station)

SETTLED_S = 60.0  # for thousands of messages over what was killed meanwhile: only a failure waits that long
REPEAT_S = 600.0  # for ever: nothing here is healed by being sent once more, when it is not known why


@dataclass
class Journal:
    """Lines that any process adds to, and the listen that writes down what it is handed, before and after."""

    path: Path
    _fd: int = -1

    def write(self, *words: object) -> None:
        """Add one line."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())

    def listen(self, message: Message) -> None:
        """Handle a message. Its value, or `n` in it, says in two numbers which life of its sender's it is from, and
        which of its messages it is."""
        mark = "redelivered" if message.get("redelivered") else "first"
        number = message.value["n"] if isinstance(message.value, dict) else message.value
        words = (os.getpid(), message.key, *number, mark)
        self.write("begin", *words)
        self.write("end", *words)

    def lines(self) -> list[list[str]]:
        """Every line so far, in words."""
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def until(self, count: int) -> None:
        """Wait until there are so many lines."""
        at, seen = 0, 0

        def is_long_enough() -> bool:
            nonlocal at, seen
            if self.size() > at:
                with self.path.open("rb") as file:
                    file.seek(at)
                    new = file.read()
                at, seen = at + len(new), seen + new.count(b"\n")
            return seen >= count

        eventually(is_long_enough, SETTLED_S)


@dataclass(frozen=True)
class Handled:
    """One run of a handler: in which life of the recipient, of what, and how far it came."""

    life: int
    key: str
    number: tuple[int, ...]
    again: bool
    done: bool


def handled(journal: Journal) -> list[Handled]:
    """What the handlers that write to `journal` were handed, in order."""
    lines = [line for line in journal.lines() if line[0] in {"begin", "end"}]
    ended = {tuple(line[1:]) for line in lines if line[0] == "end"}
    return [
        Handled(int(line[1]), line[2], tuple(map(int, line[3:-1])), line[-1] == "redelivered", tuple(line[1:]) in ended)
        for line in lines
        if line[0] == "begin"
    ]


# -- processes ---------------------------------------------------------------------------------------------------------


@dataclass
class Sender:
    """A program that sends `total` numbers to `to` at full speed, goes on where its last life was, and waits."""

    journal: Journal
    id: str
    upstream: str
    port: int
    to: str
    key: str = "COUNT"
    total: int = 5_000
    durable: str | None = None

    def __call__(self) -> None:
        """Send all, and write down what `send` returned from, what became of it, and the end."""
        lives = {line[1] for line in self.journal.lines()}
        life = len(lives)
        begun = len([line for line in self.journal.lines() if line[0] == "sent"])
        self.journal.write("life", life)
        with Net_Node(self.id, self.upstream, self.port, durable=self.durable, repeat_interval=REPEAT_S) as node:
            sent: list[Delivery] = []
            for number in range(begun, self.total):
                value = {"pilot": self.upstream, "n": [life, number]} if self.key == "DATA" else [life, number]
                sent.append(node.send(self.to, self.key, value, repeat=True))
                self.journal.write("sent", life, number)
                sent[-1].then(partial(self._settled, life, number))
            for delivery in sent:
                assert delivery.wait(SETTLED_S), f"{delivery} after {SETTLED_S} s"
            eventually(lambda: not node.outbox, SETTLED_S)
            assert not node.counters.get("expired")
        self.journal.write("over", life)

    def _settled(self, life: int, number: int, delivery: Delivery) -> None:
        if delivery.confirmed:
            self.journal.write("confirmed", life, number)


class Scene:
    """Stations and senders that keep their names and ports over their lives. They start by forkserver."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Callable[[], Any], Any]] = {}
        self._dead: list[Any] = []
        self._ports: dict[str, socket.socket] = {}

    def port(self, name: str) -> int:
        """A port that is kept for `name`: unlistened, so that each of its lives can listen there."""
        if name not in self._ports:
            holder = self._ports[name] = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
        port = int(self._ports[name].getsockname()[1])
        if sys.platform != "linux":  # elsewhere a port that is held so cannot be listened at
            self._ports[name].close()
        return port

    def begin(self, name: str, make: Callable[[], Station | Sender]) -> None:
        """Start what `make` makes, and wait until it listens, if it does."""
        made = make()
        if isinstance(made, Station):
            made.start()
            self.made[name] = (make, made)
        else:
            process = multiprocessing.get_context("forkserver").Process(target=made, daemon=True)
            process.start()
            self.made[name] = (make, process)

    def kill(self, *names: str) -> None:
        """SIGKILL all of these, one right after the other."""
        for name in names:
            self.process(name).kill()
        for name in names:
            self.process(name).join()
            self._dead.append(self.process(name))

    def restart(self, *names: str) -> None:
        """Start what was killed, with the same id and port."""
        for name in names:
            self.begin(name, self.made[name][0])

    def process(self, name: str) -> BaseProcess:
        """The process of the latest life of `name`."""
        process: BaseProcess = self.made[name][1]
        return process

    def join(self, name: str) -> None:
        """Wait for the end of a sender, which must not have failed."""
        process = self.process(name)
        process.join(2 * SETTLED_S)
        assert process.exitcode == 0, f"{name} ended with {process.exitcode}"

    def close(self) -> None:
        """End all of it."""
        for _, made in reversed(self.made.values()):
            if isinstance(made, Station):
                made.release()
            else:
                made.kill()
                made.join()
        for holder in self._ports.values():
            holder.close()


@contextlib.contextmanager
def scene() -> Iterator[Scene]:
    """A scene that is cleared whatever happens."""
    with started_by("forkserver"):
        made = Scene()
        try:
            yield made
        finally:
            made.close()
