"""The keys of a topology as text for people: each with its type, its unit, its default and what it is for."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from sim.lab.fault import Fault, Link, Several, Target
from sim.lab.schema import (
    Burst,
    Expect,
    Files,
    Graduation,
    LabFile,
    Limits,
    MachineEntry,
    Session,
    Storm,
    Stream,
    TerminalEntry,
    TrialsEntry,
)

__all__ = ["schema_text"]

WIDTH = 88
UNITS = dict(
    s="seconds", ms="milliseconds", hz="a second (Hz)", mbit="megabits a second", pct="percent", kb="kilobytes"
)
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "the file": LabFile,
    "terminal": TerminalEntry,
    "a machine, in pilots and children; kinds have the same keys without id, from and to": MachineEntry,
    "trials, of a machine": TrialsEntry,
    "a stream, in the streams of a machine": Stream,
    "burst, of a stream": Burst,
    "link, of a machine": Link,
    "files": Files,
    "session": Session,
    "a graduation, in the graduate of the session": Graduation,
    "storm": Storm,
    "a fault, in faults": Fault,
    "several, a target of a fault": Several,
    "expect": Expect,
    "limits, in expect": Limits,
}


def schema_text() -> str:
    """All keys, section by section."""
    blocks = [block for title, section in SECTIONS.items() for block in ("", *_section(title, section))]
    head = (
        "A topology is a YAML file with these keys. Those marked * must be given, all others may be left out. "
        "A colon is followed by what the value is, its unit and its default. topologies/ has files to start from."
    )
    return "\n".join([*textwrap.wrap(head, WIDTH), *blocks]) + "\n"


def _section(title: str, section: type[msgspec.Struct]) -> Iterator[str]:
    name, comma, where = title.partition(",")
    yield f"{name.upper()}{comma}{where}"
    yield from _paragraphs(inspect.cleandoc(section.__doc__ or ""), "  ")
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        want = hints[field.name]
        star = "*" if field.required else ""
        facts = [_type(want), *_unit(field.encode_name, _type(want)), *_default(field)]
        yield from textwrap.wrap(f"{field.encode_name}{star}: {'; '.join(facts)}", WIDTH, **_margins("  ", "      "))
        yield from textwrap.wrap(_description(want), WIDTH, **_margins("      ", "      "))


def _margins(first: str, others: str) -> dict[str, Any]:
    return {"initial_indent": first, "subsequent_indent": others, "break_on_hyphens": False, "break_long_words": False}


def _paragraphs(text: str, indent: str) -> Iterator[str]:
    """A docstring, wrapped anew. The items of its lists stay apart."""
    for paragraph in text.split("\n\n"):
        for item in paragraph.replace("\n- ", "\n\0- ").split("\n\0"):
            hang = indent + "  " if item.startswith("- ") else indent
            yield from textwrap.wrap(" ".join(item.split()), WIDTH, **_margins(indent, hang))


def _description(want: Any) -> str:
    """The description in the annotation of a key."""
    metas = get_args(want)[1:] if get_origin(want) is Annotated else ()
    return next((meta.description for meta in metas if meta.description), "")


def _type(want: Any) -> str:
    """What a value must be, in words."""
    if get_origin(want) is Annotated:
        given = [meta.extra["words"] for meta in get_args(want)[1:] if meta.extra is not None]
        return str(given[0]) if given else _type(get_args(want)[0])
    if get_origin(want) in {Union, UnionType}:
        parts = [part for part in get_args(want) if part is not type(None)]
        return "a target" if parts == [Target] else " or ".join(map(_type, parts))
    if get_origin(want) is Literal:
        return f"one of {', '.join(map(str, get_args(want)))}" if len(get_args(want)) > 1 else str(get_args(want)[0])
    if get_origin(want) is tuple:
        return f"a list of: {_type(get_args(want)[0])}"
    if get_origin(want) is dict:
        return f"a mapping of names to: {_type(get_args(want)[1])}"
    names = {section: title.partition(",")[0] for title, section in SECTIONS.items()}
    return {str: "text", bool: "true or false", Any: "any value"}.get(want) or names.get(want, "the keys of a machine")


def _unit(key: str, words: str) -> Iterator[str]:
    """The unit of a key, which its last part names. Nothing if the type names it already."""
    unit = UNITS.get(key.rpartition("_")[2], "") if "_" in key else "bytes" if key == "bytes" else ""
    if unit and unit not in words:
        yield f"in {unit}" if unit not in {"a second (Hz)", "percent"} else unit


def _default(field: msgspec.structs.FieldInfo) -> Iterator[str]:
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if field.required or default in ((), {}) or isinstance(default, msgspec.Struct):
        return
    if isinstance(default, tuple):
        yield f"default [{', '.join(f'{part:g}' for part in default)}]"
    elif isinstance(default, int | float) and not isinstance(default, bool):
        yield f"default {default:g}"
    else:
        yield f"default {'none' if default is None else str(default).lower() if isinstance(default, bool) else default}"
