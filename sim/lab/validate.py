"""Checks how the keys of a file depend on each other: ids are unique, streams are complete, and names exist.

A check takes nodes and adds mistakes with their lines. It skips a broken node, whose mistake was added before.
`schema.py` has the types and ranges of single keys. `validate_session.py` checks the session and the expectations,
`validate_faults.py` the faults.
"""

import importlib.util
import math
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

from sim.lab.expand import WrittenMachine
from sim.lab.validate_faults import check_faults
from sim.lab.validate_session import check_expect, check_session
from sim.lab.yaml.nodes import Mistakes, YamlNode, show

__all__ = ["MAX_ITEM_BYTES", "bad_id", "bad_name", "check", "is_findable"]

Tell = Callable[[int, str], None]

MAX_ITEM_BYTES = 100_000_000
_HEADERS = ("pilot", "child", "subject", "continuous")  # the keys that a station adds to each item of a stream


def check(machines: list[WrittenMachine], root: YamlNode, path: Path, mistakes: Mistakes) -> None:
    """Add every mistake that concerns more than one key."""
    _check_name(root, mistakes)
    _check_ids(machines, mistakes)
    lines: set[int] = set()
    for machine in machines:
        tell = _once(mistakes.add, lines) if machine.twin else _noting(mistakes.add, lines)
        _check_machine(machine, machines[0], tell)
        _check_sounds(machine, root.mapping.get("files"), path, tell)
        _check_program(machine, path, tell)
    _check_files(root.mapping.get("files"), mistakes)
    check_session(machines, root.mapping.get("session"), mistakes)
    check_faults(machines, root, mistakes)
    check_expect(machines, root, mistakes)
    pilots = root.mapping.get("pilots")
    if pilots is not None and pilots.value == []:
        mistakes.add(pilots.line, "`pilots` is empty; a lab needs at least one.")


def _noting(tell: Tell, lines: set[int]) -> Tell:
    def noting(line: int, sentence: str) -> None:
        lines.add(line)
        tell(line, sentence)

    return noting


def _once(tell: Tell, lines: set[int]) -> Tell:
    """For machines of a range other than the first: forty copies of one mistake would hide the others."""

    def once(line: int, sentence: str) -> None:
        if line not in lines:
            tell(line, sentence)

    return once


# Names


def bad_name(name: str) -> str | None:
    """Why a name is not allowed in frames, file names and messages, as the end of "the name …". None if it is."""
    if not name:
        return "is empty"
    if len(name.encode(errors="replace")) > 200:
        return "has more than 200 bytes, and zmq takes no longer identities"
    if any(c.isspace() or c in "/\\" or not c.isprintable() for c in name):
        return "has a blank, a slash or a control character in it"
    return "begins with a dot" if name.startswith(".") else None


def bad_id(name: str) -> str | None:
    """Why a machine cannot have this id, as the end of "the id …". None if it can."""
    if name.startswith("_"):
        return "begins with `_`, which marks the programs' own nodes"
    if name.startswith("P_"):
        return "begins with `P_`, which marks the plots"
    if name.startswith("actor."):
        return "begins with `actor.`, which the rehearsal uses itself"
    if name.endswith(".probe"):
        return "ends in `.probe`, which the rehearsal uses itself"
    if "{n}" in name:
        return "has a {n} for which there is no number; give the entry `from` and `to`"
    return bad_name(name)


def _check_name(root: YamlNode, mistakes: Mistakes) -> None:
    why = bad_name(name) if (name := root.text("name")) is not None else None
    if why:
        mistakes.add(root.line_of("name"), f"the name {show(name)} {why}; reports are filed under it.")


def _check_ids(machines: list[WrittenMachine], mistakes: Mistakes) -> None:
    first: dict[str, WrittenMachine] = {}
    for machine in machines:
        if machine.id is None:
            continue
        if why := bad_id(machine.id):
            mistakes.add(machine.line, f"the id {show(machine.id)} {why}.")
        elif machine.id in first:
            other = first[machine.id].line
            mistakes.add(machine.line, f"the id {show(machine.id)} is taken by a machine on line {other}; change one.")
        first.setdefault(machine.id, machine)


# One machine


def _check_machine(machine: WrittenMachine, terminal: WrittenMachine, tell: Tell) -> None:
    entry = machine.entry
    named = [entry.mapping[key] for key in ("host", "subjects") if key in entry.mapping]
    for node in [item for parts in named for item in (parts, *parts.items)]:
        if isinstance(node.value, str) and "{n}" in node.value:
            tell(node.line, f"{show(node.value)} has a {{n}} for which there is no number; give `from` and `to`.")
    trials = entry.mapping.get("trials")
    if trials is not None and (every := trials.mapping.get("every_s")) is not None:
        _check_every(every, tell)
    streams = entry.mapping.get("streams")
    for name, stream in streams.mapping.items() if streams is not None else ():
        if why := bad_name(name):
            tell(stream.line, f"the stream name {show(name)} {why}.")
        elif len(name.encode(errors="replace")) > 50:
            tell(stream.line, f"the stream name {show(name)} has more than 50 bytes.")
        if isinstance(stream.value, dict):
            _check_items(name, stream, tell)
            _check_pace(name, stream, tell, has_trials=trials is not None)
            _check_to(name, stream, machine, terminal, tell)


def _check_every(every: YamlNode, tell: Tell) -> None:
    if not every.is_valid:
        return
    waits: list[float] = every.plain if isinstance(every.value, list) else [every.plain, every.plain]
    if not all(0 < wait <= 1e9 for wait in waits):
        tell(every.line, f"`trials.every_s` must be above 0, not {every.plain}.")
    elif waits[0] > waits[1]:
        tell(every.line, f"`trials.every_s` is [least, most], and {waits[0]} is more than {waits[1]}.")


def _check_items(name: str, stream: YamlNode, tell: Tell) -> None:
    """The items are exactly one of `shape`, `fields` and `bytes`."""
    keys = stream.mapping
    given = [key for key in ("shape", "fields", "bytes") if key in keys]
    if len(given) != 1:
        has = f"has {' and '.join(f'`{key}`' for key in given)}" if given else "does not say what it sends"
        tell(stream.line, f"the stream {show(name)} {has}; give exactly one of `shape`, `fields` and `bytes`.")
        return
    if given == ["shape"]:
        _check_array(name, stream, tell)
    for key in ("dtype", "content"):
        if given != ["shape"] and key in keys:
            tell(keys[key].line, f"the stream {show(name)} has `{key}`, which only arrays have, but no `shape`.")
    if given == ["fields"] and keys["fields"].is_valid:
        _check_fields(name, keys["fields"], tell)


def _check_array(name: str, stream: YamlNode, tell: Tell) -> None:
    shape = stream.mapping["shape"]
    if "dtype" not in stream.mapping:
        tell(shape.line, f"the stream {show(name)} has a `shape` without a `dtype`; add one, such as uint8.")
    if not shape.is_valid:
        return
    digits = "".join(c for c in stream.text("dtype") or "" if c.isdigit())
    size = math.prod(shape.plain) * int(digits or 8) // 8
    if len(shape.items) > 8 or size > MAX_ITEM_BYTES:
        tell(shape.line, f"each item of the stream {show(name)} would be {size} bytes; {MAX_ITEM_BYTES} is the most.")


def _check_fields(name: str, fields: YamlNode, tell: Tell) -> None:
    names = fields.plain
    if not names:
        tell(fields.line, f"the stream {show(name)} has no name in `fields`.")
    for field in fields.items:
        if field.value in _HEADERS:
            tell(field.line, f"a field cannot be called {show(field.value)}: stations add one of that name themselves.")
    if len(set(names)) < len(names):
        tell(fields.line, f"the stream {show(name)} has a name twice in `fields`.")


def _check_pace(name: str, stream: YamlNode, tell: Tell, *, has_trials: bool) -> None:
    keys = stream.mapping
    if ("rate_hz" in keys) == ("burst" in keys):
        has = "both `rate_hz` and `burst`" if "burst" in keys else "neither `rate_hz` nor `burst`"
        tell(stream.line, f"the stream {show(name)} has {has}; give one of them.")
    if "burst" in keys and not has_trials:
        tell(keys["burst"].line, f"the stream {show(name)} bursts once a trial, but its machine makes no trials.")


def _check_to(name: str, stream: YamlNode, machine: WrittenMachine, terminal: WrittenMachine, tell: Tell) -> None:
    to = stream.text("to")
    if to is None:
        return
    above = [found.id for found in machine.above if found.id is not None]
    if to not in above:
        own = f"{show(to)} is not above {show(machine.id or '?')}"
        chain = ", ".join(show(id) for id in above) or show(terminal.id or "T")
        tell(stream.line_of("to"), f"the stream {show(name)} cannot go there: {own}; above it: {chain}.")


def _check_program(machine: WrittenMachine, path: Path, tell: Tell) -> None:
    program = machine.entry.text("program")
    if program is None:
        return
    line = machine.entry.line_of("program")
    module, colon, name = program.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        tell(line, f"the program {show(program)} must read module:Class, such as mylab.box:Box.")
    elif not is_findable(module, path.parent, env.mapping if (env := machine.entry.mapping.get("env")) else ()):
        tell(line, f"the program's module {show(module)} is neither beside {path.name} nor installed.")


def is_findable(module: str, folder: Path, env: Collection[str]) -> bool:
    """Whether an import could find a module: in the lab's folder, or installed. `env` has the names of its `env:`.

    It does not import: importing a package would run the lab's code.
    """
    if "PYTHONPATH" in env:
        return True
    beside = folder.joinpath(*module.split("."))
    if beside.is_dir() or beside.with_suffix(".py").is_file():
        return True
    top = module.partition(".")[0]
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


# Files


def _bad_file(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
        return f"{show(name)} must be the name of a file inside the folder of files, without `..`."
    return None


def _check_files(files: YamlNode | None, mistakes: Mistakes) -> None:
    synthetic = files.mapping.get("synthetic_kb") if files is not None else None
    for name, node in synthetic.mapping.items() if synthetic is not None else ():
        if why := _bad_file(name):
            mistakes.add(node.line, why)


def _check_sounds(machine: WrittenMachine, files: YamlNode | None, path: Path, tell: Tell) -> None:
    task = machine.entry.mapping.get("task")
    sounds = task.mapping.get("sounds") if task is not None else None
    if sounds is None or sounds.value is None:
        return
    if not isinstance(sounds.value, list):
        tell(sounds.line, "`task.sounds` must be a list of file names.")
        return
    synthetic = files.mapping.get("synthetic_kb") if files is not None else None
    made_up = synthetic.mapping if synthetic is not None else {}
    folder = (files.text("dir") if files is not None else None) or "."
    for sound in sounds.items:
        name = sound.value
        if not isinstance(name, str):
            tell(sound.line, f"`task.sounds` must be a list of file names, and {show(sound.plain)} is none.")
        elif why := _bad_file(name):
            tell(sound.line, why)
        elif name not in made_up and not _is_file(path.parent / folder / name):
            tell(
                sound.line, f"the sound {show(name)} is neither in {folder} nor in `files.synthetic_kb`; add it to one."
            )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long, or has a NUL
        return False
