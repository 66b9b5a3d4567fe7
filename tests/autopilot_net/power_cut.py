"""A disk that loses its power: what was asked of it is known, and what may be left of that is laid out again.

What a disk may do, as sqlite assumes of it and POSIX allows: whatever was not synced is there or not, sector by sector
and in any order; a sector that was being written ends in what it was before; a name that was given, or taken away, is
on disk only once its folder was synced. The sync of a file says nothing of its name.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tests.autopilot_net.sqlite_vfs import Name, Op, Recording, Sync, SyncNames, Truncate, Unname, Write

__all__ = ["Cut", "Image", "cuts"]

SECTOR = 512

Image = dict[str, bytes]  # of a folder: what is in the file of each name


@dataclass(frozen=True)
class Cut:
    """What was left, and between how many calls: what `returned` of them had promised, and `begun` may have done."""

    image: Image
    key: int  # the same for the same image
    returned: int
    begun: int
    where: str  # for whoever has to find out what was wrong


class _Disk:
    """What is on it for certain, and what was asked of it since, in order."""

    def __init__(self) -> None:
        self._files: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self._pending: list[Op] = []

    def take(self, op: Op) -> None:
        """One more operation, which is through."""
        if isinstance(op, Sync):
            self._settle([one for one in self._pending if isinstance(one, Write | Truncate) and one.file == op.file])
        elif isinstance(op, SyncNames):
            self._settle([one for one in self._pending if isinstance(one, Name | Unname)])
        else:
            self._pending.append(op)

    def _settle(self, ops: Sequence[Op]) -> None:
        _apply(ops, self._files, self._names)
        gone = set(map(id, ops))
        self._pending = [one for one in self._pending if id(one) not in gone]

    def images(self, op: Op, chance: random.Random, several: int) -> Iterator[tuple[str, Image]]:
        """What may be left when the power goes while `op` is under way: as it should be, and as badly as it can."""
        before = [one for one in self._pending if isinstance(one, Write | Truncate)]
        names = [one for one in self._pending if isinstance(one, Name | Unname)]
        if isinstance(op, Name | Unname):
            yield "all of it, and the name", self._left([*before, *names, op])
        yield "all before it", self._left([*before, *names])
        yield "nothing that was not synced", self._left([])
        yield "of what was not synced, names alone", self._left(names)
        yield "of what was not synced, all but names", self._left(before)
        if isinstance(op, Write):
            yield "all of it", self._left([*names, *before, op])
            yield "of what was not synced, it alone", self._left([*names, op])
            for torn in _torn(op, chance):
                yield f"{len(torn.data)} bytes at {torn.at} of it", self._left([*names, *before, torn])
        pieces = [piece for one in [*before, op] for piece in _sectors(one)]
        for n in range(several if len(pieces) > 1 else 0):
            kept = [piece for piece in pieces if chance.random() < (0.5, 0.9, 0.1)[n % 3]]
            named = [one for one in names if n % 2 or chance.random() < 0.5]
            what = f"{len(kept)} sectors of {len(pieces)}, {len(named)} names of {len(names)}"
            yield what, self._left([*kept, *named])

    def _left(self, ops: Sequence[Op]) -> Image:
        files, names = dict(self._files), dict(self._names)
        _apply(ops, files, names)
        return {name: files.get(file, b"") for name, file in names.items()}


def _apply(ops: Sequence[Op], files: dict[int, bytes], names: dict[str, int]) -> None:
    written: dict[int, bytearray] = {}
    for op in ops:
        if isinstance(op, Name):
            names[op.name] = op.file
        elif isinstance(op, Unname):
            names.pop(op.name, None)
        elif isinstance(op, Write | Truncate):
            data = written.setdefault(op.file, bytearray(files.get(op.file, b"")))
            if isinstance(op, Truncate):
                del data[op.size :]
                data.extend(bytes(max(0, op.size - len(data))))
            else:
                if op.at > len(data):
                    data.extend(bytes(op.at - len(data)))
                data[op.at : op.at + len(op.data)] = op.data
    files.update({file: bytes(data) for file, data in written.items()})


def _sectors(op: Op) -> list[Op]:
    """A write, sector by sector; of another operation there are no parts, and a sync does nothing that is seen."""
    if isinstance(op, Truncate):
        return [op]
    if not isinstance(op, Write):
        return []
    ends = [*range((op.at // SECTOR + 1) * SECTOR, op.at + len(op.data), SECTOR), op.at + len(op.data)]
    starts = [op.at, *ends[:-1]]
    return [Write(op.file, a, op.data[a - op.at : b - op.at]) for a, b in zip(starts, ends, strict=True)]


def _torn(op: Write, chance: random.Random) -> Iterator[Write]:
    """The write, ended at the edge of a sector, and in the midst of one; and begun from its far end."""
    edges = [piece.at - op.at for piece in _sectors(op) if isinstance(piece, Write)][1:]
    for size in {chance.choice(edges)} if edges else ():
        yield Write(op.file, op.at, op.data[:size])
        yield Write(op.file, op.at + size, op.data[size:])
    size = chance.randrange(len(op.data))
    yield Write(op.file, op.at, op.data[:size])


def cuts(
    recording: Recording, chance: random.Random, *, several: int = 3, at: Collection[int] | None = None
) -> Iterator[Cut]:
    """The power goes at every operation, and after the last: what may be left, each image once for the same promises.

    At each, `several` draws of what of the unsynced was on disk are made beside what can be named. Where the files are
    large, it may go `at` some operations only, by their numbers.
    """
    disk, last = _Disk(), (SyncNames(), recording.begun, recording.returned)
    done: set[tuple[int, int, int]] = set()
    for number, (op, begun, returned) in enumerate([*recording.ops, last]):
        what = f"at {number}, {type(op).__name__}: "
        is_here = number >= recording.there and (at is None or number in at)
        for where, image in disk.images(op, chance, several) if is_here else ():
            key = hash(tuple(sorted(image.items())))
            if (key, returned, begun) not in done:
                done.add((key, returned, begun))
                yield Cut(image, key, returned, begun, what + where)
        disk.take(op)
