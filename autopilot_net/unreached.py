"""Finds out why an upstream is not reached, and logs it. In a thread of its own, since that takes seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from autopilot_net.attachment import Attachment
from autopilot_net.diagnosis import look
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Effect
from autopilot_net.socket_options import bracketed

__all__ = ["UnreachedWatch"]

Run = Callable[[Attachment, Callable[[float], list[Effect]]], object]


class UnreachedWatch:
    """For the attachments of one driver. `run` acts on an attachment under the driver's lock."""

    def __init__(self, name: str, observer: Observer, run: Run) -> None:
        self._name = name
        self._observer = observer
        self._run = run
        self.is_over = False  # nothing is logged any more

    def mind(self, attachment: Attachment, attachments: Sequence[Attachment], *, reached: bool, now: float) -> None:
        """If the upstream of `attachment` is not reached, and it is time to, find out why."""
        if attachment.watch.is_due(reached=reached, now=now) and _is_first_to(attachment, attachments):
            threading.Thread(target=self._look, args=(attachment,), name=f"{self._name} looks", daemon=True).start()

    def _look(self, attachment: Attachment) -> None:
        sockets, upstream, only_v6 = attachment.sockets, attachment.endpoint.routes.upstream, ""
        if attachment.endpoint.routes.up:
            there = attachment.endpoint.upstream_is
            why = f"the station there is {there!r}; is this its port, and {upstream!r} its id?"
        else:
            why, only_v6 = look(sockets.host, sockets.port)
        now, since = time.monotonic(), attachment.watch.since
        if only_v6 and not attachment.endpoint.routes.up:
            self._run(attachment, lambda now: _go_by_v6(attachment, only_v6, now))
        if since is not None and attachment.watch.is_to_be_told(now=now) and not self.is_over:
            where = f"{upstream} at {bracketed(sockets.host)}:{sockets.port}"
            self._observer.warn(f"reach {where}", f"{where} has not been reached for {now - since:.0f} s: {why}")


def _is_first_to(attachment: Attachment, attachments: Sequence[Attachment]) -> bool:
    """Whether `attachment` is the first to its address: a node's streams mostly have the node's own upstream."""
    where = (attachment.sockets.host, attachment.sockets.port)
    return attachment is next(one for one in attachments if (one.sockets.host, one.sockets.port) == where)


def _go_by_v6(attachment: Attachment, address: str, now: float) -> list[Effect]:
    """Connect to `address` from now on: zmq resolves a name to one kind of address only."""
    attachment.sockets.go_by(address)
    attachment.reconnect_at = now
    return []
