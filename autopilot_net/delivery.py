"""The handle that `send` returns: whether a message is confirmed, has expired, or is still under way."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from autopilot_net.coroutines import refuse_unrun
from autopilot_net.errors import AutopilotNetError, DeliveryExpired, WaitInHandler
from autopilot_net.message import Message, refuse, why_refused
from autopilot_net.protocol.reasons import Refusal, refusal
from autopilot_net.roles.host import UNASKED

__all__ = ["Delivery", "all_of", "refused", "settles", "unheard", "when_settled"]

logger = logging.getLogger("autopilot_net")

_lock = threading.Lock()  # one for all: it is held for a few assignments, and a lock each would cost more than it saves
# A fork gets it as it stands, and whoever held it then is not there to give it back.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Delivery:
    """What becomes of one message. Any thread may read it and wait for it; it costs no lock until somebody waits.

    `confirmed` and `expired` say how it ended. While neither is true, the message is under way. `sought` is False for a
    message that asked for no confirmation (NOREPEAT): nothing more will be known of it. If it expired, `reason` says
    why, and `refused` says whether the recipient got it and could not handle it. Then sending it again is of no use.
    """

    __slots__ = (
        *("_callbacks", "_done", "_handler_thread", "_io_thread", "_pid", "_raised"),
        *("confirmed", "expired", "id", "reason", "refused", "sought", "to"),
    )

    def __init__(
        self,
        id: str,
        to: str,
        *,
        sought: bool = True,
        handler_thread: int | None = None,
        io_thread: int | None = None,
        raised: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.id = id
        self.to = to
        self.sought = sought
        self.confirmed = False
        self.expired = False
        self.refused = False
        self.reason = ""
        self._handler_thread = handler_thread
        self._io_thread = io_thread
        self._raised = raised
        self._pid = os.getpid()
        self._callbacks: list[Callable[[Delivery], Any]] = []
        self._done: threading.Event | None = None

    def __repr__(self) -> str:
        state = "confirmed" if self.confirmed else f"expired: {self.reason}" if self.expired else "under way"
        return f"<Delivery {self.id} to {self.to}: {state if self.sought else 'no confirmation sought'}>"

    @property
    def settled(self) -> bool:
        """Whether nothing more will be known."""
        return self.confirmed or self.expired or not self.sought

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, at most `timeout` seconds, until the recipient has handled the message; False if it has not by then.

        Raises `DeliveryExpired` if it is not known to be handled and nothing more is tried, `AutopilotNetError` if the
        message sought no confirmation, and `WaitInHandler` in a handler, or a callback, of the same node or station.
        """
        if not self.sought:
            raise AutopilotNetError(f"message {self.id} sought no confirmation; to wait for one, send with repeat=True")
        self._refuse_fork()
        self._refuse_own_threads()
        with _lock:
            if not self.settled and self._done is None:
                self._done = threading.Event()
        if self._done is not None:
            self._done.wait(timeout)
        if self.expired:
            raise DeliveryExpired(f"message {self.id} to {self.to} is not known to have been handled: {self.reason}")
        return self.confirmed

    def then(self, callback: Callable[[Delivery], Any]) -> None:
        """Call `callback(self)` once it is settled: in the I/O thread, which it must not block, or at once.

        If it raises in the I/O thread, the terminal is told by an ERROR, as of a handler.
        """
        with _lock:
            if not self.settled:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def settle(self, *, confirmed: bool, reason: str = "") -> None:
        """Say how it ended. Only the first call counts."""
        with _lock:
            if self.settled:
                return
            self.refused = isinstance(reason, Refusal)
            self.confirmed, self.expired, self.reason = confirmed, not confirmed, str(reason)
            callbacks, self._callbacks = self._callbacks, []
        if self._done is not None:
            self._done.set()
        for callback in callbacks:
            try:
                self._call(callback)
            except BaseException as error:  # one may exit, too; the thread that settles has others to settle
                logger.exception("a callback of the delivery of %s raised", self.id)
                if self._raised is not None:
                    self._raised(error)

    def _call(self, callback: Callable[[Delivery], Any]) -> None:
        refuse_unrun(callback(self), f"the callback of the delivery of {self.id}")

    def _refuse_fork(self) -> None:
        if self._pid != os.getpid() and not self.settled:
            raise AutopilotNetError(
                f"message {self.id} was sent by process {self._pid}, and this is process {os.getpid()}, a fork of "
                "that, which is not told what becomes of it: wait for it where it was sent"
            )

    def _refuse_own_threads(self) -> None:
        here = threading.get_ident()
        if self.settled or here not in (self._handler_thread, self._io_thread):
            return
        if here == self._handler_thread:
            raise WaitInHandler(
                f"a handler waits for {self.id} to be confirmed, and while it waits no other handler here runs: "
                "return the handle instead of waiting, or mark the listen as concurrent"
            )
        raise WaitInHandler(
            f"the callback of a delivery waits for {self.id} to be confirmed, in the thread that would have to read "
            "the confirmation: give that handle a callback of its own instead of waiting"
        )


def refused(message: Message, why: str) -> Delivery:
    """What a handler returns that cannot handle `message`: a handle that has expired for this reason."""
    handle = Delivery(message.id, str(message.to))
    handle.settle(confirmed=False, reason=refusal(why) or "")
    return handle


def unheard(message: Message, who: str) -> Delivery | None:
    """The result of handling `message` where nobody listens for its key: it is refused, and its sender is told so.

    What a station tells its program unasked is not refused: it counts as handled.
    """
    if message.get(UNASKED) is True:
        return None
    return refused(message, f"nobody listens for {message.key} at {who}")


def settles(message: Message, result: Any) -> list[Delivery]:
    """The handles in `result`, which the handler of `message` returned: when all are settled, `message` is handled.

    If one of them is refused, `message` is refused too, and its sender is told why. If `message` was refused already, a
    handle that says so is among them.
    """

    def note(done: Delivery) -> None:
        if done.refused:
            refuse(message, done.reason)

    handles = [delivery for delivery in all_of(result) if delivery.sought]
    for handle in handles:
        handle.then(note)
    why = why_refused(message)
    return [*handles, refused(message, why)] if why and not any(handle.refused for handle in handles) else handles


def all_of(result: Any) -> list[Delivery]:
    """The handles in what a handler returned: one, several in a list or tuple, or none."""
    if isinstance(result, Delivery):
        return [result]
    items: Iterable[Any] = result if isinstance(result, list | tuple) else ()
    return [item for item in items if isinstance(item, Delivery)]


def when_settled(deliveries: list[Delivery], then: Callable[[], Any]) -> None:
    """Call `then()` once all are settled: at once where they are."""
    left = len(deliveries)

    def one(_: Delivery) -> None:
        nonlocal left
        with _lock:
            left -= 1
            last = left == 0
        if last:
            then()

    for delivery in deliveries:
        delivery.then(one)
    if not deliveries:
        then()
