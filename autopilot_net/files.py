"""A folder of task files. Whatever path the network names, nothing outside of it is read or written."""

from __future__ import annotations

import os
from hashlib import file_digest, sha256
from io import BufferedRandom
from pathlib import Path
from typing import Any

from autopilot_net.errors import FileRefused

__all__ = ["FileFolder"]


class FileFolder:
    """Task files under `root`. Paths are relative; absolute paths, `..` and links that lead out are refused.

    Any thread may use it, but only one at a time for the same path.
    """

    def __init__(self, root: str | Path | None) -> None:
        self._root = None if root is None else Path(root)
        self._known: dict[Path, tuple[tuple[int, int], str]] = {}  # digests, by size and time of change
        self._begun: dict[Path, tuple[int, Any]] = {}  # the size and digest so far of each part that was begun here

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        if offset < 0 or length < 0:
            raise FileRefused(f"{path}: {length} bytes from {offset} on is no part of a file")
        try:
            with self._existing(path).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except (OSError, OverflowError, ValueError) as error:  # the last two: for numbers that no file reaches
            raise FileRefused(f"{path} cannot be read: {error}") from error

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """The size in bytes and the SHA-256 of the whole file. Read again only if the file has changed."""
        file = self._existing(path)
        try:
            facts = file.stat()
            stamp = (facts.st_size, facts.st_mtime_ns)
            if file not in self._known or self._known[file][0] != stamp:
                with file.open("rb") as opened:
                    self._known[file] = (stamp, file_digest(opened, "sha256").hexdigest())
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error}") from error
        return facts.st_size, self._known[file][1]

    def lacks(self, path: str) -> bool:
        """Whether there is no complete file of that name."""
        return not os.path.isfile(self._resolve(path))  # Path.is_file raises where a name is too long

    def part_size(self, path: str) -> int:
        """How many bytes of it a former transfer has left here."""
        part = self._part(path)
        try:
            return part.stat().st_size
        except OSError:
            return 0

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """Add `data` at `offset` of the part that is here."""
        part = self._part(path)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            so_far, digest = self._begun.pop(part, (0, sha256())) if offset else (0, sha256())
            with part.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(data)
            if so_far == offset:
                digest.update(data)
                self._begun[part] = (offset + len(data), digest)
        except OSError as error:
            raise FileRefused(f"{path} cannot be written: {error}") from error

    def finish(self, path: str, digest: str) -> bool:
        """Name the file if its SHA-256 is `digest`, or `digest` is empty; else delete the part, and return False."""
        part = self._part(path)
        try:
            with part.open("r+b") as file:
                if digest and self._digest_of_part(part, file) != digest:
                    part.unlink()
                    return False
                os.fsync(file.fileno())  # else a power cut could leave the name and lose the bytes
            part.replace(self._resolve(path))
        except OSError as error:
            raise FileRefused(f"{path} cannot be given its name: {error}") from error
        return True

    def _digest_of_part(self, part: Path, file: BufferedRandom) -> str:
        """Read again only where an earlier life, or nobody known, wrote some of it."""
        size, digest = self._begun.pop(part, (0, None))
        if digest is None or size != os.fstat(file.fileno()).st_size:
            digest = file_digest(file, "sha256")
        return str(digest.hexdigest())

    def _existing(self, path: str) -> Path:
        file = self._resolve(path)
        if not os.path.isfile(file):  # nor is a pipe one, which would keep its reader waiting
            raise FileRefused(f"{path} is no file in the file folder {self._root}")
        return file

    def _part(self, path: str) -> Path:
        file = self._resolve(path)
        part = file.with_name(f".{file.name}.part")
        if os.path.islink(part):
            raise FileRefused(f"{path} is not written, for the name of its part, {part.name}, is a link")
        return part

    def _resolve(self, path: str) -> Path:
        if self._root is None:
            raise FileRefused(f"{path} was asked for, and this station was given no file_dir")
        if not path or "\0" in path or Path(path).is_absolute():
            raise FileRefused(f"{path!r} is no path relative to the file folder")
        try:
            root = self._root.resolve()
            file = (root / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or half a character
            raise FileRefused(f"{path!r} is no name of a file: {error}") from error
        if not file.is_relative_to(root) or file == root:
            raise FileRefused(f"{path!r} leads out of the file folder")
        if file.name.startswith(".") and file.name.endswith(".part"):
            raise FileRefused(f"{path!r} is what a file is called that is not whole yet")
        return file
