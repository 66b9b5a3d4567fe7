"""The links of a lab of processes that something may be wrong with: a relay for each, all in one process.

So zmq sees connections that stall, break, are silent and come back, as it would between machines, and nothing of the
library knows of it. What each relay did is in the journal, as entries `link`: `to` is the link, named by the machine at
its lower end; `key` is the verb, or what became of a connection; `value` has the facts, bytes up and down among them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Iterable
from multiprocessing.connection import Connection
from random import Random
from typing import Any

from msgspec import Struct

from sim.emulator.sender import Place
from sim.evidence.journal import Writer
from sim.faults.actions import Action
from sim.lab.fault import Link
from sim.processes.machines import enter
from sim.processes.proxy import Loop
from sim.processes.relay import Relay

__all__ = ["LinkError", "Links", "Relayed"]

READY_S = 60.0
ANSWER_S = 10.0  # an order takes well under a millisecond
STOP_S = 3.0


class LinkError(Exception):
    """What was asked of a link cannot be done, or the relays are no more."""


class Relayed(Struct, frozen=True, kw_only=True):
    """A link that gets a relay."""

    name: str  # the id of the machine at its lower end
    port: int  # of the station at its upper end, on loopback
    listen: int = 0  # where the lower machine is to connect; it may be held, and not listened at; 0: the system chooses
    link: Link = Link()  # what it is like when nothing is wrong


class Links:
    """The parent's side. Any thread may call it; `ports` has where each lower machine is to connect, by link.

    All verbs of `Action` that are for links are carried out, but `drop` and `duplicate`: TCP would hide them.

    - `cut`, both ways: what is sent waits unread, neither end hears anything, and connecting is refused. One way: that
      way is silent, the other is not, and who connects is let in. `heal` ends it: connections that were there meanwhile
      are reset, for they have lost what was under way; and the link is as its `Relayed` says.
    - `hold`: bytes, and how connections end, wait, until `release` passes them on in order.
    - `shape`: what passes from now on, and what waits, is as late and as slow as it says, in the same order.
    - `reset`: connections are reset for both ends, whatever else is done to the link.

    A relay reads no more from an end while a megabyte of it waits. So a latency bounds what passes, as it does
    elsewhere: 100 ms let 10 MB/s through. Where the upper station does not listen, who connects is reset at once.
    """

    def __init__(self, place: Place, wires: Iterable[Relayed]) -> None:
        self.ports: dict[str, int] = {}
        self._line, theirs = multiprocessing.Pipe()
        self._theirs = theirs
        self._process = LinksProcess(place, tuple(wires), theirs)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process, and wait until each relay listens. Raises `LinkError`."""
        self._process.start()
        self._theirs.close()
        self.ports = self._answer(READY_S)

    @property
    def pid(self) -> int | None:
        """Of the process of all relays; None before `start`, and when it has ended."""
        return self._process.pid if self._process.is_alive() else None

    def do(self, action: Action) -> None:
        """Do `action.verb` to the link `action.target`, and return when it is done. Raises `LinkError`."""
        with self._lock:
            try:
                self._line.send(action)
            except OSError as error:
                raise LinkError("the process of the links has ended; see logs/links.log") from error
            self._answer(ANSWER_S)

    def stop(self) -> None:
        """End every connection and the process. Once is enough, and more does no harm."""
        with contextlib.suppress(OSError):  # it has ended by itself, or was told before
            self._line.send(None)
        self._line.close()
        self._theirs.close()
        if self._process.pid is not None:
            self._process.join(STOP_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _answer(self, timeout: float) -> Any:
        try:
            answer = self._line.recv() if self._line.poll(timeout) else "the process of the links does not answer"
        except (EOFError, OSError) as error:
            raise LinkError("the process of the links has ended; see logs/links.log") from error
        if isinstance(answer, str):
            raise LinkError(answer)
        return answer


class LinksProcess(multiprocessing.Process):
    """The process of all relays of a run. It ends when its line does."""

    def __init__(self, place: Place, wires: tuple[Relayed, ...], line: Connection) -> None:
        super().__init__(name="links", daemon=True)
        self._place = place
        self._wires = wires
        self._line = line
        self._is_over = False

    def run(self) -> None:
        """Relay, and obey the parent, until it is gone."""
        enter(self._place, "links")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop, writer = Loop(), Writer(self._place.journal, "links")
        relays = {wire.name: self._relay(loop, wire, writer) for wire in self._wires}
        loop.watch(self._line, lambda: self._obey(relays))
        self._line.send({name: relay.listens_at for name, relay in relays.items()})
        while not self._is_over:
            loop.step()
        for name, relay in relays.items():
            relay.close()
            writer.write("link", to=name, key="end", value=relay.carried())

    def _relay(self, loop: Loop, wire: Relayed, writer: Writer) -> Relay:
        def tell(key: str, **facts: Any) -> None:
            writer.write("link", to=wire.name, key=key, value=facts)

        chance = Random(f"{self._place.seed} {wire.name}")
        return Relay(loop, port=wire.port, listen=wire.listen, link=wire.link, chance=chance, tell=tell)

    def _obey(self, relays: dict[str, Relay]) -> None:
        try:
            action = self._line.recv()
        except (EOFError, OSError):
            action = None
        if action is None:
            self._is_over = True
            return
        relay = relays.get(action.target)
        if relay is None:
            self._line.send(f"the link of {action.target} has no relay, so that nothing can be done to it")
            return
        try:
            relay.do(action)
        except ValueError as error:
            self._line.send(f"the link of {action.target}: {error}")
        else:
            self._line.send(True)
