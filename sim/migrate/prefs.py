"""The prefs of an Autopilot machine: which of them are read, and what their values must be.

A wrong value is a finding and is left out. The other values of the machine are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.lab.validate import MAX_ITEM_BYTES, bad_name
from sim.lab.yaml.nodes import show
from sim.migrate.findings import Findings

__all__ = ["TEMPLATES", "Camera", "Prefs", "PrefsReader", "kind_of"]

MAX_TEXT = 200
LINEAGES = ("NONE", "PARENT", "CHILD")
TEMPLATES = ("{n}", "{id}", "{parent}")  # a topology fills them in, so no imported text may have one


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that HARDWARE names. None: the file does not say."""

    name: str
    where: str  # its group and its id, as in the file
    fps: float | None = None
    size: tuple[int, int] | None = None  # width, height

    def __str__(self) -> str:
        fps = "fps not said" if self.fps is None else f"{self.fps:g} fps"
        return f"{self.where} ({fps}, {'resolution not said' if self.size is None else '{} x {}'.format(*self.size)})"


@dataclass(frozen=True, slots=True)
class Prefs:
    """The prefs that are read, by their names in lower case. None: not set, or wrong, which is a finding."""

    name: str | None = None
    msgport: int | None = None
    pushport: int | None = None
    terminalip: str | None = None
    ping_interval: float | None = None
    lineage: str | None = None
    childid: tuple[str, ...] | None = None
    childip: tuple[str, ...] | None = None
    parentid: str | None = None
    parentip: str | None = None
    parentport: int | None = None
    subject: str | None = None
    hardware: tuple[Camera, ...] | None = None  # its cameras; a network does not need the rest


def kind_of(value: object) -> str:
    """The kind of a JSON value, or the value itself, as it follows "not" in a sentence."""
    if value is None:
        return "nothing"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else show(value)


# Values


class _WrongError(Exception):
    """A value is wrong. The text says what it must be, as it follows "must be" in a sentence."""


class PrefsReader:
    """Reads what a file says of one machine. What is wrong in it becomes a finding."""

    def __init__(self, path: Path, machine: str | None, findings: Findings) -> None:
        self._path, self._machine, self._findings = path, machine, findings

    def prefs(self, prefs: dict[str, Any]) -> Prefs:
        """The prefs that are read, from all of a machine's."""
        read: dict[str, Any] = {
            key: self.value(key.upper(), prefs.get(key.upper()), reader) for key, reader in _READERS.items()
        }
        return Prefs(**read, hardware=self._cameras(prefs.get("HARDWARE")))

    def address(self, value: Any) -> str | None:
        """The `ip` of a pilot."""
        return self.value("ip", value, _host)  # type: ignore[no-any-return]

    def value(self, key: str, value: Any, reader: Callable[[Any], Any]) -> Any:
        """The value as `reader` reads it; None if it is not set, or wrong, which is a finding."""
        if value in (None, "") or (key in _OF_PARENTS and _is_nobody(value)):
            return None
        try:
            return reader(value)
        except _WrongError as error:
            return self.wrong(key, str(error), value)

    def subjects(self, key: str, value: Any) -> list[str]:
        """The subjects of a list. Those that cannot be read are findings."""
        if value is None or isinstance(value, list):
            every = (self.value(f"{key}[{at}]", one, _text) for at, one in enumerate(value or []))
            return [one for one in every if one is not None]
        self.wrong(key, "a list", value)
        return []

    def _cameras(self, value: Any) -> tuple[Camera, ...] | None:
        if value in (None, ""):
            return None
        if not isinstance(value, dict):
            self.wrong("HARDWARE", "an object", value)
            return None
        found: dict[str, Camera] = {}
        for group, entries in value.items():
            of_cameras = group.casefold().startswith("cam")
            if not isinstance(entries, dict):
                if of_cameras and entries not in (None, ""):
                    self.wrong(f"HARDWARE.{group}", "an object", entries)
                continue
            for id, entry in entries.items():
                if (of_cameras or _is_camera(entry)) and (camera := self._camera(group, id, entry, found)) is not None:
                    found[camera.name] = camera
        return tuple(found.values())

    def _camera(self, group: str, id: str, entry: Any, others: dict[str, Camera]) -> Camera | None:
        name = f"{group}_{id}" if id in others else id
        where = f"HARDWARE.{group}.{id}"
        why = _no_stream(name, others) or ("its entry is empty" if entry in (None, "") else None)
        if why is not None:
            self.tell(f"the camera {show(where)} is left out: {why}.")
            return None
        if isinstance(entry, list):
            self.wrong(where, "an object", entry)
            return None
        said = entry if isinstance(entry, dict) else {}
        fps = self.value(f"{where}.fps", said.get("fps"), _above_zero)
        return Camera(name, where, fps, self.value(f"{where}.resolution", said.get("resolution"), _size))

    def wrong(self, key: str, words: str, value: Any) -> None:
        """Add the finding that a value is not what it must be."""
        key = key if len(key) <= 60 else f"{key[:60]}…"
        self.tell(f"`{key}` must be {words}, not {kind_of(value)}; it is left out.")

    def tell(self, sentence: str) -> None:
        """Add a finding about the machine."""
        self._findings.add(self._path, self._machine, sentence)


def _is_camera(entry: Any) -> bool:
    return isinstance(entry, dict) and "cameras" in str(entry.get("type", "")).casefold()


def _no_stream(name: str, others: dict[str, Camera]) -> str | None:
    """Why a stream cannot have this name; None if it can."""
    if why := bad_name(name):
        return f"its name {why}"
    if name in others:
        return "there is another of its name"
    return "its name has more than 50 bytes" if len(name.encode()) > 50 else None


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _WrongError("text")
    return str(value)


def _is_nobody(value: Any) -> bool:
    """Whether the value names nobody. Autopilot's forms write NONE if there is no parent or no child."""
    return value in (None, "") or (isinstance(value, str) and value.strip().upper() == "NONE")


def _text(value: Any) -> str:
    text = _name(value)
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise _WrongError("text without half a character in it (a lone surrogate)")
    if len(text) > MAX_TEXT:
        raise _WrongError(f"text of {MAX_TEXT} characters at most")
    if any(template in text for template in TEMPLATES):
        raise _WrongError("text without {n}, {id} and {parent}, which a topology fills in")
    return text


def _host(value: Any) -> str:
    if not isinstance(value, str) or bad_name(_text(value)):
        raise _WrongError("a name or an address")
    return value


_NUMBER = re.compile(r"\s*[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][+-]?\d{1,3})?\s*", re.ASCII)


def _number(value: Any, words: str) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 <= value <= 1e9:  # no NaN either
        raise _WrongError(words)
    return float(value)


def _whole(value: Any, least: int, most: int, words: str) -> int:
    number = _number(value, words)
    if not number.is_integer() or not least <= number <= most:
        raise _WrongError(words)
    return int(number)


def _port(value: Any) -> int:
    return _whole(value, 1, 65535, "a whole number from 1 to 65535")


def _above_zero(value: Any) -> float:
    number = _number(value, "a number above 0")
    if not number > 0:
        raise _WrongError("a number above 0")
    return number


def _size(value: Any) -> tuple[int, int]:
    words = "two whole numbers, width and height in pixels"
    if isinstance(value, str):  # as typed into a form: 640x480, or (640, 480)
        value = re.findall(r"\d{1,9}", value, re.ASCII)
    if not isinstance(value, list) or len(value) != 2:
        raise _WrongError(words)
    width, height = (_whole(one, 1, MAX_ITEM_BYTES, words) for one in value)
    if math.prod((width, height)) > MAX_ITEM_BYTES:
        raise _WrongError(f"{MAX_ITEM_BYTES} pixels at most")
    return width, height


def _lineage(value: Any) -> str:
    if not isinstance(value, str) or value.strip().upper() not in LINEAGES:
        raise _WrongError(f"one of {', '.join(LINEAGES)}")
    return value.strip().upper()


def _names(value: Any) -> tuple[str, ...]:
    every = value if isinstance(value, list) else [value]
    try:
        return tuple(dict.fromkeys(_name(one) for one in every if not _is_nobody(one)))
    except _WrongError:
        raise _WrongError("text, or a list of texts") from None


def _hosts(value: Any) -> tuple[str, ...]:
    """The address of each child, in the order of CHILDID; "" for a child without one."""
    every = value if isinstance(value, list) else [value]
    try:
        return tuple("" if _is_nobody(one) else _host(one) for one in every)
    except _WrongError:
        raise _WrongError("an address, or a list of them") from None


_OF_PARENTS = ("PARENTID", "PARENTIP")
_READERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "msgport": _port,
    "pushport": _port,
    "terminalip": _host,
    "ping_interval": _above_zero,
    "lineage": _lineage,
    "childid": _names,
    "childip": _hosts,
    "parentid": _name,
    "parentip": _host,
    "parentport": _port,
    "subject": _text,
}
