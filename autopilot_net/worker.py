"""A few threads for slow work. Calls about one thing run in order, calls about different things at once."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Worker"]

logger = logging.getLogger("autopilot_net")

THREADS = 2  # so that the digest of a large file does not keep the parts of a small one waiting

Call = Callable[[], Any]


class Worker:
    """Threads start when there is work. They are daemons: a process that ends does not wait for them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()  # what there is something to do about
        self._turns: dict[str, deque[Call]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def put(self, call: Call, *, about: str) -> None:
        """Run `call` after those about the same thing that were put before it. From any thread."""
        with self._lock:
            turn = self._turns.get(about)
            if turn is not None:
                turn.append(call)
                return
            self._turns[about] = deque([call])
            if len(self._threads) < THREADS:
                name = f"{self._name} beside {len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()
        self._ready.put(about)

    def _run(self) -> None:
        while True:
            about = self._ready.get()
            try:
                self._turns[about][0]()
            except Exception:
                logger.exception("%s: work beside its handlers raised", self._name)
            with self._lock:
                self._turns[about].popleft()
                if self._turns[about]:
                    self._ready.put(about)  # behind the others, which have waited
                else:
                    del self._turns[about]
