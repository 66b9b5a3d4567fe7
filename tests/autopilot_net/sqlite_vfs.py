"""What sqlite asks of a disk, written down: every write, truncation and sync, and the names that come and go, in order.

The standard library's sqlite is given a file system (a VFS) of ours as its default, which is the one it has, but for
the calls that write, truncate, sync, open and delete. So each is seen, whatever sqlite makes of a statement, and
nothing in what is tested knows of it. Where the names of that library cannot be reached, as in a Python that has
sqlite built in, `Unreachable` says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
import threading
from collections.abc import Iterator
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "Name", "Op", "Recording", "Sync", "SyncNames", "Truncate", "Unname", "Unreachable", "Write",
    "recorded", "unsynced",
]  # fmt: skip

SYNC_FULL = 3  # as opposed to 2: on macOS, only this one waits for the disk


class Unreachable(Exception):
    """Where a recording cannot be made, and why."""


# -- what is written down -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """`file` is a number of ours: a file of the same name that is made later has another."""

    file: int
    at: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    file: int
    size: int


@dataclass(frozen=True)
class Sync:
    file: int


@dataclass(frozen=True)
class Name:
    name: str
    file: int


@dataclass(frozen=True)
class Unname:
    name: str


@dataclass(frozen=True)
class SyncNames:
    """The folder is synced, in which all of the files are."""


Op = Write | Truncate | Sync | Name | Unname | SyncNames


@dataclass
class Recording:
    """Each operation on the files of a folder, and how many calls had begun and returned when it came."""

    folder: Path
    ops: list[tuple[Op, int, int]] = field(default_factory=list)
    there: int = 0  # so many of them say what was there before
    begun: int = 0
    returned: int = 0
    weak_syncs: int = 0  # that leave to the disk when it writes, where there is such a thing
    _names: dict[str, tuple[int, int]] = field(default_factory=dict)  # the system's number of the file, and ours
    _files: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Write down what is there already: it is on disk."""
        self.file("")
        for name, (_, file) in sorted(self._names.items()):
            self.note(Write(file, 0, (self.folder / name).read_bytes()))
            self.note(Sync(file))
        self.note(SyncNames())
        self.there = len(self.ops)

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """A call of what is tested: what it promises holds as soon as it has returned."""
        self.begun += 1
        yield
        self.returned += 1

    def note(self, op: Op) -> None:
        """Write `op` down."""
        self.ops.append((op, self.begun, self.returned))

    def file(self, path: str) -> int | None:
        """Which file it is that has this path now, if it is in the folder. Looks what names came and went meanwhile."""
        with self._lock:
            now = {entry.name: entry.inode() for entry in os.scandir(self.folder)}
            for name in sorted(now.keys() - self._names.keys()):  # given before any was taken away, as by a rename
                known = [ours for theirs, ours in self._names.values() if theirs == now[name]]
                self._files += not known
                self._names[name] = (now[name], known[0] if known else self._files)
                self.note(Name(name, self._names[name][1]))
            for name in sorted(self._names.keys() - now.keys()):
                del self._names[name]
                self.note(Unname(name))
            folder, name = os.path.split(path)
            return self._names[name][1] if name in self._names and Path(folder) == self.folder else None


# -- how it is seen -------------------------------------------------------------------------------------------------

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_SET = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_GET = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_FOLDER = CFUNCTYPE(c_int, c_char_p, POINTER(c_int))


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int), ("size", c_int), ("longest", c_int), ("next", c_void_p), ("name", c_char_p),
        ("data", c_void_p), ("open", c_void_p), ("delete", c_void_p),
        *((f"kept_{n}", c_void_p) for n in range(11)),
        ("set_call", c_void_p), ("get_call", c_void_p), ("next_call", c_void_p),
    )  # fmt: skip


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", c_void_p), ("truncate", c_void_p),
        ("sync", c_void_p), *((f"kept_{n}", c_void_p) for n in range(13)),
    )  # fmt: skip


def _address(function: Any) -> int | None:
    return ctypes.cast(function, c_void_p).value


class _Shim:
    """The file system, once in a process: a connection that nobody closed may call it to the end."""

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self._paths: dict[int, str] = {}
        self._methods: dict[int, tuple[_Methods, _Methods]] = {}
        self._lib = _library()
        theirs = _Vfs.from_address(self._lib.sqlite3_vfs_find(None))
        if theirs.version < 3 or not theirs.set_call or not _GET(theirs.get_call)(self._at(theirs), b"openDirectory"):
            raise Unreachable("sqlite has no file system of POSIX's here")
        self._theirs, self._at_theirs = theirs, self._at(theirs)
        self._open_theirs, self._delete_theirs = _OPEN(theirs.open), _DELETE(theirs.delete)
        self._open_folder_theirs = _FOLDER(_GET(theirs.get_call)(self._at_theirs, b"openDirectory"))
        self._calls = (  # held, for sqlite does not
            _OPEN(self._open), _DELETE(self._delete), _FOLDER(self._open_folder),
            _WRITE(self._write), _TRUNCATE(self._truncate), _SYNC(self._sync),
        )  # fmt: skip
        self._ours = _Vfs.from_buffer_copy(theirs)
        self._ours.name, self._ours.next = b"powercut", None
        self._ours.open, self._ours.delete = _address(self._calls[0]), _address(self._calls[1])

    @staticmethod
    def _at(structure: ctypes.Structure) -> int:
        return ctypes.addressof(structure)

    @contextlib.contextmanager
    def default(self) -> Iterator[None]:
        """Every file that sqlite opens meanwhile is opened by this. Only what is recorded is synced: it takes long."""
        self._lib.sqlite3_vfs_register(self._at(self._ours), 1)
        _SET(self._theirs.set_call)(self._at_theirs, b"openDirectory", _address(self._calls[2]))
        try:
            yield
        finally:
            _SET(self._theirs.set_call)(self._at_theirs, b"openDirectory", None)
            self._lib.sqlite3_vfs_unregister(self._at(self._ours))
            self._lib.sqlite3_vfs_register(self._at_theirs, 1)

    def _file(self, file: int) -> tuple[_Methods, Recording | None, int | None]:
        """What the file really does, and who wants to know, under which number."""
        methods = self._methods[c_void_p.from_address(file).value or 0][1]
        number = self.recording.file(self._paths[file]) if self.recording else None
        return methods, self.recording, number

    def _open(self, _: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        if self.recording:
            self.recording.file("")
        result = int(self._open_theirs(self._at_theirs, name, file, flags, out))
        at = c_void_p.from_address(file)
        if not result and name and at.value:
            self._paths[file] = os.fsdecode(ctypes.string_at(name))
            at.value = self._substitute(at.value)
            if self.recording:
                self.recording.file("")
        return result

    def _substitute(self, methods: int) -> int:
        """The address of the same methods, but for those that are seen."""
        for at, (_, original) in self._methods.items():
            if self._at(original) == methods:
                return at
        original = _Methods.from_address(methods)
        ours = _Methods.from_buffer_copy(original)
        ours.write, ours.truncate, ours.sync = map(_address, self._calls[3:])
        self._methods[self._at(ours)] = ours, original
        return self._at(ours)

    def _delete(self, _: int, name: int, sync: int) -> int:
        result = int(self._delete_theirs(self._at_theirs, name, sync))
        if self.recording:
            self.recording.file("")
        return result

    def _open_folder(self, path: bytes, fd: Any) -> int:
        """It opens a folder only to sync it."""
        if self.recording and Path(os.fsdecode(path)).parent == self.recording.folder:
            self.recording.file("")
            self.recording.note(SyncNames())
        return int(self._open_folder_theirs(path, fd))

    def _write(self, file: int, data: int, size: int, at: int) -> int:
        methods, recording, number = self._file(file)
        if recording and number:
            recording.note(Write(number, at, ctypes.string_at(data, size)))
        return int(_WRITE(methods.write)(file, data, size, at))

    def _truncate(self, file: int, size: int) -> int:
        methods, recording, number = self._file(file)
        if recording and number:
            recording.note(Truncate(number, size))
        return int(_TRUNCATE(methods.truncate)(file, size))

    def _sync(self, file: int, flags: int) -> int:
        methods, recording, number = self._file(file)
        if recording and number:
            recording.note(Sync(number))
            recording.weak_syncs += flags & 0xF != SYNC_FULL
        return int(_SYNC(methods.sync)(file, flags)) if recording else 0


@cache
def _shim() -> _Shim:
    return _Shim()


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[Recording]:
    """What sqlite does to files of `folder` is written down meanwhile. Raises `Unreachable` where it cannot be."""
    shim, recording = _shim(), Recording(folder)
    recording.begin()
    with shim.default():
        shim.recording = recording
        try:
            yield recording
        finally:
            shim.recording = None
            recording.file("")


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """No connection that is opened meanwhile waits for the disk, so that thousands of files are soon looked at."""
    with _shim().default():
        yield


def _library() -> Any:
    """The very sqlite that the module `sqlite3` uses."""
    import _sqlite3

    lib = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        lib.sqlite3_vfs_find.argtypes, lib.sqlite3_vfs_find.restype = [c_char_p], c_void_p
        lib.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
        lib.sqlite3_vfs_unregister.argtypes = [c_void_p]
        lib.sqlite3_sourceid.restype = c_char_p
    except AttributeError as error:
        raise Unreachable(f"this Python's sqlite shows none of its names ({error})") from error
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        if db.execute("SELECT sqlite_source_id()").fetchone()[0] != lib.sqlite3_sourceid().decode():
            raise Unreachable("the sqlite that can be reached is not the one that Python uses")
    return lib
