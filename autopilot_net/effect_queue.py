"""What the threads of one driver share: its endpoints, and the effects that nobody has carried out yet."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from autopilot_net.attachment import Attachment
from autopilot_net.errors import AutopilotNetError
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Effect
from autopilot_net.wakeup import Wakeup

__all__ = ["EffectQueue"]


class EffectQueue:
    """Any thread may put effects here, under `lock`, which guards the endpoints too. The I/O thread carries them out.

    `changed` is notified when a message is settled, when an attachment retires, and when the driver stops.
    """

    def __init__(self, name: str, observer: Observer) -> None:
        self._name = name
        self._observer = observer
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.effects: deque[tuple[Attachment, Effect]] = deque()
        self.attachments: list[Attachment] = []
        self.retiring: list[Attachment] = []
        self.is_stopping = False  # nothing is sent any more
        self.sleeps_until = math.inf  # the I/O thread wakes by itself at that time
        self.io_thread: threading.Thread  # set by the I/O thread that serves it
        self.wakeup: Wakeup  # made when that starts

    # -- for any thread ------------------------------------------------------------------------------------------

    def add(self, attachment: Attachment) -> None:
        """Look after `attachment` too. Closes its sockets, and raises `AutopilotNetError`, if the driver is closed."""
        with self.lock:
            if self.is_stopping:
                attachment.sockets.close()
                raise AutopilotNetError(f"{self._name} is closed, and opens no {attachment.endpoint.id}")
            self.attachments = [*self.attachments, attachment]
        self.wake()

    def run(self, attachment: Attachment, act: Callable[[float], list[Effect]]) -> None:
        """Do `act(now)` to the endpoint of `attachment`, under the lock, and queue its effects."""
        with self.lock:
            self.put(attachment, act(time.monotonic()))
            due = min(attachment.due(), default=math.inf)
            is_early = bool(self.effects or self.retiring) or due < self.sleeps_until
        if is_early:
            self.wake()

    def put_locked(self, attachment: Attachment, effects: list[Effect]) -> None:
        """`put`, for a caller that does not hold the lock."""
        with self.lock:
            self.put(attachment, effects)

    def wake(self) -> None:
        """Wake the I/O thread, if it has started, and is another than this."""
        if self.io_thread.ident not in (None, threading.get_ident()):
            self.wakeup.wake()

    def stop(self) -> None:
        """Send nothing any more, and let nobody wait for room."""
        with self.lock:
            self.is_stopping = True
            self.changed.notify_all()

    # -- for whoever holds the lock ------------------------------------------------------------------------------

    def put(self, attachment: Attachment, effects: list[Effect]) -> None:
        """Queue effects of the endpoint of `attachment`."""
        for effect in effects:
            self.effects.append((attachment, effect))
        self._observer.put(attachment.endpoint, effects)

    def take(self) -> deque[tuple[Attachment, Effect]]:
        """All that is queued."""
        taken, self.effects = self.effects, deque()
        return taken

    def retire(self, attachment: Attachment) -> None:
        """Close the sockets of `attachment` once what it sent has left."""
        if attachment not in self.retiring:
            self.retiring.append(attachment)
            self.changed.notify_all()

    def take_retired(self) -> list[Attachment]:
        """The attachments whose turn to close has come: no effect of theirs is queued, and no full pipe holds any."""
        busy = {attachment for attachment, _ in self.effects}
        busy |= {attachment for attachment in self.attachments if attachment.endpoint.router.holds_back()}
        retired = [attachment for attachment in self.retiring if attachment not in busy]
        self.retiring = [attachment for attachment in self.retiring if attachment in busy]
        self.attachments = [attachment for attachment in self.attachments if attachment not in retired]
        return retired
