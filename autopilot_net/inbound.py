"""Which connection each neighbour below has, so that nothing is lost when another connection replaces it.

zmq identifies connections by file descriptors in its events, and by identities in messages. Both are tied together
here. If an id comes by a new connection, everything that came by the former one is handed on first, and the new
messages wait for that.

Observed with libzmq 4.3.5: when an identity comes again, it is handed over to the new connection. The former one is
then named by five bytes, of which the first is zero. What it had received is read under that name, or discarded, and it
receives nothing more. Used by one thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq

from autopilot_net.protocol.identity import connection_of, id_of

__all__ = ["InboundMessage", "Inbound"]

FRAMES = 64  # of one message: enough for a very deep tree. More is not of this protocol
CONNECTIONS = 8_192  # at once; further connections are closed
FLUSH_S = 0.02  # zmq reports the end of a connection shortly before it hands on its last messages
UNHEARD = 256  # messages after which zmq has noticed everything that had arrived
RETIRED = 1_024
QUIET_S = 0.2  # a replaced connection that brings nothing for so long is closed
DRAIN_S = 2.0  # so is one that goes on for so long; its end is waited for at most as long again


class InboundMessage(NamedTuple):
    """One received message. `is_new`: it is the first of its connection, and the former one is read out."""

    peer: str
    frames: list[bytes]
    is_new: bool


class _Connection:
    """One connection from below."""

    __slots__ = (
        *("address", "far_end", "fd", "heard", "hung_up", "identity", "is_new", "is_over", "is_renamed", "peer"),
        *("probes", "quiet", "read_until", "took_over", "until", "waiting"),
    )

    def __init__(self, peer: str, identity: bytes, fd: int, address: str, *, probes: bool, took_over: bool) -> None:
        self.peer = peer
        self.identity = identity  # the address for messages to it
        self.fd = fd
        self.address = address
        self.far_end = _far_end(fd)
        self.probes = probes  # whether its first message was a probe, as for all of ours
        self.took_over = took_over  # whether the one before it was still there
        self.is_new = True  # nothing of it was handed on yet
        self.is_over = False  # its end was told
        self.is_renamed = False  # zmq has handed its identity over
        self.quiet = 0  # messages that were read since its end was told, none of them its own
        self.waiting: deque[list[bytes]] = deque()  # what it brought while one before it was read out
        self.hung_up = False
        self.heard = self.until = self.read_until = 0.0

    def begin_end(self, now: float) -> None:
        """Another takes its place, and waits for its end."""
        self.heard, self.until = now, now + DRAIN_S

    def hang_up(self, now: float) -> None:
        """End the connection, if it does not end by itself.

        One that was closed at its other end may still bring what was under way. One that stays silent is left over from
        a machine that lost its power. One that goes on sending is another machine of the same id, which shows by
        reconnecting.
        """
        if self.probes and not self.hung_up and (now >= self.heard + QUIET_S or now >= self.until):
            self.hung_up, self.heard = True, now
            _shut_down(self.fd, self.far_end, socket.SHUT_RD)

    def brought(self, identity: bytes, fd: int, *, is_probe: bool, is_live: bool) -> bool:
        """Whether a message came by it."""
        if identity[:1] == b"\0":
            self.is_renamed = self.is_renamed or self.identity != identity
            return True
        if identity != self.identity or fd != self.fd:
            return False
        # The system gives the number of a connection that is closed to the next. A probe is what comes first by ours.
        return not (self.is_over and is_live and (is_probe or self.is_renamed))


class Inbound:
    """The connections below one ROUTER. `skipped` counts what was not handed on, by reason.

    `taken` are ids that nobody below may have: that of the endpoint itself, and of its upstream.
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)
        self.live: set[int] = set()  # the connections, as far as the monitor has told
        self.skipped: Counter[str] = Counter()
        self.gone: deque[str] = deque()  # neighbours that went, and of which all is read; to be told, and taken off
        # Of each neighbour: its connections, in the order in which they came. The first is read; the others wait.
        self._chains: dict[str, deque[_Connection]] = {}
        self._handed: dict[str, _Connection] = {}  # of each neighbour, the one whose messages are handed on
        self._ending: dict[str, None] = {}  # neighbours whose first connection is over, or waited for
        self._by_fd: dict[int, _Connection] = {}
        self._last: dict[str, _Connection] = {}  # of neighbours that went; what is late is theirs still
        # Identities of connections that were read out, as far as could be told. Their senders have been told how far,
        # and count the rest as lost: so what comes by one after all is left out, and not counted once more.
        self._retired: OrderedDict[bytes, None] = OrderedDict()

    @property
    def came_by(self) -> dict[str, tuple[str, bool]]:
        """Of each neighbour: its address, and whether its former connection was still there when it came by this."""
        return {peer: (known.address, known.took_over) for peer, known in self._handed.items()}

    def identity(self, peer: str) -> bytes:
        """By what zmq knows `peer` now."""
        chain = self._chains.get(peer)
        return chain[-1].identity if chain else peer.encode()

    def connection(self, peer: str) -> str:
        """The name of the connection of `peer` whose messages are handed on; '' where it has none."""
        known = self._handed.get(peer)
        return connection_of(known.identity) if known is not None else ""

    def connections(self) -> dict[str, int]:
        """The descriptor of each neighbour's connection."""
        return {peer: chain[-1].fd for peer, chain in self._chains.items() if not chain[-1].is_over}

    def reads_out(self) -> bool:
        """Whether a connection that is over, or about to be, is being read out."""
        return bool(self._ending)

    # -- what the monitor tells ----------------------------------------------------------------------------------

    def accepted(self, fd: int) -> None:
        """A connection was accepted. One too many is ended."""
        self.live.add(fd)
        if len(self.live) > CONNECTIONS:
            self.skipped["a connection too many"] += 1
            _shut_down(fd, "", socket.SHUT_RDWR)

    def disconnected(self, fd: int) -> None:
        """A connection ended. What it has brought is still to be read."""
        self.live.discard(fd)
        self._end(self._by_fd.pop(fd, None))

    def _end(self, connection: _Connection | None) -> None:
        if connection is not None and not connection.is_over:
            connection.is_over, connection.quiet = True, 0
            connection.read_until = time.monotonic() + FLUSH_S
            self._ending[connection.peer] = None

    # -- messages ------------------------------------------------------------------------------------------------

    def read(self, first: zmq.Frame, rest: list[bytes], watch: Callable[[], None]) -> Iterator[InboundMessage]:
        """The messages to hand on, now that one has come in. `first` is its first frame, which names its connection.

        `watch` reads the monitor, which reports a connection before its first message can be read.
        """
        peer, fd, identity = _who(first)
        handed = self._handed.get(peer) if peer is not None else None
        if (
            peer is not None
            and handed is not None
            and handed.identity == identity
            and handed.fd == fd
            and not self._ending
            and rest != [b""]
            and len(rest) <= FRAMES
        ):
            yield InboundMessage(peer, rest, False)
            return
        watch()
        if peer is None:
            self.skipped["from a peer without an id"] += 1
        elif fd is None:
            self.skipped["from a peer of another protocol"] += 1
        elif peer in self.taken:
            self.skipped[f"from below, under the id {peer}, which is this station's own or its parent's"] += 1
        elif len(rest) > FRAMES:
            self.skipped[f"of more than {FRAMES} frames"] += 1
        else:
            yield from self._take(peer, fd, identity, first, rest)
        if self._ending:
            yield from self._advance(is_empty=False)

    def emptied(self) -> Iterator[InboundMessage]:
        """Nothing is left to be read: connections that are over are done with."""
        yield from self._advance(is_empty=True)

    def _take(
        self, peer: str, fd: int, identity: bytes, first: zmq.Frame, rest: list[bytes]
    ) -> Iterator[InboundMessage]:
        chain = self._chains.get(peer, ())
        is_probe = rest == [b""]
        last = self._last.pop(peer, None)
        if last is not None and self._is_late(last, identity, fd, is_probe=is_probe):
            self._last[peer] = last
            self.gone.append(peer)  # its last frames may arrive after the disconnect, which makes it look alive
            yield InboundMessage(peer, rest, False)
            return
        if last is not None:
            self._retire(last)
        for known in chain:
            if known.brought(identity, fd, is_probe=is_probe, is_live=fd in self.live):
                break
        else:
            if identity in self._retired or identity[:1] == b"\0":
                return
            known = self._begin(peer, identity, fd, first, probes=is_probe)
        if known is self._chains[peer][0]:
            known.quiet, known.heard = -1, time.monotonic()
            yield self._hand_on(known, rest)
        else:
            known.waiting.append(rest)

    def _is_late(self, last: _Connection, identity: bytes, fd: int, *, is_probe: bool) -> bool:
        """Whether a message is what zmq had yet to hand on of the connection of a neighbour that went."""
        is_live = fd in self.live
        if time.monotonic() >= last.read_until or (is_live and not last.probes):
            return False
        return last.brought(identity, fd, is_probe=is_probe, is_live=is_live)

    def _hand_on(self, known: _Connection, rest: list[bytes]) -> InboundMessage:
        is_new, known.is_new = known.is_new, False
        self._handed[known.peer] = known
        return InboundMessage(known.peer, rest, is_new)

    def _begin(self, peer: str, identity: bytes, fd: int, first: zmq.Frame, *, probes: bool) -> _Connection:
        """The first message by a new connection of an id."""
        chain = self._chains.setdefault(peer, deque())
        former = chain[-1] if chain else None
        is_there = former is not None and not former.is_over
        new = _Connection(peer, identity, fd, _address(first), probes=probes, took_over=is_there)
        if peer in self.gone:
            self.gone.remove(peer)
        self._end(self._by_fd.get(fd))  # whose number it has, if its end was not told while it was looked at
        if former is not None and is_there:
            self._take_over(former, new)
        chain.append(new)
        self._by_fd[fd] = new
        if fd not in self.live:  # gone already, before the first that it said was read
            self._end(self._by_fd.pop(fd))
        return new

    def _take_over(self, former: _Connection, new: _Connection) -> None:
        """An id has come by another connection, and the former one is still there."""
        former.begin_end(time.monotonic())
        self._ending[former.peer] = None
        if former.identity == new.identity:  # zmq has handed it over: of the former one not much more can be read
            if former.probes:  # one of Autopilot's own would connect again at once
                _shut_down(former.fd, former.far_end, socket.SHUT_RDWR)
            self._end(former)

    def _advance(self, *, is_empty: bool) -> Iterator[InboundMessage]:
        """Go on from connections that are read out to those that wait behind them.

        zmq reads from its connections in turn: one that brought nothing in two rounds has nothing left. It notices what
        has arrived only now and then, about once in a hundred messages.
        """
        now = time.monotonic()
        for peer in list(self._ending):
            chain = self._chains[peer]
            chain[0].quiet += 1
            while chain and self._is_done(chain, now, is_empty=is_empty):
                self._last[peer] = chain.popleft()
                if chain:
                    self._retire(self._last.pop(peer))
                    chain[0].begin_end(now)
                    while chain[0].waiting:
                        yield self._hand_on(chain[0], chain[0].waiting.popleft())
            if not chain:
                if len(self._last) > RETIRED:
                    del self._last[next(iter(self._last))]
                del self._chains[peer], self._ending[peer]
                self._handed.pop(peer, None)
                self.gone.append(peer)
            elif len(chain) == 1 and not chain[0].is_over:
                del self._ending[peer]

    def _is_done(self, chain: deque[_Connection], now: float, *, is_empty: bool) -> bool:
        head = chain[0]
        if head.is_over:
            may_end = len(chain) == 1 or now >= head.read_until
            return may_end and (is_empty or head.quiet > 2 * len(self.live) + UNHEARD)
        if len(chain) == 1:
            return False
        head.hang_up(now)
        return now >= max(head.until, head.heard + DRAIN_S)

    def _retire(self, connection: _Connection) -> None:
        if connection_of(connection.identity):
            self._retired[connection.identity] = None
            if len(self._retired) > RETIRED:
                self._retired.popitem(last=False)


def _who(first: zmq.Frame) -> tuple[str | None, int | None, bytes]:
    """The id, the connection and the identity of whoever sent a message that begins with the frame `first`."""
    identity = first.bytes
    try:
        fd = int(first.get(zmq.SRCFD))
        peer = id_of(str(first.get("Identity")).encode() if identity[:1] == b"\0" else identity)
    except (zmq.ZMQError, UnicodeError, ValueError):  # zmq ties nothing to what comes by its older protocols
        return id_of(identity.lstrip(b"\0")), None, identity
    return peer, fd, identity


def _address(first: zmq.Frame) -> str:
    """The address it came from. An IPv4 address is given as such, also where IPv6 is listened to."""
    return str(first.get("Peer-Address")).removeprefix("::ffff:")


def _far_end(fd: int) -> str:
    """The address and port at the other end; '' where the connection is gone."""
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return str(copy.getpeername())
    except OSError:
        return ""


def _shut_down(fd: int, far_end: str, how: int) -> None:
    """End a connection that zmq holds, by its descriptor, unless that is another's by now."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as copy:
        if not far_end or str(copy.getpeername()) == far_end:
            copy.shutdown(how)
