"""Who is connected to a ROUTER, by which connection; and nothing is lost when one takes the place of another.

zmq tells of connections by file descriptors, and of messages by identities. The two are tied here. Where an id comes by
a new connection, what came by its former one is handed on first, and what comes by the new one waits that long.

Observed with libzmq 4.3.5: an identity that comes again is handed over. The former connection is then named by five
bytes, of which the first is zero. What it had received is read under that name, or thrown away, and it goes deaf
without a word. Used by one thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq

from autopilot_net.protocol.identity import id_of

__all__ = ["Arrival", "Inbound"]

FRAMES = 64  # of one message: the hops of a very deep tree. What has more is not of this protocol
CONNECTIONS = 8_192  # at once; whoever comes beyond is hung up on
QUIET_S = 0.2  # a connection whose place was taken, and that brings nothing for so long, is hung up on
DRAIN_S = 2.0  # how long the new connection waits for the former one's end at most


class Arrival(NamedTuple):
    """One message that came in. `is_new`: it is the first by its connection, and nothing of a former one is left."""

    peer: str
    frames: list[bytes]
    is_new: bool


class _Connection:
    """One connection from below."""

    __slots__ = ("address", "far_end", "fd", "identity", "peer", "probes")

    def __init__(self, peer: str, identity: bytes, fd: int, address: str, *, probes: bool) -> None:
        self.peer = peer
        self.identity = identity  # by which it is sent to
        self.fd = fd
        self.address = address
        self.far_end = _far_end(fd)
        self.probes = probes  # whether the first that came was a probe, as of all of ours


class _Ending:
    """A connection that is over, or about to be, and is read out; and what came by the one that takes its place."""

    __slots__ = ("former", "heard", "hung_up", "is_over", "is_renamed", "new", "quiet", "until", "waiting")

    def __init__(self, former: _Connection, new: _Connection | None = None, *, is_over: bool) -> None:
        self.former = former
        self.new = new
        self.waiting: deque[list[bytes]] = deque()
        self.is_over = is_over  # its end was told
        self.is_renamed = False  # zmq has handed its identity over
        self.quiet = 0  # messages that were read since its end was told, none of them its own
        self.hung_up = is_over
        self.heard = time.monotonic()  # when it brought something last
        self.until = self.heard + DRAIN_S

    def hang_up(self, now: float) -> None:
        """End it, if it does not end by itself.

        One that was closed at its other end has yet to bring what was under way. One that stays silent is what is left
        of a machine that lost its power. One that goes on is another machine under the same id, which then shows itself
        by coming back.
        """
        if not self.hung_up and (now >= self.heard + QUIET_S or now >= self.until):
            self.hung_up, self.until = True, now + DRAIN_S
            _shut_down(self.former.fd, self.former.far_end, socket.SHUT_RD)

    def is_its(self, identity: bytes, fd: int, *, is_probe: bool, is_live: bool) -> bool:
        """Whether a message came by the former connection, and not by one that takes its place."""
        if identity[:1] == b"\0":
            self.is_renamed = True
            return True
        if identity != self.former.identity or fd != self.former.fd:
            return False
        if self.new is not None:
            return self.new.identity != identity
        # The system gives the number of a connection that is closed to the next. A probe is what comes first by ours.
        return not (is_live and (is_probe or self.is_renamed))


class Inbound:
    """The connections below one ROUTER. `skipped` counts what was not handed on, by reason.

    Nobody below may have one of the ids that are `taken`: of the endpoint itself, and of its upstream.
    """

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)
        self.live: set[int] = set()  # the connections, as far as the monitor has told
        self.skipped: Counter[str] = Counter()
        self.gone: deque[str] = deque()  # neighbours that went, and of which all is read; to be told, and taken off
        self._current: dict[str, _Connection] = {}
        self._by_fd: dict[int, str] = {}
        self._endings: dict[str, _Ending] = {}
        # Of each neighbour: its address, and whether its former connection was still there when it came by this.
        self.came_by: dict[str, tuple[str, bool]] = {}

    def identity(self, peer: str) -> bytes:
        """By what zmq knows `peer` now."""
        known = self._current.get(peer)
        return known.identity if known is not None else peer.encode()

    def connections(self) -> dict[str, int]:
        """The descriptor of each neighbour's connection."""
        return {peer: known.fd for peer, known in self._current.items()}

    def reads_out(self) -> bool:
        """Whether a connection that is over, or about to be, is being read out."""
        return bool(self._endings)

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
        for ending in self._endings.values():
            ending.is_over = ending.is_over or ending.former.fd == fd
        peer = self._by_fd.pop(fd, None)
        if peer is not None and peer not in self._endings:
            self._endings[peer] = _Ending(self._current.pop(peer), is_over=True)

    # -- messages ------------------------------------------------------------------------------------------------

    def read(self, first: zmq.Frame, rest: list[bytes], watch: Callable[[], None]) -> Iterator[Arrival]:
        """What is to be handed on by now that a message came in: `first` names its connection.

        `watch` asks the monitor, which speaks of a connection before the first message of it can be read.
        """
        peer, fd, identity = _who(first)
        current = self._current.get(peer) if peer is not None else None
        is_known = current is not None and current.fd == fd and current.identity == identity
        if peer is not None and is_known and not self._endings and rest != [b""] and len(rest) <= FRAMES:
            yield Arrival(peer, rest, False)
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
        if self._endings:
            yield from self._count()

    def emptied(self) -> Iterator[Arrival]:
        """Nothing is left to be read: connections that are over are done with."""
        now = time.monotonic()
        for ending in list(self._endings.values()):
            ending.hang_up(now)
            if ending.is_over or now >= ending.until:
                yield from self._finish(ending)

    def _take(self, peer: str, fd: int, identity: bytes, first: zmq.Frame, rest: list[bytes]) -> Iterator[Arrival]:
        ending, current = self._endings.get(peer), self._current.get(peer)
        is_probe = rest == [b""]
        if ending is not None and ending.is_its(identity, fd, is_probe=is_probe, is_live=fd in self.live):
            ending.quiet, ending.heard = -1, time.monotonic()
            yield Arrival(peer, rest, False)
        elif current is not None and current.identity == identity and current.fd == fd:
            if ending is None:
                yield Arrival(peer, rest, False)
            else:
                ending.waiting.append(rest)
        elif identity[:1] == b"\0":
            yield Arrival(peer, rest, False)  # the last of one that was taken for read out
        else:
            new = _Connection(peer, identity, fd, _address(first), probes=is_probe)
            yield from self._begin(new, rest)

    def _begin(self, new: _Connection, rest: list[bytes]) -> Iterator[Arrival]:
        """The first message by a new connection of an id."""
        peer, former = new.peer, self._current.get(new.peer)
        if peer in self.gone:
            self.gone.remove(peer)
        self._end_by_number(new)
        self._current[peer], self._by_fd[new.fd] = new, peer
        self.came_by[peer] = (new.address, former is not None)
        if former is not None:
            self._take_over(former, new)
        ending = self._endings.get(peer)
        if ending is None:
            yield Arrival(peer, rest, True)
        else:
            ending.new = new
            ending.waiting.append(rest)
        if new.fd not in self.live:  # gone already, before the first that it said was read
            self.disconnected(new.fd)

    def _take_over(self, former: _Connection, new: _Connection) -> None:
        """An id has come by another connection, and the former one is still there."""
        if former.fd != new.fd:
            self._by_fd.pop(former.fd, None)
        if not former.probes:
            return  # Autopilot's own, which would connect again at once
        if former.identity == new.identity:  # zmq has handed it over: of the former one nothing more can be read
            _shut_down(former.fd, former.far_end, socket.SHUT_RDWR)
        else:
            self._endings.setdefault(new.peer, _Ending(former, new, is_over=False))

    def _end_by_number(self, new: _Connection) -> None:
        """Whoever came by the same number before is over, if that was not told while it was looked at."""
        other = self._by_fd.get(new.fd)
        if other is not None and other != new.peer and other not in self._endings:
            self._endings[other] = _Ending(self._current.pop(other), is_over=True)

    def _count(self) -> Iterator[Arrival]:
        """zmq reads from its connections in turn: one from which nothing came in two rounds has nothing left."""
        for ending in list(self._endings.values()):
            ending.hang_up(time.monotonic())
            if ending.is_over:
                ending.quiet += 1
                if ending.quiet > 2 * len(self.live) + 2:
                    yield from self._finish(ending)

    def _finish(self, ending: _Ending) -> Iterator[Arrival]:
        peer = ending.former.peer
        del self._endings[peer]
        if ending.new is None:
            self.gone.append(peer)
            self.came_by.pop(peer, None)
            return
        for number, frames in enumerate(ending.waiting):
            yield Arrival(peer, frames, number == 0)
        current = self._current.get(peer)
        if current is not None and current.fd not in self.live:  # it ended while it waited
            self._by_fd[current.fd] = peer
            self.disconnected(current.fd)


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
    """Whence it came: an address of IPv4 as such, also where both kinds are listened to."""
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
