"""Explores small labs, one after the other, until one breaks a promise. What was found is shortened and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from sim.exhaustive.explore import Explored, SmallFind, explore
from sim.exhaustive.shorten import shorten
from sim.exhaustive.situation import SmallStep
from sim.exhaustive.small_labs import SmallLab

__all__ = ["KeptFind", "SmallHunt", "SmallRow", "hunt_small", "is_kept_find", "load_find", "save_find"]


class KeptFind(Struct, forbid_unknown_fields=True):
    """What a file has that was found in a small lab: enough to take the same steps again."""

    small_lab: SmallLab
    steps: list[SmallStep]
    check: str
    why: str


class SmallRow(Struct):
    """One small lab: its bound, and how much of it was visited."""

    bound: str
    states: int
    steps: int
    ends: int
    took_s: float
    is_whole: bool


class SmallHunt(Struct, kw_only=True):
    """What came of it."""

    verdict: Literal["held", "broke", "unsettled", "interrupted"]
    sentence: str
    labs: list[SmallRow]
    found: KeptFind | None = None
    replay: str = ""  # the command that takes the steps again


def hunt_small(
    labs: Iterable[SmallLab], *, seconds: float, say: Callable[[SmallLab, Explored], Any] = lambda *_: None
) -> SmallHunt:
    """Explore these labs, for at most so many seconds in all. Ctrl-C ends it."""
    until = time.monotonic() + seconds
    rows: list[SmallRow] = []
    for lab in labs:
        begun, result = time.monotonic(), Explored()
        try:
            explore(lab, until=until, say=partial(say, lab), into=result)
        except KeyboardInterrupt:
            rows.append(_row(lab, result, begun, is_whole=False))
            return _told("interrupted", rows, "interrupted; nothing was found by then")
        rows.append(_row(lab, result, begun, is_whole=result.is_whole and result.found is None))
        if result.found is not None:
            return _broke(lab, result.found, rows)
        if time.monotonic() >= until and not result.is_whole:
            return _told("unsettled", rows, f"the time was up before all was explored; {lab.words} is not done")
    return _told("held", rows, "all of it was explored, and nothing breaks a promise")


def _row(lab: SmallLab, result: Explored, begun: float, *, is_whole: bool) -> SmallRow:
    took_s = round(time.monotonic() - begun, 1)
    return SmallRow(lab.words, result.states, result.steps, result.ends, took_s, is_whole)


def _told(verdict: Literal["held", "unsettled", "interrupted"], rows: list[SmallRow], sentence: str) -> SmallHunt:
    states = sum(row.states for row in rows)
    return SmallHunt(verdict=verdict, sentence=f"{states:,} states; {sentence}", labs=rows)


def _broke(lab: SmallLab, found: SmallFind, rows: list[SmallRow]) -> SmallHunt:
    least = shorten(lab, found)
    counts = f"{len(found.steps)} steps, shortened to {len(least.steps)}"
    sentence = f"{least.check}: {least.text} ({counts}, of {lab.words})"
    kept = KeptFind(lab, least.steps, least.check, least.text)
    return SmallHunt(verdict="broke", sentence=sentence, labs=rows, found=kept)


# -- files -------------------------------------------------------------------------------------------------------------


def save_find(kept: KeptFind, path: Path) -> None:
    """Write it as JSON. The folder is made if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def load_find(path: Path) -> KeptFind:
    """Read what `save_find` wrote. Raises OSError, and `msgspec.DecodeError` for any other file."""
    return msgspec.json.decode(path.read_bytes(), type=KeptFind)


def is_kept_find(path: Path) -> bool:
    """Whether a file is what `save_find` wrote, and no scenario."""
    try:
        return b'"small_lab"' in path.read_bytes()[:100]
    except OSError:
        return False
