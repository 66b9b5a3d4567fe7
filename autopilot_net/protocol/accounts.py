"""Counts what went to one neighbour and came from it, by connection, so that what a connection lost is known.

A sender counts the messages that it gives to each connection, and a reader those that it reads. Each tells the other in
its probes how many it has read, also of former connections. So after a reconnect both know exactly how many messages
were lost. Nothing is sent here.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from msgspec import Struct

from autopilot_net.protocol.probes import ProbeState

__all__ = ["Account", "Losses"]

RUNS = 4_096
REMEMBER = 8  # former connections that the neighbour has not reported on; flapping must not fill the memory


class Losses(Struct, frozen=True):
    """Messages that nobody repeats, and that were lost with a connection: `lost` for sure, at most `unknown` more."""

    lost: int = 0
    unknown: int = 0


class _SentRuns:
    """What was given to one connection. `runs` are the numbers, first to last, of messages that nobody repeats."""

    __slots__ = ("is_told_first", "runs", "total")

    def __init__(self, *, is_told_first: bool = True) -> None:
        self.is_told_first = is_told_first
        self.total = 0
        self.runs: deque[list[int]] = deque()

    def put(self, *, counts: bool) -> None:
        self.total += 1
        if not counts:
            return
        if self.runs and self.runs[-1][1] == self.total - 1:
            self.runs[-1][1] = self.total
        else:
            self.runs.append([self.total, self.total])
            if len(self.runs) > RUNS:
                self.runs.popleft()  # the neighbour never reports what it has read; this it read long ago

    def read(self, number: int) -> None:
        """All up to `number` was read."""
        while self.runs and self.runs[0][1] <= number:
            self.runs.popleft()
        if self.runs and self.runs[0][0] <= number:
            self.runs[0][0] = number + 1

    def left(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)


class Account:
    """The connections to one neighbour, of which one is open. Probes are not counted."""

    def __init__(self) -> None:
        self.connection = ""  # the name of the open one, once it is known: the lower end names it
        self.read = 0
        self._sent = _SentRuns()
        self._untold: OrderedDict[str, _SentRuns] = OrderedDict()  # former ones that the neighbour has not reported on
        self._read_of: OrderedDict[str, int] = OrderedDict()
        self._life = ""  # the neighbour's

    def sent(self, *, counts: bool) -> None:
        """One message was given to the connection; `counts`: nobody repeats it."""
        self._sent.put(counts=counts)

    def received(self) -> None:
        """One message was read from it."""
        self.read += 1

    def renew(self, connection: str = "", *, is_told_first: bool = True) -> Losses:
        """Another connection replaces this one, of which everything that can be read was read.

        `is_told_first`: the name of the new connection is sent before anything else on it.
        """
        if self.connection:
            # zmq may connect once more under a name that was given up already, before it hears of that.
            again = self._untold.pop(self.connection, None)
            losses = Losses(unknown=again.left() if again is not None else 0)
            self._untold[self.connection] = self._sent
            self._read_of[self.connection] = self.read + self._read_of.pop(self.connection, 0)
        else:
            losses = Losses(unknown=self._sent.left())
        if len(self._untold) > REMEMBER:
            losses = Losses(unknown=losses.unknown + self._untold.popitem(last=False)[1].left())
        if len(self._read_of) > REMEMBER:
            self._read_of.popitem(last=False)
        self.connection, self.read, self._sent = connection, 0, _SentRuns(is_told_first=is_told_first)
        return losses

    def read_of(self) -> dict[str, int]:
        """How much was read of each former connection."""
        return dict(self._read_of)

    def hear(self, state: ProbeState) -> Losses:
        """The neighbour has told what it has read."""
        lost = unknown = 0
        if self._life and self._life != state.life:  # who read the former ones is gone, and its counts
            unknown = sum(sent.left() for sent in self._untold.values())
            self._untold.clear()
        self._life = state.life
        is_of_this = state.connection == self.connection  # otherwise it was sent while a former one was read
        if is_of_this:
            self._sent.read(min(state.read, self._sent.total))
        for connection, number in state.closed.items():
            sent = self._untold.pop(connection, None)
            if sent is not None:
                sent.read(number)
                lost += sent.left()
        if is_of_this:
            for sent in self._untold.values():  # the neighbour never heard its name, and read nothing of it
                lost, unknown = (lost + sent.left(), unknown) if sent.is_told_first else (lost, unknown + sent.left())
            self._untold.clear()
        return Losses(lost, unknown)
