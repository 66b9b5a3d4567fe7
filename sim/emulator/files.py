"""What files a program finds on its machine when its session begins: their sizes and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from sim.emulator.sender import JournalWriter

__all__ = ["FileWitness", "ReadFile"]

ReadFile = Callable[[str], bytes | None]  # the content of a file of the machine; None if there is none of that name


class FileWitness:
    """Reads the files of a machine, and journals what is in them."""

    def __init__(self, journal: JournalWriter, read: ReadFile) -> None:
        self._journal = journal
        self._read = read

    def note(self, names: Iterable[str]) -> None:
        """Journal the size and the digest of each file; -1 and no digest for one that is not there."""
        for name in names:
            content = self._read(name)
            if content is None:
                self._journal.write("file", key=name, n=-1)
            else:
                self._journal.write("file", key=name, n=len(content), print=hashlib.blake2b(content).hexdigest()[:16])
