"""One thread that runs a lab's handlers, one at a time, in order of arrival. Concurrent ones run in a pool.

A handler that is a coroutine is run to its end before the next begins, in an asyncio loop of this thread.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Protocol

from autopilot_net.coroutines import Loop, finished
from autopilot_net.delivery import Delivery, settles
from autopilot_net.message import Message

__all__ = ["Handlers", "Callbacks"]

logger = logging.getLogger("autopilot_net")

Run = tuple[float, str]  # when a handler began, and what it handles
Done = Callable[[list[Delivery]], None]
Call = Callable[[], Any]

OBJECT_BYTES = 2_000  # about what a small message takes in memory beyond its bytes


class Callbacks(Protocol):
    """What a driver calls: a node or a station. In the handler thread, unless a listen is concurrent."""

    def on_message(self, message: Message) -> Any:
        """Handle `message`. If a `Delivery` (or several) is returned, it is handled when that is settled."""

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        """A neighbour came or went."""

    def on_twins(self, peer: str, addresses: tuple[str, str]) -> None:
        """Two live machines both have the id `peer`, of a neighbour below, at these addresses. Called once."""

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        """A handler raised."""

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        """The callback of a delivery, or `on_neighbour`, raised. It is logged already."""

    def is_concurrent(self, message: Message) -> bool:
        """Whether the handler of `message` may run beside others. Called in the I/O thread."""


class Handlers:
    """The handler thread of one driver."""

    def __init__(
        self,
        name: str,
        callbacks: Callbacks,
        *,
        slow_handler_s: float,
        behind_bytes: int,
        ended: Callable[[BaseException], Any] = lambda _: None,
    ) -> None:
        self._name = name
        self._ended = ended  # called with the error that ended the thread
        self._callbacks = callbacks
        self._slow_s = slow_handler_s
        self._batches: queue.SimpleQueue[list[Call] | None] = queue.SimpleQueue()
        self._running: Run | None = None
        self._beside: dict[int, Run | None] = {}  # of concurrent listens; None: it waits for a thread
        self._numbers = count()
        self._named: list[Run] = []
        self._put = self._done = 0  # batches
        self._behind_bytes = behind_bytes
        self._waiting = 0  # bytes of what no window bounds
        self._waiting_lock = threading.Lock()
        self._stopping = False
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._loop = Loop()
        self._thread = threading.Thread(target=self._run, name=f"{name} handlers", daemon=True)

    @property
    def ident(self) -> int | None:
        """The thread's identity."""
        return self._thread.ident

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Let the handler that runs end, for at most `timeout` seconds; run no other."""
        with self._pool_lock:
            self._stopping = True
        self._batches.put(None)
        if self._thread is not threading.current_thread() and self._thread.ident:
            self._thread.join(timeout)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def put(self, batch: list[Call]) -> None:
        """Queue calls, all at once: handing over to another thread is what costs. For the I/O thread."""
        self._put += 1
        self._batches.put(batch)

    def takes(self, size: int) -> bool:
        """Whether one more unconfirmed message, of `size` bytes, may wait. A flood must not fill the memory."""
        return not self._waiting or self._waiting + size <= self._behind_bytes

    def delivery(self, message: Message, done: Done | None, size: int = 0) -> Call | None:
        """The call that runs the handler of `message`, and then `done` with the deliveries that it waits for.

        None if the handler is concurrent, and runs in a pool already: handlers that block must not delay it.
        """
        weight = size + OBJECT_BYTES if size else 0
        self._weigh(weight)
        if self._callbacks.is_concurrent(message):
            self._call_beside(message, done, weight)
            return None
        return lambda: self._handle(message, done, weight)

    def finished(self, result: Any, key: str) -> Any:
        """The result of a listen for `key` that returned `result` in this thread. A coroutine is run to its end.

        All that the handler thread runs share one loop; a concurrent listen has one of its own while it runs.
        """
        if result is None:  # as nearly all of them return
            return None
        what = f"the listen for {key}"
        if threading.current_thread() is self._thread:
            return self._loop.finished(result, what)
        return finished(result, what)

    def neighbour(self, peer: str, is_there: bool) -> Call:
        """The call that tells of a neighbour."""
        news = f"{peer}'s {'coming' if is_there else 'going'}"
        return lambda: self._timed(news, lambda: self._callbacks.on_neighbour(peer, is_there))

    def callback_raised(self, error: BaseException) -> None:
        """Report what the callback of a delivery raised. Called in the `except` that caught it, in the I/O thread."""
        trace = traceback.format_exc()  # here: in the handler thread it would be another traceback

        def tell() -> None:
            self._callbacks.on_callback_exception(error, trace)

        self.put([tell])

    def duplicate_id(self, peer: str, addresses: tuple[str, str]) -> Call:
        """The call that tells of two under one id."""
        return lambda: self._timed(f"the news of two {peer}", lambda: self._callbacks.on_twins(peer, addresses))

    def slow_at(self) -> float | None:
        """When to call `watch` next. While anything waits, the next handler may begin at any moment."""
        now = time.monotonic()
        began = [now if run is None or run in self._named else run[0] for run in self._runs()]
        return min(began) + self._slow_s if began else None

    def watch(self) -> None:
        """Name each handler that is slow, once."""
        runs = self._runs()
        self._named = [run for run in self._named if run in runs]
        late = time.monotonic() - self._slow_s
        for run in runs:
            if run is not None and run[0] <= late and run not in self._named:
                logger.warning("%s: the handler of %s has run for over %g s", self._name, run[1], self._slow_s)
                self._named.append(run)

    def _runs(self) -> list[Run | None]:
        """What runs, or may begin any moment: None."""
        runs: list[Run | None] = [] if self._put == self._done else [self._running]
        if self._beside:
            with self._pool_lock:
                runs += self._beside.values()
        return runs

    def _run(self) -> None:
        try:
            self._run_batches()
        except BaseException as error:  # noqa: BLE001  # whatever it is, no handler runs any more
            self._ended(error)
        finally:
            self._loop.close()

    def _run_batches(self) -> None:
        while (batch := self._batches.get()) is not None:
            for call in batch:
                if self._stopping:
                    return
                try:
                    call()
                except BaseException as error:  # a call may exit, too, and the next must still run
                    logger.exception("%s: a deferred call raised", self._name)
                    self._tell(error)
            self._done += 1

    def _tell(self, error: BaseException) -> None:
        try:
            self._callbacks.on_callback_exception(error, traceback.format_exc())
        except Exception:
            logger.exception("%s: reporting it failed too", self._name)

    def _weigh(self, weight: int) -> None:
        if weight:
            with self._waiting_lock:
                self._waiting += weight

    def _call_beside(self, message: Message, done: Done | None, weight: int) -> None:
        with self._pool_lock:
            if self._stopping:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(4, thread_name_prefix=f"{self._name} concurrent")
            number = next(self._numbers)
            self._beside[number] = None
            self._pool.submit(self._handle_beside, number, message, done, weight)

    def _handle_beside(self, number: int, message: Message, done: Done | None, weight: int) -> None:
        with self._pool_lock:
            self._beside[number] = (time.monotonic(), message.key)
        try:
            self._call(message, done, weight)
        finally:
            with self._pool_lock:
                del self._beside[number]

    def _handle(self, message: Message, done: Done | None, weight: int) -> None:
        self._timed(message.key, lambda: self._call(message, done, weight))

    def _timed(self, what: str, call: Call) -> None:
        self._running = (time.monotonic(), what)
        try:
            call()
        finally:
            self._running = None

    def _call(self, message: Message, done: Done | None, weight: int) -> None:
        self._weigh(-weight)
        try:
            result = self.finished(self._callbacks.on_message(message), message.key)
        except BaseException as error:  # noqa: BLE001  # a lab's handler may exit, too, and the next must still run
            result = None
            self._report(message, error)
        if done is not None:
            done(settles(message, result))

    def _report(self, message: Message, error: BaseException) -> None:
        try:
            self._callbacks.on_exception(message, error, traceback.format_exc())
        except Exception:
            logger.exception("%s: the handler of %s raised, and reporting it failed too", self._name, message.key)
