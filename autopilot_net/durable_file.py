"""The sqlite file of a durable node or station: how it is made, whether one is ours, and how a row is checked."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import zlib
from pathlib import Path
from typing import Any

import msgspec

from autopilot_net.errors import DurableRefused

__all__ = ["TABLES", "fill", "make_whole", "marked", "refuse_foreign", "why_refused"]

APPLICATION = 0x41504E31  # by which `file` and this module recognize it
VERSION = 3
TABLES = [
    "CREATE TABLE owner (id TEXT NOT NULL, next_number INTEGER NOT NULL, mark INTEGER)",
    "CREATE TABLE endpoint (id TEXT PRIMARY KEY, incarnation TEXT NOT NULL, mark INTEGER)",
    "CREATE TABLE channel (endpoint TEXT, recipient TEXT, next_seq INTEGER, mark INTEGER, "
    "PRIMARY KEY (endpoint, recipient))",
    "CREATE TABLE kept (endpoint TEXT, recipient TEXT, seq INTEGER, record BLOB, mark INTEGER, "
    "PRIMARY KEY (endpoint, recipient, seq))",
    "CREATE TABLE handled (endpoint TEXT, life TEXT, seq INTEGER, record BLOB, mark INTEGER, "
    "PRIMARY KEY (endpoint, life, seq))",
    "CREATE TABLE seen (number INTEGER PRIMARY KEY, endpoint TEXT, record BLOB, mark INTEGER)",
]
IN_USE = ("SQLITE_BUSY", "SQLITE_LOCKED")
NO_ROOM = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")


def make_whole(path: Path, owner: str) -> None:
    """Make the file under another name, and rename it when it is complete. If killed in between, no file is there."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        with contextlib.closing(sqlite3.connect(name, isolation_level=None)) as db:
            fill(db, owner)
        # Another process may have been quicker. Where none of this can be done, the file is made under its own name.
        with contextlib.suppress(OSError):
            _name(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _name(name: str, path: Path) -> None:
    """Give the file `name` this path, unless there is one."""
    try:
        os.link(name, path)
    except FileExistsError:
        return
    except OSError:  # hard links are not supported here, as on FAT: a lock on the folder decides who renames
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            import fcntl

            fcntl.flock(folder, fcntl.LOCK_EX)
            if not path.exists():
                os.rename(name, path)
        finally:
            os.close(folder)


def fill(db: sqlite3.Connection, owner: str) -> None:
    """Make the tables where there are none."""
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")  # without it, a sync on macOS does not wait for the disk itself
    db.execute("BEGIN EXCLUSIVE")
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for pragma in (f"application_id = {APPLICATION}", f"user_version = {VERSION}"):
            db.execute(f"PRAGMA {pragma}")
        for table in TABLES:
            db.execute(table)
        db.execute("INSERT INTO owner VALUES (?, ?, ?)", marked(owner, 0))
    db.execute("COMMIT")


def refuse_foreign(path: Path) -> None:
    """Raise `DurableRefused` if what is at `path` is plainly no file of ours, or if none could be made there.

    Read by sqlite, and so that it changes nothing: a transaction that another program was killed in is its own to take
    back, and our own process would lose its lock on a file that it opens otherwise, and closes. Nor is a file damaged
    that is shorter than it says: whoever wrote it may have been stopped while it grew, and its log has the rest.
    """
    if not path.parent.is_dir():
        raise DurableRefused(f"{path} cannot be made, for there is no folder {path.parent}")
    if not path.exists():
        return
    if not path.is_file():
        raise DurableRefused(f"{path} cannot be opened: it is not a file")
    if not path.stat().st_size:
        return
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        db.execute("PRAGMA writable_schema = ON")  # the one way to have sqlite read a file that is too short
        facts = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    except sqlite3.DatabaseError as error:
        facts = []
        if getattr(error, "sqlite_errorname", "") != "SQLITE_NOTADB":
            raise DurableRefused(why_refused(path, error)) from error
    finally:
        db.close()
    if facts != [APPLICATION, VERSION]:
        raise DurableRefused(
            f"{path} was not written by this version of autopilot_net, so it was left as it is; name another file"
        )


def marked(*values: Any) -> tuple[Any, ...]:
    """A row, with its checksum."""
    return (*values, zlib.crc32(msgspec.msgpack.encode(values)))


def why_refused(path: Path, error: object) -> str:
    name = str(getattr(error, "sqlite_errorname", ""))
    what = " ".join(str(error).split())
    if name.startswith(IN_USE):
        return f"{path} is in use by another process; a node or station needs a file of its own"
    if name.startswith(NO_ROOM):
        return f"{path} cannot be written: {what}"
    return f"{path} is damaged, and was left as it is ({what}); move it away to begin with an empty one"
