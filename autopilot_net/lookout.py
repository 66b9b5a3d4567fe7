"""Looks why an upstream is not reached, in a thread of its own since that takes seconds, and has it said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from autopilot_net.line import Line
from autopilot_net.logbook import Logbook
from autopilot_net.protocol.effects import Effect
from autopilot_net.reach import look
from autopilot_net.sockets import bracketed

__all__ = ["Lookout"]

Run = Callable[[Line, Callable[[float], list[Effect]]], object]


class Lookout:
    """For the lines of one driver. `run` does something to a line under the driver's lock."""

    def __init__(self, name: str, book: Logbook, run: Run) -> None:
        self._name = name
        self._book = book
        self._run = run
        self.is_over = False  # nothing is said any more

    def mind(self, line: Line, lines: Sequence[Line], *, reached: bool, now: float) -> None:
        """Look why the upstream of `line` is not reached, if it is not, and it is time to."""
        if line.watch.is_due(reached=reached, now=now) and _is_first_to(line, lines):
            threading.Thread(target=self._look, args=(line,), name=f"{self._name} looks", daemon=True).start()

    def _look(self, line: Line) -> None:
        pipes, upstream, only_v6 = line.pipes, line.endpoint.routes.upstream, ""
        if line.endpoint.routes.up:
            there = line.endpoint.upstream_is
            why = f"the station there is {there!r}; is this its port, and {upstream!r} its id?"
        else:
            why, only_v6 = look(pipes.host, pipes.port)
        now, since = time.monotonic(), line.watch.since
        if only_v6 and not line.endpoint.routes.up:
            self._run(line, lambda now: _go_by_v6(line, only_v6, now))
        if since is not None and line.watch.is_to_be_told(now=now) and not self.is_over:
            where = f"{upstream} at {bracketed(pipes.host)}:{pipes.port}"
            self._book.warn(f"reach {where}", f"{where} has not been reached for {now - since:.0f} s: {why}")


def _is_first_to(line: Line, lines: Sequence[Line]) -> bool:
    """Whether `line` is the first to where it goes: a node's streams mostly go where it goes itself."""
    where = (line.pipes.host, line.pipes.port)
    return line is next(one for one in lines if (one.pipes.host, one.pipes.port) == where)


def _go_by_v6(line: Line, address: str, now: float) -> list[Effect]:
    """zmq looks a name up among one kind of addresses, and is given this one instead."""
    line.pipes.go_by(address)
    line.reconnect_at = now
    return []
