"""How a terminal serves task files. It keeps no state of a transfer: each question says all that it wants."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from msgspec import to_builtins

from autopilot_net.errors import BadMessage, FileRefused
from autopilot_net.roles.host import Handle, RoleHost, count_of, follow

__all__ = ["AT_ONCE", "MAX_PART", "FileServer"]

MAX_PART = 1 << 20  # bytes of a file in one message: what a slow link may hold up, and what memory it costs
AT_ONCE = 4  # parts on their way to one machine, of whatever file: what it asked for beyond waits as a question

Answer = dict[str, Any]


class FileServer:
    """Answers questions for files, each machine's in order. Files are read beside the listens."""

    def __init__(self, host: RoleHost) -> None:
        self._host = host
        self._under_way: Counter[str] = Counter()  # answers to each machine that are not settled
        self._questions: dict[str, deque[tuple[Any, Handle]]] = {}

    def answer(self, wanted: Any, machine: str) -> Handle:
        """Send `machine` the part, or the whole file, that it wants, or why not; handled when that is."""
        promise = self._host.promise()
        self._questions.setdefault(machine, deque()).append((wanted, promise))
        self._go_on(machine)
        return promise

    def _go_on(self, machine: str) -> None:
        questions = self._questions[machine]
        while questions and self._under_way[machine] < AT_ONCE:
            self._under_way[machine] += 1
            wanted, promise = questions.popleft()
            self._read(machine, wanted, promise)

    def _read(self, machine: str, wanted: Any, promise: Handle) -> None:
        path = str(wanted.get("path") if isinstance(wanted, dict) else wanted)

        def read() -> Answer:
            return self._whole(wanted) if isinstance(wanted, str) else self._part(wanted)

        self._host.beside(read, lambda outcome: self._send(machine, path, promise, outcome), about=path)

    def _send(self, machine: str, path: str, promise: Handle, outcome: Callable[[], Answer]) -> None:
        try:
            answer = outcome()
        except (FileRefused, KeyError, TypeError, ValueError, OverflowError) as error:
            answer = {"path": path, "error": str(error)}
        try:
            handle = self._host.send(machine, "FILE", answer, repeat=True, flags=["MINPRINT"])
        except BadMessage:  # half a character in the path, which came as JSON and cannot go back
            promise.settle(confirmed=True)
            self._settled(machine)
            return
        follow(promise, handle)
        # It may be settled in another thread, and what follows belongs between two listens.
        handle.then(lambda _: self._host.after(0, lambda: self._settled(machine)))

    def _settled(self, machine: str) -> None:
        self._under_way[machine] -= 1
        self._go_on(machine)
        if not self._under_way[machine]:
            del self._under_way[machine], self._questions[machine]

    def _whole(self, path: str) -> Answer:
        size, _ = self._host.files.size_and_digest(path)
        return {"path": path, "file": to_builtins(self._host.files.read(path, 0, size))}

    def _part(self, wanted: Answer) -> Answer:
        path, offset = str(wanted["path"]), count_of(wanted, "offset")
        size, digest = self._host.files.size_and_digest(path)
        data = self._host.files.read(path, offset, min(count_of(wanted, "length"), MAX_PART))
        return {"path": path, "offset": offset, "size": size, "digest": digest, "data": to_builtins(data)}
