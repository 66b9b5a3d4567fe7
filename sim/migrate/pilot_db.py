"""Reads an Autopilot terminal's pilot_db and files with the prefs of single machines, from JSON into `Record`s.

Nothing is decided here. `hierarchy.py` makes the tree, `prefs.py` checks the values of prefs.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sim.lab.validate import bad_id
from sim.lab.yaml.nodes import show
from sim.migrate.findings import Findings
from sim.migrate.prefs import TEMPLATES, Camera, Prefs, PrefsReader, kind_of

__all__ = ["Record", "UnreadableError", "read_machine", "read_pilot_db", "read_terminal", "unusable"]

READ = ("subjects", "mice", "ip", "prefs", "state")  # the known keys of an entry; `state` is not used
MAX_BYTES = 20_000_000


class UnreadableError(Exception):
    """A file cannot be used at all. The sentence says why."""


def unusable(id: str) -> str | None:
    """Why a topology cannot have a machine of this id, as a predicate of "the id …"; None if it can."""
    if any(template in id for template in TEMPLATES):
        return "has {n}, {id} or {parent} in it, which a topology fills in"
    return bad_id(id)


@dataclass(slots=True)
class Record:
    """What the files say of one machine."""

    id: str
    file: Path  # the first file that names it
    ip: str | None = None
    subjects: list[str] = field(default_factory=list)
    prefs: Prefs = field(default_factory=Prefs)
    has_prefs: bool = False  # whether it has any prefs; then a missing one has Autopilot's default
    wrong: str | None = None  # why it has no place in the tree

    def take(self, file: Path, prefs: Prefs, findings: Findings) -> None:
        """Add the prefs of another file. They override those that are known."""
        merged: dict[str, Any] = {}
        for key in (one.name for one in fields(Prefs)):
            old, new = getattr(self.prefs, key), getattr(prefs, key)
            merged[key] = old if new is None else new
            if key != "name" and None not in (old, new) and old != new:
                was, now = _said(old), _said(new)
                findings.add(file, self.id, f"{key.upper()} is {now} here and was {was} before; what is here counts.")
        self.prefs = Prefs(**merged)
        self.has_prefs = True
        if self.wrong is not None:
            findings.add(self.file, self.id, f"{self.wrong}; {file.name} counts.")
            self.wrong = None


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) if isinstance(one, Camera) else show(one) for one in value)[:200] or "nothing"
    return show(value)


# Files


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys came more than once."""

    twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        made.twice = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return made


def _load(path: Path) -> _Object:
    raw = _bytes(path)
    if not raw.strip():
        raise UnreadableError(f"{path}: the file is empty.")
    try:
        read = json.loads(raw, object_pairs_hook=_object)
    except RecursionError:
        raise UnreadableError(f"{path}: this is nested too deep for a file of a lab.") from None
    except UnicodeDecodeError:
        raise UnreadableError(f"{path}: this is not text, so it cannot be JSON.") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{path}: this is not JSON: line {error.lineno}: {error.msg}.") from None
    except ValueError:  # an integer of thousands of digits
        raise UnreadableError(f"{path}: a number in it has too many digits.") from None
    if not isinstance(read, _Object):
        raise UnreadableError(f"{path}: this must be one JSON object, not {kind_of(read)}.")
    return read


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnreadableError(f"{path}: this is a folder; name a JSON file in it.")
        if not path.exists():
            raise UnreadableError(f"{path}: there is no such file.")
        if not path.is_file():
            raise UnreadableError(f"{path}: this is not a regular file.")
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableError(f"{path}: this has more than {MAX_BYTES} bytes; is it the right file?")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise UnreadableError(f"{path}: this file cannot be read: {why}.") from None


def read_pilot_db(path: Path, findings: Findings) -> list[Record]:
    """Every pilot of the file, in its order. Raises `UnreadableError`."""
    db = _load(path)
    if not db:
        raise UnreadableError(f"{path}: there is no pilot in it.")
    if not any(isinstance(entry, dict) for entry in db.values()):
        hint = "; prefs of a single machine go after it, or to --prefs" if _known(db) else ""
        raise UnreadableError(f"{path}: this is no pilot_db, which has an object for each pilot{hint}.")
    for name in db.twice:
        findings.add(path, name, "it is in the file twice; the last one counts.")
    return [_record(path, name, entry, findings) for name, entry in db.items()]


def _record(path: Path, id: str, entry: Any, findings: Findings) -> Record:
    record = Record(id, path)
    if not isinstance(entry, _Object):
        record.wrong = f"its entry must be an object, not {kind_of(entry)}"
        return record
    _tell_twice(entry, "", path, id, findings)
    reader = PrefsReader(path, id, findings)
    record.ip = reader.address(entry.get("ip"))
    record.subjects = _subjects(reader, entry)
    unread = [show(key) for key in entry if key not in READ]
    if unread:
        keys = " and ".join(unread[:10])
        reader.tell(f"nothing is read from its {'keys' if len(unread) > 1 else 'key'} {keys}.")
    prefs = entry.get("prefs")
    if isinstance(prefs, _Object):
        _tell_twice(prefs, "the pref ", path, id, findings)
        record.prefs, record.has_prefs = reader.prefs(prefs), bool(prefs)
    elif prefs not in (None, ""):
        reader.wrong("prefs", "an object", prefs)
    name = record.prefs.name
    if name is not None and name != id:
        reader.tell(f"its NAME is {show(name)}; the name in the pilot_db counts.")
    return record


def _subjects(reader: PrefsReader, entry: dict[str, Any]) -> list[str]:
    """The subjects of an entry, and its `mice`, as early files call them. One that is in both lists counts once."""
    subjects = reader.subjects("subjects", entry.get("subjects"))
    mice = reader.subjects("mice", entry.get("mice"))
    return [*subjects, *(one for one in mice if one not in subjects)]


def _tell_twice(read: _Object, what: str, path: Path, id: str | None, findings: Findings) -> None:
    for key in read.twice:
        findings.add(path, id, f"{what}{show(key)} is there twice; the last one counts.")


def read_machine(path: Path, findings: Findings) -> tuple[str, Prefs]:
    """The id and the prefs of one machine, from its own file. Raises `UnreadableError`.

    If the file has no NAME, the file's name gives the id: `rig_2.prefs.json`.
    """
    read = _load_prefs(path)
    named = read.get("NAME")
    id = named if isinstance(named, str) and named else path.name.removesuffix(".json").removesuffix(".prefs")
    if not named and id in {"prefs", ""}:
        raise UnreadableError(f"{path}: it has no NAME, so its machine is unknown; name the file ID.prefs.json.")
    _tell_twice(read, "the pref ", path, id, findings)
    prefs = PrefsReader(path, id, findings).prefs(read)
    return id if prefs.name is None else prefs.name, prefs


def read_terminal(path: Path, findings: Findings) -> Prefs:
    """The terminal's own prefs. Raises `UnreadableError`."""
    read = _load_prefs(path)
    _tell_twice(read, "the pref ", path, None, findings)
    return PrefsReader(path, None, findings).prefs(read)


def _load_prefs(path: Path) -> _Object:
    read = _load(path)
    if read and not _known(read):
        names = ", ".join(one.name.upper() for one in fields(Prefs))
        raise UnreadableError(f"{path}: these are no prefs of a machine: none of {names} is in it.")
    return read


def _known(read: _Object) -> bool:
    return any(one.name.upper() in read for one in fields(Prefs))
