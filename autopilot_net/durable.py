"""What was promised and what was handled, in one sqlite file: it carries out `Store` and `Forget`, and gives them back.

Committed to a write-ahead log, which survives the death of the process; a loss of power only with `sync="full"`, which
waits for the disk at every commit. Whoever needs something kept puts it in the queue, and whoever cannot go on until
it is kept flushes the queue, for all: one commit carries what several threads wait for.

Every row ends in a checksum of the others, for a card that wears out flips bits, and sqlite looks at its own alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from autopilot_net.durable_file import TABLES, fill, make_whole, marked, refuse_foreign, why_refused
from autopilot_net.errors import DurableRefused
from autopilot_net.protocol.durable_records import REMEMBER, Handled, Kept, Life, Record, Saved, SeenUnnumbered
from autopilot_net.protocol.effects import Effect, Forget, Store

__all__ = ["Durable"]

RESERVE = 1_000  # message numbers that are reserved in one go; a restart skips what was left of them
LOCKED_S = 5.0  # how long a file may still be held by a process that is about to end
MARKED = [
    "SELECT id, next_number, mark FROM owner",
    "SELECT id, incarnation, mark FROM endpoint",
    "SELECT endpoint, recipient, next_seq, mark FROM channel",
    "SELECT endpoint, recipient, seq, record, mark FROM kept",
    "SELECT endpoint, life, seq, record, mark FROM handled",
    "SELECT endpoint, record, mark FROM seen",
]
RECORDS: list[tuple[str, type[Record]]] = [
    ("SELECT record FROM kept WHERE endpoint = ?", Kept),
    ("SELECT record FROM handled WHERE endpoint = ? ORDER BY rowid", Handled),  # the latest is last
    ("SELECT record FROM seen WHERE endpoint = ? ORDER BY number", SeenUnnumbered),
]

_encode = msgspec.msgpack.encode
Batch = list[tuple[str, Store | Forget]]


class Durable:
    """The file at `path`, which belongs to the node or station `owner` while this is open.

    Raises `DurableRefused`, and leaves the file as it is, where it is not a file of ours, is damaged, belongs to
    somebody else, or is in use. Safe to use from any thread.
    """

    def __init__(self, path: str | os.PathLike[str], owner: str, *, sync: str = "normal") -> None:
        if sync not in ("normal", "full"):
            raise DurableRefused(f"sync is 'normal' or 'full', not {sync!r}")
        self._path = Path(path).expanduser().absolute()  # sqlite has names, such as ":memory:", that are no paths
        self._queue: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._owner = owner
        self._reserved = self._kept_reserved = 0
        refuse_foreign(self._path)
        try:
            self._open(owner, sync)
        except OSError as error:
            raise DurableRefused(f"{self._path} cannot be written: {error}") from error
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            self.close()
            raise DurableRefused(why_refused(self._path, error)) from error
        except DurableRefused:
            self.close()
            raise

    def load(self, endpoint: str, incarnation: str) -> Saved:
        """What the endpoint left behind; a new one begins with `incarnation`. Raises `DurableRefused` for damage."""
        self.flush()
        with self._lock:
            try:
                return self._load(endpoint, incarnation)
            except (sqlite3.Error, msgspec.MsgspecError) as error:
                raise DurableRefused(why_refused(self._path, error)) from error

    def waiting(self) -> dict[str, int]:
        """The endpoints that have messages to deliver, and how many."""
        with self._lock:
            return dict(self._db.execute("SELECT endpoint, count(*) FROM kept GROUP BY endpoint").fetchall())

    def numbers(self) -> Iterator[int]:
        """Numbers for messages. No two lives of this owner get the same number. From any thread."""
        return _Numbers(self._reserve)

    def put(self, endpoint: str, effects: Iterable[Effect]) -> None:
        """Queue the records among `effects`: all of them are committed together, or none."""
        batch = [(endpoint, effect) for effect in effects if isinstance(effect, Store | Forget)]
        if batch:
            self._queue.append(batch)

    def flush(self) -> None:
        """Return once everything queued is committed. If it cannot be, raises `OSError`, and it stays queued."""
        with self._lock:  # even if nothing is queued: what another thread has taken may not be committed yet
            batch: Batch = []
            while self._queue:
                batch += self._queue.popleft()
            if not batch:
                return
            try:
                self._commit(batch)
            except Exception as error:
                self._queue.appendleft(compact(batch))
                raise OSError(f"{self._path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file. Queued records are lost: flush first."""
        with self._lock:
            if hasattr(self, "_db"):
                self._db.close()

    # -- below ---------------------------------------------------------------------------------------------------

    def _open(self, owner: str, sync: str) -> None:
        if not self._path.exists():
            make_whole(self._path, owner)
        self._db = sqlite3.connect(self._path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # a second process would give the same promises
        fill(self._db, owner)
        self._check(owner)
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {sync}")

    def _check(self, owner: str) -> None:
        run = self._db.execute
        damage = run("PRAGMA integrity_check(1)").fetchone()[0]
        if damage != "ok":
            raise DurableRefused(why_refused(self._path, damage))
        tables = [sql for (sql,) in run("SELECT sql FROM sqlite_master WHERE sql NOTNULL ORDER BY rowid")]
        owners = run("SELECT id, next_number FROM owner").fetchall() if tables == TABLES else []
        if len(owners) != 1:
            raise DurableRefused(why_refused(self._path, "it lacks a table or a row"))
        for query in MARKED:
            if any(tuple(row) != marked(*row[:-1]) for row in run(query)):
                raise DurableRefused(why_refused(self._path, "what was written does not match its checksum"))
        ((whose, self._reserved),) = owners
        self._kept_reserved = self._reserved
        if whose != owner:
            raise DurableRefused(f"{self._path} keeps what {whose} promised, and {owner} needs a file of its own")

    def _reserve(self) -> range:
        """Numbers that no life was given. If the disk is full, they are stored with the first message that has one."""
        with self._lock:
            first, self._reserved = self._reserved, self._reserved + RESERVE
            with contextlib.suppress(sqlite3.Error):
                self._keep_reserved()
                self._kept_reserved = self._reserved
            return range(first, self._reserved)

    def _keep_reserved(self) -> None:
        self._db.execute("UPDATE owner SET id = ?, next_number = ?, mark = ?", marked(self._owner, self._reserved))

    def _load(self, endpoint: str, incarnation: str) -> Saved:
        self._db.execute("INSERT OR IGNORE INTO endpoint VALUES (?, ?, ?)", marked(endpoint, incarnation))
        (incarnation,) = self._select("SELECT incarnation FROM endpoint WHERE id = ?", endpoint)[0]
        saved = Saved(str(incarnation))
        saved.next_seq = dict(self._select("SELECT recipient, next_seq FROM channel WHERE endpoint = ?", endpoint))
        for query, kind in RECORDS:
            for (blob,) in self._select(query, endpoint):
                saved.store(msgspec.msgpack.decode(blob, type=kind))
        for life in saved.prune():
            self._db.execute("DELETE FROM handled WHERE endpoint = ? AND life = ?", (endpoint, _encode(life)))
        return saved

    def _select(self, query: str, endpoint: str) -> list[Any]:
        return self._db.execute(query, (endpoint,)).fetchall()

    def _commit(self, batch: Batch) -> None:
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            if self._kept_reserved != self._reserved:
                self._keep_reserved()
            for endpoint, effect in batch:
                if isinstance(effect, Store):
                    self._store(endpoint, effect.record)
                else:
                    where = (endpoint, effect.to, effect.seq)
                    run("DELETE FROM kept WHERE endpoint = ? AND recipient = ? AND seq = ?", where)
            run("COMMIT")
        except Exception:
            if self._db.in_transaction:  # after some errors sqlite has rolled back already
                run("ROLLBACK")
            raise
        self._kept_reserved = self._reserved

    def _store(self, endpoint: str, record: Record) -> None:
        run, blob = self._db.execute, _encode(record)
        if isinstance(record, Kept):
            to, seq = record.to, record.seq
            run("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", marked(endpoint, to, seq, blob))
            run("INSERT OR REPLACE INTO channel VALUES (?, ?, ?, ?)", marked(endpoint, to, seq + 1))
        elif isinstance(record, Handled):
            life = _encode(record.life)
            run("INSERT OR REPLACE INTO handled VALUES (?, ?, ?, ?, ?)", marked(endpoint, life, record.seq, blob))
            run("DELETE FROM handled WHERE endpoint = ? AND life = ? AND seq < ?", (endpoint, life, record.low))
        else:
            columns = "(endpoint, record, mark) VALUES (?, ?, ?)"
            number = run(f"INSERT INTO seen {columns}", marked(endpoint, blob)).lastrowid
            run("DELETE FROM seen WHERE number <= ?", ((number or 0) - REMEMBER,))


class _Numbers:
    """Counts on through reserved ranges. A generator would fail if two threads took its next at once."""

    def __init__(self, reserve: Callable[[], range]) -> None:
        self._reserve = reserve
        self._lock = threading.Lock()
        self._left: Iterator[int] = iter(())

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            number = next(self._left, None)
            if number is None:
                self._left = iter(self._reserve())
                number = next(self._left)
            return number


def compact(batch: Batch) -> Batch:
    """The batch without records that later ones make needless: a full disk must not fill the memory."""
    settled = {(endpoint, effect.to, effect.seq) for endpoint, effect in batch if isinstance(effect, Forget)}
    promised: set[tuple[str, str, int]] = set()
    last: dict[tuple[str, str], int] = {}  # the last number is remembered even if its message is settled
    lows: dict[tuple[str, Life], int] = {}
    for endpoint, record in ((endpoint, effect.record) for endpoint, effect in batch if isinstance(effect, Store)):
        if isinstance(record, Kept):
            promised.add((endpoint, record.to, record.seq))
            last[endpoint, record.to] = record.seq
        elif isinstance(record, Handled):
            lows[endpoint, record.life] = max(record.low, lows.get((endpoint, record.life), 1))
    over = {one for one in promised & settled if last[one[:2]] != one[2]}

    def is_needed(endpoint: str, effect: Store | Forget) -> bool:
        what = effect.record if isinstance(effect, Store) else effect
        if isinstance(what, Handled):
            return what.seq >= lows[endpoint, what.life]
        return isinstance(what, SeenUnnumbered) or (endpoint, what.to, what.seq) not in over

    needed = [(endpoint, effect) for endpoint, effect in batch if is_needed(endpoint, effect)]
    stores = [(n, effect.record) for n, (_, effect) in enumerate(needed) if isinstance(effect, Store)]
    seen = [n for n, record in stores if isinstance(record, SeenUnnumbered)]
    old = set(seen[:-REMEMBER])
    return [one for n, one in enumerate(needed) if n not in old]
