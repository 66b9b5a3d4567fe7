"""How a pilot gets the files that a task names: part by part, so that memory stays bounded and a transfer resumes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

from autopilot_net.errors import FileRefused
from autopilot_net.message import Message
from autopilot_net.roles.host import Host

__all__ = ["PART", "Fetch", "files_of"]

PART = 256 << 10  # bytes asked for at once

Done = Callable[[str | None], Any]


class Fetch:
    """Pulls files from the terminal, which keeps no state of it. One part of one file is under way at a time."""

    def __init__(self, host: Host, terminal: str) -> None:
        self._host = host
        self._terminal = terminal
        self._wanted: list[str] = []
        self._restarted: set[str] = set()
        self._asked = ("", 0)  # the path and the offset of what is under way
        self._done: Done | None = None

    def all(self, paths: list[str], done: Done) -> None:
        """Fetch `paths`, one after the other, then call `done(None)`; or `done(why)` at the first that fails."""
        self._wanted, self._done = list(paths), done
        self._restarted.clear()
        self._next()

    def arrived(self, message: Message) -> None:
        """What the terminal answered. An answer to no question of ours is ignored."""
        value = message.value if isinstance(message.value, dict) else {}
        path = value.get("path")
        if not self._wanted or path != self._wanted[0]:
            return
        if "error" in value:
            self._end(f"{path}: {value['error']}")
            return
        if value.get("offset", self._asked[1]) != self._asked[1]:
            return  # to a question of a former life; the answer to ours is still to come
        try:
            whole = self._take(path, value)
        except (FileRefused, KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
            self._end(f"{path}: {error}")
            return
        if whole:
            self._wanted.pop(0)
        self._next()

    def _take(self, path: str, value: dict[str, Any]) -> bool:
        files = self._host.files
        if "file" in value:  # Autopilot's own form: all of it, and no digest to hold it to
            files.write_part(path, 0, base64.b64decode(value["file"], validate=True))
            return files.finish(path, "")
        offset, size, digest = int(value["offset"]), int(value["size"]), str(value["digest"])
        if offset == files.part_size(path):
            files.write_part(path, offset, base64.b64decode(value["data"], validate=True))
        if files.part_size(path) < size:
            return False
        if files.finish(path, digest):
            return True
        if path in self._restarted:
            raise FileRefused("what arrived is not what the terminal has, twice in a row")
        self._restarted.add(path)  # the part that lay here was of another file; from the beginning, then
        return False

    def _next(self) -> None:
        if not self._wanted:
            self._end(None)
            return
        path = self._wanted[0]
        try:
            asked = self._asked = (path, self._host.files.part_size(path))
        except FileRefused as error:
            self._end(str(error))
            return
        wanted = {"path": path, "offset": asked[1], "length": PART}
        handle = self._host.send(self._terminal, "FILE", wanted, repeat=True, flags=())
        # It may be settled in another thread, and what follows belongs between two listens.
        handle.then(lambda done: self._host.after(0, lambda: self._asked_for(asked, done)))

    def _asked_for(self, asked: tuple[str, int], done: Any) -> None:
        if done.expired and self._wanted and asked is self._asked:
            self._end(f"{asked[0]}: the terminal was asked for it, and {done.reason}")

    def _end(self, error: str | None) -> None:
        done, self._done, self._wanted = self._done, None, []
        if done is not None:
            done(error)


def files_of(value: dict[str, Any]) -> Iterator[str]:
    """The paths of the sound files that a START names: `stim.sounds`, or `stim.groups[…].sounds` with a manager."""
    stim = value.get("stim")
    if not isinstance(stim, dict):
        return
    groups = stim.get("groups")
    seen: set[str] = set()
    for holder in [stim, *(groups if isinstance(groups, list) else [])]:
        for path in _sounds(holder):
            if path not in seen:
                seen.add(path)
                yield path


def _sounds(holder: Any) -> Iterator[str]:
    sounds = holder.get("sounds") if isinstance(holder, dict) else None
    sides = sounds.values() if isinstance(sounds, dict) else []
    for side in sides:
        for sound in side if isinstance(side, list) else []:
            is_file = isinstance(sound, dict) and sound.get("type") in ("File", "Speech")
            if is_file and isinstance(sound.get("path"), str):
                yield sound["path"]
