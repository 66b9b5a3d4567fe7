"""Reads YAML text into nodes that have their lines. It handles the traps of YAML, and knows nothing about labs.

`read` returns soon for any bytes, and reports every problem as a sentence, never as an exception.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from sim.lab.yaml.scalars import DIFFERS, ambiguity, tag_of

__all__ = ["BROKEN", "Broken", "Mistakes", "YamlNode", "ambiguous", "read", "show"]

# A hundred machines written out one by one need about a tenth of each limit. An alias counts at each use, so that
# a file of ten lines cannot become a billion nodes.
MAX_BYTES = 400_000
MAX_NODES = 30_000
MAX_DEPTH = 100
MAX_NUMBER_TEXT = 100  # the time to read an integer grows with the square of its length


class Broken(Enum):
    """The value of a node whose mistake was added. The key exists, so no check reports it as missing."""

    BROKEN = "broken"


BROKEN = Broken.BROKEN


def show(value: object) -> str:
    """A value for use in a sentence: quoted, on one line, and at most about 61 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 61 else f"{value[:60]}…")
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 61 else f"{text[:60]}…"


def ambiguous(text: str) -> str:
    """The mistake of a scalar that YAML 1.1 and 1.2 read differently."""
    return f"{show(text)} is ambiguous: {ambiguity(text)}, or put quotes around it if it is text."


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A value with the line of its key, or with its own line if it is in a list."""

    line: int
    value: "bool | int | float | str | Broken | list[YamlNode] | dict[str, YamlNode] | None"
    typed: str = field(default="", compare=False)  # a scalar as it stands in the file, also one that is broken

    @property
    def mapping(self) -> "dict[str, YamlNode]":
        """Its keys and nodes. Empty if it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[YamlNode]":
        """Its items. Empty if it is no list."""
        return self.value if isinstance(self.value, list) else []

    def text(self, key: str) -> str | None:
        """The text under a key. None if it is absent or no text."""
        node = self.mapping.get(key)
        return node.value if node is not None and isinstance(node.value, str) else None

    def number(self, key: str) -> float | None:
        """The number under a key. None if it is absent or no number."""
        node = self.mapping.get(key)
        is_number = node is not None and isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return node.value if node is not None and is_number else None  # type: ignore[return-value]

    def line_of(self, key: str) -> int:
        return self.mapping[key].line if key in self.mapping else self.line

    @property
    def is_valid(self) -> bool:
        """Whether no node in it is broken."""
        if self.value is BROKEN:
            return False
        return all(node.is_valid for node in (*self.items, *self.mapping.values()))

    @property
    def plain(self) -> Any:
        """The value as plain Python objects, without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


class Mistakes:
    """The mistakes of one file: each once, in the order of the lines. Iterating gives sentences with file and line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: dict[tuple[int, str], None] = {}

    def add(self, line: int, sentence: str) -> None:
        """Add a mistake at a line. Line 0 stands for the complete file."""
        printable = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in sentence)
        self._found[line, "".join(printable)] = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[str]:
        for line, sentence in sorted(self._found, key=lambda found: found[0]):
            yield f"{self._path}:{line}: {sentence}" if line else f"{self._path}: {sentence}"


def read(path: Path, mistakes: Mistakes) -> YamlNode | None:
    """The single document of a file. None if it cannot be read, and then the mistakes say why."""
    text = _text(path, mistakes)
    if text is None:
        return None
    top = _compose(text, mistakes)
    if top is None:
        return None
    try:
        return _Builder(mistakes).build(top, top.start_mark.line + 1)
    except _TooMuchError as error:
        mistakes.add(error.args[0], _TOO_MUCH)
        return None


def _text(path: Path, mistakes: Mistakes) -> str | None:
    problem = ""
    try:
        if path.is_dir():
            problem = "this is a folder; name a YAML file in it."
        elif not path.exists():
            problem = "there is no such file."
        elif not path.is_file():
            problem = "this is not a regular file."
        elif path.stat().st_size > MAX_BYTES:
            problem = f"this file has more than {MAX_BYTES} bytes, which no topology needs; is it the right one?"
        else:
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = "this is not a text file in UTF-8, so it cannot be YAML."
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        problem = f"this file cannot be read: {getattr(error, 'strerror', None) or error}."
    mistakes.add(0, problem)
    return None


_TOO_MUCH = (
    f"the file holds more than {MAX_NODES} values, each alias counted wherever it stands, or is more than {MAX_DEPTH} "
    "levels deep; no topology needs that."
)


class _TooMuchError(Exception):
    """The file is too large or too deep. `args[0]` is the line at which this was found."""


class _Loader(yaml.SafeLoader):
    """Raises `_TooMuchError` on too deep or too many nodes. Composing is recursive, and Python's stack is limited."""

    depth = 0
    count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > MAX_NODES:
            raise _TooMuchError(self.line + 1)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return tag_of(value or "", tag) if kind is yaml.ScalarNode and implicit[0] else tag


def _compose(text: str, mistakes: Mistakes) -> yaml.Node | None:
    lines = text.splitlines() or [""]
    try:
        top: yaml.Node | None = _Loader(text).get_single_node()
    except _TooMuchError as error:
        mistakes.add(error.args[0], _TOO_MUCH)
    except yaml.reader.ReaderError as error:
        mistakes.add(text.count("\n", 0, error.position) + 1, "there is a character here that YAML does not allow.")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = mark.line if mark is not None else 0
        mistakes.add(at + 1, _syntax(error, lines[min(at, len(lines) - 1)]))
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
        # PyYAML raises these for some inputs, such as the escape "\U99999999", and then does not tell the line.
        mistakes.add(0, f"this is not YAML that can be read: {error}.")
    else:
        if top is None:
            mistakes.add(0, "the file is empty; it should say what machines the lab has, under `pilots`.")
        return top
    return None


def _syntax(error: yaml.MarkedYAMLError, line: str) -> str:
    mark = error.problem_mark
    begins = error.context_mark
    where = f", from line {begins.line + 1}" if begins is not None and begins.line != getattr(mark, "line", -1) else ""
    context = f"{error.context}{where}, " if error.context else ""
    quotes = "{n}" in line or "{id}" in line or "{parent}" in line
    hint = ' Between { and }, a text with {n} in it needs quotes: {id: "rig_{n}"}.' if quotes else ""
    return f"this is not YAML: {context}{error.problem or 'it breaks off'}.{hint}"


_SCALARS = {"null", "bool", "int", "float", "str", "timestamp", "value", "merge"}


class _Builder:
    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._scalars = yaml.constructor.SafeConstructor()
        self._count = 0

    def build(self, node: yaml.Node, line: int, depth: int = 0) -> YamlNode:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise _TooMuchError(line)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return YamlNode(line, self._mapping(node, depth))
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return YamlNode(line, [self.build(item, item.start_mark.line + 1, depth + 1) for item in node.value])
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            return YamlNode(line, self._scalar(node, kind, line), node.value)
        if node.tag == DIFFERS:
            self._mistakes.add(line, ambiguous(node.value))
            return YamlNode(line, BROKEN, node.value)
        self._mistakes.add(line, f"the tag {show(node.tag)} means nothing here; leave it out.")
        return YamlNode(line, BROKEN)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, YamlNode]:
        own: dict[str, YamlNode] = {}
        merged: dict[str, YamlNode] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._mistakes.add(line, "a key must be a plain word.")
            elif key.tag == "tag:yaml.org,2002:merge":
                for name, under in self._merge(value, line, depth).items():
                    merged.setdefault(name, under)
            elif key.value in own:
                first = own[key.value].line
                self._mistakes.add(line, f"the key {show(key.value)} is here twice, first on line {first}; keep one.")
            else:
                own[key.value] = self.build(value, line, depth + 1)
        return merged | own

    def _merge(self, value: yaml.Node, line: int, depth: int) -> dict[str, YamlNode]:
        """The keys that `<<` merges in. Its value is a mapping, or a list of mappings of which the first wins."""
        node = self.build(value, line, depth + 1)
        merged: dict[str, YamlNode] = {}
        for part in node.items or [node]:
            if not isinstance(part.value, dict):
                self._mistakes.add(line, "`<<` takes a mapping, or a list of mappings.")
            merged = part.mapping | merged
        return merged

    def _scalar(self, node: yaml.ScalarNode, kind: str, line: int) -> bool | int | float | str | Broken | None:
        if kind == "null":
            return None
        if kind in {"bool", "int", "float"}:
            return self._number(node, kind, line)
        if any("\ud800" <= c <= "\udfff" for c in node.value):
            self._mistakes.add(line, f"the text {show(node.value)} has half a character in it (a lone surrogate).")
            return BROKEN
        return str(node.value)  # a date stays as it was typed

    def _number(self, node: yaml.ScalarNode, kind: str, line: int) -> bool | int | float | Broken:
        try:
            if len(node.value) > MAX_NUMBER_TEXT:
                raise ValueError
            value = self._constructed(node, kind)
        except (ValueError, LookupError, OverflowError):
            self._mistakes.add(line, f"{show(node.value)} cannot be read as a number; if it is text, quote it.")
            return BROKEN
        # A topology is encoded as JSON, which has no larger integers and no infinities.
        fits = -(2**63) <= value < 2**63 if isinstance(value, int) else math.isfinite(value)
        if not fits:
            self._mistakes.add(line, f"{show(node.value)} is no number for a lab; give a finite one below 2**63.")
            return BROKEN
        return value

    def _constructed(self, node: yaml.ScalarNode, kind: str) -> bool | int | float:
        if kind != "float":
            construct = {"bool": self._scalars.construct_yaml_bool, "int": self._scalars.construct_yaml_int}[kind]
            return construct(node)
        value: float = self._scalars.construct_yaml_float(node)
        is_whole = "." not in node.value and value.is_integer()  # 1e3, which is as good a number of messages as 1000
        return int(value) if is_whole else value
