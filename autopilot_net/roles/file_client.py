"""How a pilot gets the files that a task names: part by part, so that memory is bounded and a transfer resumes.

Autopilot's own terminal knows only the plain path, and answers with the whole file. A terminal that is not known to be
ours is asked by the path too; the part that is wanted is an extra attribute, which Autopilot's own ignores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec import convert

from autopilot_net.errors import FileRefused
from autopilot_net.message import Message
from autopilot_net.protocol.numbers import as_int
from autopilot_net.roles.host import Handle, RoleHost, count_of

__all__ = ["AGAIN_S", "AHEAD", "PART", "TIMEOUT_S", "FileClient", "files_of"]

TIMEOUT_S = 30.0  # how long nothing may come of a file: one that theirs has not got is never answered
PART = 256 << 10  # bytes asked for at once
AGAIN_S = 2.0  # after which a question that sought no confirmation may be asked again
AHEAD = 2  # parts under way: one is written while the other travels, and a slow link is held up by no more

Done = Callable[[str | None], Any]
Part = tuple[int, int, bool]  # where the part that is here ends, the size of the whole, whether that is here


class _Pull:
    """One attempt at one file."""

    def __init__(self, path: str, begin: int, now: float) -> None:
        self.path = path
        self.next = begin  # the offset to ask for next
        self.size = begin + 1  # of the whole; until it is told, there is one thing to ask
        self.asked: deque[int] = deque()  # the offsets of what is to come, in order
        self.writing = 0  # how many parts have come and are being written
        self.heard = now  # when something came of it, or was done with it here


class FileClient:
    """Pulls files from the terminal, which keeps no state of a transfer. A few parts of one file are under way at once.

    A file of which nothing comes for `timeout` seconds fails.
    """

    def __init__(self, host: RoleHost, terminal: str, *, timeout: float = TIMEOUT_S) -> None:
        self._host = host
        self._terminal = terminal
        self._timeout = timeout
        self._wanted: list[str] = []
        self._restarted: set[str] = set()
        self._pull: _Pull | None = None
        self._done: Done | None = None

    def all(self, paths: list[str], done: Done) -> None:
        """Fetch `paths`, one after the other, then call `done(None)`; or `done(why)` at the first that fails."""
        self._wanted, self._done = list(paths), done
        self._restarted.clear()
        self._begin()

    def give_up(self, why: str) -> None:
        """End it: `done(why)`. What has come stays, for the next who wants it."""
        self._end(why)

    def arrived(self, message: Message) -> None:
        """What the terminal answered. An answer to no question of ours is ignored."""
        value = message.value if isinstance(message.value, dict) else {}
        pull = self._pull
        if pull is None or value.get("path") != pull.path or not pull.asked:
            return
        if "error" in value:
            self._end(f"{pull.path}: {value['error']}")
            return
        offset = pull.asked[0]
        if as_int(value.get("offset", offset)) != offset:
            return  # to a question of a former life; the answer to ours is still to come
        pull.heard = self._host.now()
        pull.asked.popleft()
        pull.writing += 1
        self._host.beside(
            lambda: self._take(pull.path, offset, value),
            lambda outcome: self._taken(pull, offset, outcome),
            about=pull.path,
        )

    def _take(self, path: str, offset: int, value: dict[str, Any]) -> Part:
        """Write what came. Beside the listens: it touches nothing but the folder."""
        files = self._host.files
        if "file" in value:  # Autopilot's own form: all of it, and no digest to hold it to
            files.write_part(path, 0, convert(value["file"], bytes))
            return 0, 0, files.finish(path, "")
        size, digest, data = count_of(value, "size"), str(value["digest"]), convert(value["data"], bytes)
        if count_of(value, "offset") == offset == files.part_size(path):
            files.write_part(path, offset, data)
        reached = files.part_size(path)
        return reached, size, reached >= size and files.finish(path, digest)

    def _taken(self, pull: _Pull, offset: int, outcome: Callable[[], Part]) -> None:
        if pull is not self._pull:
            return
        pull.writing -= 1
        pull.heard = self._host.now()
        try:
            reached, pull.size, is_whole = outcome()
        except (FileRefused, KeyError, TypeError, ValueError, OverflowError) as error:
            self._end(f"{pull.path}: {error}")
            return
        if is_whole:
            self._wanted.pop(0)
            self._begin()
        elif reached >= pull.size:
            self._restart(pull.path)
        else:
            if reached < offset + PART:  # less came than was asked for, and what was asked for beyond does not fit
                pull.asked.clear()
                pull.next = reached
            self._ask(pull)

    def _restart(self, path: str) -> None:
        """The part that lay here was of another file; from the beginning, then."""
        if path in self._restarted:
            self._end(f"{path}: what arrived is not what the terminal has, twice in a row")
            return
        self._restarted.add(path)
        self._begin()

    def _begin(self) -> None:
        if not self._wanted:
            self._end(None)
            return
        path = self._wanted[0]
        try:
            self._pull = _Pull(path, self._host.files.part_size(path), self._host.now())
        except FileRefused as error:
            self._end(str(error))
            return
        is_sure = self._host.is_ours(self._terminal)
        self._ask(self._pull)
        self._watch(self._pull)
        if not is_sure:
            self._ask_again(self._pull, since=self._pull.heard)

    def _ask(self, pull: _Pull) -> None:
        while pull.next < pull.size and len(pull.asked) + pull.writing < AHEAD:
            offset, pull.next = pull.next, pull.next + PART
            pull.asked.append(offset)
            handle = self._question(pull.path, {"offset": offset, "length": PART})
            handle.then(partial(self._settled, pull, offset))

    def _question(self, path: str, part: dict[str, int]) -> Handle:
        if self._host.is_ours(self._terminal):
            return self._host.send(self._terminal, "FILE", {"path": path, **part}, repeat=True, flags=())
        # Far away, theirs could not confirm it, and would answer each repeat with the whole file.
        return self._host.send(self._terminal, "FILE", path, repeat=None, flags=(), part=part)

    def _ask_again(self, pull: _Pull, *, since: float) -> None:
        """Ask once more, and in our way, if the terminal turns out to be ours and nothing has come: it may be lost."""
        if pull is not self._pull or not pull.asked or pull.heard > since:
            return
        if self._host.is_ours(self._terminal):
            pull.next = pull.asked[0]
            pull.asked.clear()
            self._ask(pull)
        else:
            self._host.after(AGAIN_S, lambda: self._ask_again(pull, since=since))

    def _watch(self, pull: _Pull) -> None:
        """Give a file up of which nothing comes. While something is being written, it is the card that takes long."""
        if pull is not self._pull:
            return
        if pull.writing:
            pull.heard = self._host.now()
        left = pull.heard + self._timeout - self._host.now()
        if left > 0:
            self._host.after(left, lambda: self._watch(pull))
        else:
            self._end(f"{pull.path}: nothing of it came from {self._terminal} for {self._timeout:g} s")

    def _settled(self, pull: _Pull, offset: int, done: Any) -> None:
        # It may be called in another thread, and what follows belongs between two listens.
        self._host.after(0, lambda: self._asked_for(pull, offset, done))

    def _asked_for(self, pull: _Pull, offset: int, done: Any) -> None:
        if done.expired and pull is self._pull and offset in pull.asked:
            self._end(f"{pull.path}: the terminal was asked for it, and {done.reason}")

    def _end(self, error: str | None) -> None:
        done, self._done, self._wanted, self._pull = self._done, None, [], None
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
