"""The process of the relays: one relay for each link that has faults or a shape.

zmq sees connections that stall, break, fall silent and come back, as between real machines. The library does not know
of the relays. What a relay does is journalled as an entry `link`: `to` is the link, named by the machine at its lower
end. `key` is the verb, or what happened to a connection. `value` has the facts, with bytes up and down.
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

from sim.evidence.journal import Writer
from sim.faults.actions import Action
from sim.lab.fault import Link
from sim.processes.machines import enter
from sim.processes.proxy import SelectorLoop
from sim.processes.relay import Relay
from sim.processes.start_up import RunContext

__all__ = ["RelayError", "LinkRelays", "RelayedLink"]

READY_S = 60.0
ANSWER_S = 10.0  # an order takes well under a millisecond
STOP_S = 3.0


class RelayError(Exception):
    """A relay cannot do what was asked, or the process of the relays has ended."""


class RelayedLink(Struct, frozen=True, kw_only=True):
    """A link that gets a relay."""

    name: str  # the id of the machine at its lower end
    port: int  # of the station at its upper end, on loopback
    listen: int = 0  # the port for the lower machine; it may be bound, but nobody may listen at it; 0: any free port
    link: Link = Link()  # its latency, jitter and rate without a fault


class LinkRelays:
    """The relays, as the parent process sees them. Any thread may call.

    `ports` has the port that each lower machine connects to, by link. The verbs of `Action` for links are carried out,
    but for `drop` and `duplicate`, which TCP would hide.

    - `cut`, both ways: bytes that are sent wait unread, neither end receives anything, and new connections are refused.
      One way: that direction is silent, the other passes, and new connections are accepted. `heal` ends a cut: it
      resets the connections of that time, since they lost bytes, and gives the link its own shape again.
    - `hold`: bytes and ends of connections wait, until `release` passes them on in order.
    - `shape`: sets latency, jitter and rate, also for bytes that already wait. The order stays.
    - `reset`: resets the connections at both ends, whatever other fault the link has.
    - `mute`: no byte of the connections that there are passes any more. When one end gives its connection up, the other
      does not notice that before TCP's keepalive would. New ones pass.

    A relay stops reading from an end while a megabyte of that end waits. So a latency limits the throughput: 100 ms let
    10 MB/s through. If the upper station does not listen, a new connection is reset at once.
    """

    def __init__(self, context: RunContext, links: Iterable[RelayedLink]) -> None:
        self.ports: dict[str, int] = {}
        self._pipe, theirs = multiprocessing.Pipe()
        self._theirs = theirs
        self._process = RelayProcess(context, tuple(links), theirs)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process, and wait until each relay listens. Raises `RelayError`."""
        self._process.start()
        self._theirs.close()
        self.ports = self._answer(READY_S)

    @property
    def pid(self) -> int | None:
        """The process id of the relays; None before `start`, and after the process has ended."""
        return self._process.pid if self._process.is_alive() else None

    def do(self, action: Action) -> None:
        """Carry out `action.verb` on the link `action.target`, and return when it is done. Raises `RelayError`."""
        with self._lock:
            try:
                self._pipe.send(action)
            except OSError as error:
                raise RelayError("the process of the links has ended; see logs/links.log") from error
            self._answer(ANSWER_S)

    def stop(self) -> None:
        """End every connection and the process. It may be called again."""
        with contextlib.suppress(OSError):  # it has ended by itself, or was stopped before
            self._pipe.send(None)
        self._pipe.close()
        self._theirs.close()
        if self._process.pid is not None:
            self._process.join(STOP_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _answer(self, timeout: float) -> Any:
        try:
            answer = self._pipe.recv() if self._pipe.poll(timeout) else "the process of the links does not answer"
        except (EOFError, OSError) as error:
            raise RelayError("the process of the links has ended; see logs/links.log") from error
        if isinstance(answer, str):
            raise RelayError(answer)
        return answer


class RelayProcess(multiprocessing.Process):
    """The process of all relays of a run. It ends when the other end of its pipe is closed."""

    def __init__(self, context: RunContext, links: tuple[RelayedLink, ...], pipe: Connection) -> None:
        super().__init__(name="links", daemon=True)
        self._context = context
        self._links = links
        self._pipe = pipe
        self._is_over = False

    def run(self) -> None:
        """Relay, and carry out the parent's orders, until the parent ends."""
        enter(self._context, "links")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop, writer = SelectorLoop(), Writer(self._context.journal, "links")
        relays = {link.name: self._relay(loop, link, writer) for link in self._links}
        loop.watch(self._pipe, lambda: self._obey(relays))
        self._pipe.send({name: relay.listens_at for name, relay in relays.items()})
        while not self._is_over:
            loop.step()
        for name, relay in relays.items():
            relay.close()
            writer.write("link", to=name, key="end", value=relay.carried())

    def _relay(self, loop: SelectorLoop, relayed: RelayedLink, writer: Writer) -> Relay:
        def tell(key: str, **facts: Any) -> None:
            writer.write("link", to=relayed.name, key=key, value=facts)

        rng = Random(f"{self._context.seed} {relayed.name}")
        return Relay(loop, port=relayed.port, listen=relayed.listen, link=relayed.link, rng=rng, tell=tell)

    def _obey(self, relays: dict[str, Relay]) -> None:
        try:
            action = self._pipe.recv()
        except (EOFError, OSError):
            action = None
        if action is None:
            self._is_over = True
            return
        relay = relays.get(action.target)
        if relay is None:
            self._pipe.send(f"the link of {action.target} has no relay, so that nothing can be done to it")
            return
        try:
            relay.do(action)
        except ValueError as error:
            self._pipe.send(f"the link of {action.target}: {error}")
        else:
            self._pipe.send(True)
