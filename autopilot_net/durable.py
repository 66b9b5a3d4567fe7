"""What was promised and what was handled, in one sqlite file: it carries out `Store` and `Forget`, and gives them back.

Committed to a write-ahead log, which survives the death of the process; a loss of power only with `sync="full"`, which
waits for the disk at every commit. Whoever needs something kept puts it in the queue, and whoever cannot go on until
it is kept flushes the queue, for all: one commit carries what several threads wait for.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from autopilot_net.errors import DurableRefused
from autopilot_net.protocol.effects import Effect, Forget, Store
from autopilot_net.protocol.records import REMEMBER, Handled, Kept, Record, Saved, Seen

__all__ = ["Durable"]

APPLICATION = 0x41504E31  # what `file` and this module know the file by
VERSION = 1
RESERVE = 1_000  # message numbers that are reserved in one go; a restart skips what was left of them
LOCKED_S = 5.0  # how long a file may still be held by a process that is about to end
TABLES = """
CREATE TABLE owner (id TEXT NOT NULL, next_number INTEGER NOT NULL);
CREATE TABLE endpoint (id TEXT PRIMARY KEY, incarnation TEXT NOT NULL);
CREATE TABLE channel (endpoint TEXT, recipient TEXT, next_seq INTEGER, PRIMARY KEY (endpoint, recipient));
CREATE TABLE kept (endpoint TEXT, recipient TEXT, seq INTEGER, record BLOB, PRIMARY KEY (endpoint, recipient, seq));
CREATE TABLE handled (
    endpoint TEXT, life TEXT, seq INTEGER, record BLOB, PRIMARY KEY (endpoint, life, seq)
) WITHOUT ROWID;
CREATE TABLE seen (number INTEGER PRIMARY KEY, endpoint TEXT, record BLOB);
"""
RECORDS: list[tuple[str, type[Record]]] = [
    ("SELECT record FROM kept WHERE endpoint = ?", Kept),
    ("SELECT record FROM handled WHERE endpoint = ?", Handled),
    ("SELECT record FROM seen WHERE endpoint = ? ORDER BY number", Seen),
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
        self._path = Path(path)
        self._queue: deque[Batch] = deque()
        self._lock = threading.Lock()
        is_new = refuse_foreign(self._path)
        try:
            self._open(owner, sync, is_new=is_new)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            self.close()
            raise DurableRefused(_why(self._path, error)) from error
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
                raise DurableRefused(_why(self._path, error)) from error

    def waiting(self) -> dict[str, int]:
        """The endpoints for which something waits to be delivered, and how many messages."""
        with self._lock:
            return dict(self._db.execute("SELECT endpoint, count(*) FROM kept GROUP BY endpoint").fetchall())

    def numbers(self) -> Iterator[int]:
        """Numbers for messages: no life of this owner is given one twice."""
        while True:
            with self._lock:
                query = "UPDATE owner SET next_number = next_number + ? RETURNING next_number"
                ((end,),) = self._db.execute(query, (RESERVE,)).fetchall()
            yield from range(end - RESERVE, end)

    def put(self, endpoint: str, effects: Iterable[Effect]) -> None:
        """Queue what of `effects` asks to be kept or let go: all of it is committed together, or none."""
        batch = [(endpoint, effect) for effect in effects if isinstance(effect, Store | Forget)]
        if batch:
            self._queue.append(batch)

    def flush(self) -> None:
        """Return once everything queued is committed. Raises `OSError` if it cannot be; it then stays queued."""
        if not self._queue:
            # What another thread took from the queue may not be committed yet, and the caller counts on it.
            with self._lock:
                return
        with self._lock:
            batches = []
            while self._queue:
                batches.append(self._queue.popleft())
            if not batches:
                return
            try:
                self._commit([item for batch in batches for item in batch])
            except sqlite3.Error as error:
                self._queue.extendleft(reversed(batches))
                raise OSError(f"{self._path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file. What is queued is not kept: flush first."""
        with self._lock:
            if hasattr(self, "_db"):
                self._db.close()

    # -- below ---------------------------------------------------------------------------------------------------

    def _open(self, owner: str, sync: str, *, is_new: bool) -> None:
        self._db = sqlite3.connect(self._path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second process would give the same promises
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN EXCLUSIVE")
        if is_new and not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            # With the tables at once: a file that is killed half made is either still empty, or whole.
            for pragma in (f"application_id = {APPLICATION}", f"user_version = {VERSION}"):
                self._db.execute(f"PRAGMA {pragma}")
            for table in filter(None, map(str.strip, TABLES.split(";"))):
                self._db.execute(table)
            self._db.execute("INSERT INTO owner VALUES (?, 0)", (owner,))
        self._db.execute("COMMIT")
        self._check(owner)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {sync}")

    def _check(self, owner: str) -> None:
        facts = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if facts != [APPLICATION, VERSION]:
            raise DurableRefused(_foreign(self._path))
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise DurableRefused(_why(self._path, damage))
        ((whose, _),) = self._db.execute("SELECT id, next_number FROM owner").fetchall()
        if whose != owner:
            raise DurableRefused(f"{self._path} keeps what {whose} promised, and {owner} needs a file of its own")

    def _load(self, endpoint: str, incarnation: str) -> Saved:
        self._db.execute("INSERT OR IGNORE INTO endpoint VALUES (?, ?)", (endpoint, incarnation))
        (incarnation,) = self._select("SELECT incarnation FROM endpoint WHERE id = ?", endpoint)[0]
        saved = Saved(str(incarnation))
        saved.next_seq = dict(self._select("SELECT recipient, next_seq FROM channel WHERE endpoint = ?", endpoint))
        for query, kind in RECORDS:
            for (blob,) in self._select(query, endpoint):
                saved.store(msgspec.msgpack.decode(blob, type=kind))
        return saved

    def _select(self, query: str, endpoint: str) -> list[Any]:
        return self._db.execute(query, (endpoint,)).fetchall()

    def _commit(self, batch: Batch) -> None:
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            for endpoint, effect in batch:
                if isinstance(effect, Store):
                    self._store(endpoint, effect.record)
                else:
                    where = (endpoint, effect.to, effect.seq)
                    run("DELETE FROM kept WHERE endpoint = ? AND recipient = ? AND seq = ?", where)
            run("COMMIT")
        except sqlite3.Error:
            run("ROLLBACK")
            raise

    def _store(self, endpoint: str, record: Record) -> None:
        run, blob = self._db.execute, _encode(record)
        if isinstance(record, Kept):
            run("INSERT INTO kept VALUES (?, ?, ?, ?)", (endpoint, record.to, record.seq, blob))
            run("INSERT OR REPLACE INTO channel VALUES (?, ?, ?)", (endpoint, record.to, record.seq + 1))
        elif isinstance(record, Handled):
            life = _encode(record.life)
            run("INSERT OR REPLACE INTO handled VALUES (?, ?, ?, ?)", (endpoint, life, record.seq, blob))
            run("DELETE FROM handled WHERE endpoint = ? AND life = ? AND seq < ?", (endpoint, life, record.low))
        else:
            number = run("INSERT INTO seen (endpoint, record) VALUES (?, ?)", (endpoint, blob)).lastrowid
            run("DELETE FROM seen WHERE number <= ?", ((number or 0) - REMEMBER,))


def refuse_foreign(path: Path) -> bool:
    """Whether `path` is yet to be made. Raises `DurableRefused` if what is there is plainly no file of ours."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        if path.parent.is_dir():
            return True
        raise DurableRefused(f"{path} cannot be made, for there is no folder {path.parent}") from None
    except OSError as error:
        raise DurableRefused(f"{path} cannot be opened: {error}") from error
    if not head:
        return True
    half_made = Path(f"{path}-journal").exists()  # which sqlite then completes, or takes back
    if not half_made and (head[:16] != b"SQLite format 3\0" or head[68:72] != APPLICATION.to_bytes(4, "big")):
        raise DurableRefused(_foreign(path))
    return half_made


def _foreign(path: Path) -> str:
    return f"{path} was not written by this version of autopilot_net, so it was left as it is; name another file"


def _why(path: Path, error: object) -> str:
    if "locked" in str(error):
        return f"{path} is in use by another process; a node or station needs a file of its own"
    return f"{path} is damaged, and was left as it is ({error}); move it away to begin with an empty one"
