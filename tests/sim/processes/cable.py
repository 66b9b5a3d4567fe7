"""Links through relays with bare sockets at both ends, for the tests of relays."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sim.evidence.journal import Entry, Reader, Trace
from sim.faults.actions import Action, Verb
from sim.lab.topology import load
from sim.processes.relay_process import LinkRelays, RelayedLink
from sim.processes.start_up import RunContext
from tests import ROOT
from tests.patience import DEADLINE_S

RESET = struct.pack("ii", 1, 0)


def context(folder: Path) -> RunContext:
    """Of a run in `folder`, whose processes are in our own group."""
    for name in ("journal", "logs"):
        (folder / name).mkdir(exist_ok=True)
    return RunContext(topology=load(ROOT / "topologies/pair.yaml"), seed=7, folder=folder, group=os.getpgid(0))


@contextlib.contextmanager
def linked(folder: Path, *relayed: RelayedLink) -> Iterator[LinkRelays]:
    links = LinkRelays(context(folder), relayed)
    try:
        links.start()
        yield links
    finally:
        links.stop()


class Cable:
    """The link of rig_1, and that of `other`, with bare sockets at both ends."""

    def __init__(self, links: LinkRelays, folder: Path, listeners: dict[str, socket.socket]) -> None:
        self.links = links
        self._folder = folder
        self._listeners = listeners
        self._ends: list[socket.socket] = []

    def do(self, verb: Verb, **facts: Any) -> None:
        """To the link of rig_1."""
        self.links.do(Action(at_us=0, verb=verb, target="rig_1", **facts))

    def connect(self, name: str = "rig_1") -> tuple[socket.socket, socket.socket]:
        """The lower end of a connection, and the upper."""
        lower = self.dial(name)
        upper, _ = self._listeners[name].accept()
        upper.settimeout(DEADLINE_S)
        self._ends.append(upper)
        for end in (lower, upper):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return lower, upper

    def dial(self, name: str = "rig_1") -> socket.socket:
        """The lower end alone."""
        self._ends.append(socket.create_connection(("127.0.0.1", self.links.ports[name]), timeout=DEADLINE_S))
        return self._ends[-1]

    def fence(self) -> None:
        """Wait until the relays have seen to all that was sent so far: they do so in one thread, in order."""
        lower, upper = self.connect("other")
        for end, far in ((lower, upper), (upper, lower)) * 2:
            end.sendall(b"fence")
            assert read(far, 5) == b"fence"

    def journal(self) -> list[Entry]:
        """What the relay of rig_1 has written down so far."""
        entries = Reader(self._folder / "journal").more().of("link")
        return [entry for entry in entries if entry.to == "rig_1"]

    def traces(self) -> list[Trace]:
        """What stations have traced so far."""
        return Reader(self._folder / "journal").more().traces

    def words(self) -> list[str]:
        """The words of `journal`."""
        return [entry.key for entry in self.journal()]

    def close(self) -> None:
        """Close what is open."""
        for end in (*self._ends, *self._listeners.values()):
            end.close()


@contextlib.contextmanager
def cabled(folder: Path, **settings: Any) -> Iterator[Cable]:
    with contextlib.ExitStack() as stack:
        listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("rig_1", "other")}
        for one in listeners.values():
            one.settimeout(DEADLINE_S)
        relayed = [RelayedLink(name=name, port=one.getsockname()[1], **settings) for name, one in listeners.items()]
        made = Cable(stack.enter_context(linked(folder, *relayed)), folder, listeners)
        stack.callback(made.close)
        yield made


def read(end: socket.socket, size: int) -> bytes:
    """So many bytes, or those up to the end."""
    got = bytearray()
    while len(got) < size and (more := end.recv(min(size - len(got), 1 << 18))):
        got += more
    return bytes(got)


def is_silent(end: socket.socket) -> bool:
    """Whether there is nothing to be read, not even an end."""
    return not select.select([end], [], [], 0)[0]


def was_reset(end: socket.socket) -> bool:
    """Whether the next that comes is a reset."""
    try:
        end.recv(1)
    except ConnectionResetError:
        return True
    return False


def break_off(end: socket.socket) -> None:
    """Close it with a reset."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()


def send_all_that_goes(end: socket.socket, size: int = 64 << 20) -> int:
    """How many bytes it takes before it would wait; they are those of `counted`."""
    end.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < size:
            sent += end.send(counted(sent, min(65_536, size - sent)))
    return sent


def counted(start: int, size: int) -> bytes:
    """Bytes of which each tells where it stands."""
    first = start // 4
    return struct.pack(f">{size // 4 + 2}I", *range(first, first + size // 4 + 2))[start % 4 :][:size]
