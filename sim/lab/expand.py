"""Expands the entries of a file to single machines: inherits kinds, writes ranges out and fills templates in.

It works on nodes, which have lines, so that later mistakes can still name the line of a machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sim.lab.validate_types import did_you_mean
from sim.lab.yaml.nodes import BROKEN, Mistakes, YamlNode, show

__all__ = ["WrittenMachine", "expand"]

MAX_MACHINES = 2_000
MAX_DEPTH = 50
MAX_NODES = 400_000  # of all machines: a large entry with a long range must not fill the memory

# Below these keys, null is a value that the lab's own programs get.
_FREE = {"task", "params"}


@dataclass(slots=True)
class WrittenMachine:
    """One machine. `entry` has the keys of its kind and no templates. The children are not in it, but in `children`."""

    id: str | None  # None: it has no valid id, and the mistake was added
    line: int
    entry: YamlNode
    parent: "WrittenMachine | None" = None
    typed_id: str = ""  # the id as it stands in the file, if it has a wrong type; else the id
    twin: bool = False  # not the first machine of its entry, so it would repeat the mistakes of the first
    children: "list[WrittenMachine]" = field(default_factory=list)

    @property
    def depth(self) -> int:
        return sum(1 for _ in self.above)

    @property
    def above(self) -> "Iterator[WrittenMachine]":
        """Its parent, the parent of that, and so on to the terminal."""
        at = self.parent
        while at is not None:
            yield at
            at = at.parent


def expand(root: YamlNode, mistakes: Mistakes) -> list[WrittenMachine]:
    """All machines in the order of the file. The terminal is first, and every parent is before its children."""
    terminal = root.mapping.get("terminal")
    entry = terminal if terminal is not None and isinstance(terminal.value, dict) else YamlNode(root.line, {})
    entry = _without_nulls(entry)
    own_id = entry.text("id") if "id" in entry.mapping else "T"
    typed = own_id or entry.mapping["id"].typed
    top = WrittenMachine(own_id, entry.line_of("id"), entry, typed_id=typed)
    expansion = _Expansion(_kinds(root.mapping.get("kinds"), mistakes), mistakes)
    try:
        expansion.add(root.mapping.get("pilots"), top, None)
    except _TooManyError as error:
        mistakes.add(*error.args)
    return [top, *expansion.found]


def _kinds(node: YamlNode | None, mistakes: Mistakes) -> dict[str, YamlNode]:
    """Each kind with the keys that it inherits."""
    own = {} if node is None else {name: kind for name, kind in node.mapping.items() if kind.value is not None}
    resolved: dict[str, YamlNode] = {}
    for name in own:
        chain = [name]
        while (base := own[chain[-1]].text("kind")) is not None and base not in resolved:
            at = own[chain[-1]].line_of("kind")
            if base not in own:
                mistakes.add(at, f"there is no kind {show(base)}; {did_you_mean(base, own)}")
                break
            if base in chain:
                circle = " → ".join([*chain[chain.index(base) :], base])
                mistakes.add(at, f"the kinds go in a circle: {circle[:200]}; take one `kind` away.")
                break
            chain.append(base)
        for link in reversed(chain):
            inherited = resolved.get(own[link].text("kind") or "")
            resolved[link] = own[link] if inherited is None else _merge(inherited, own[link])
    return resolved


def _merge(base: YamlNode, own: YamlNode) -> YamlNode:
    """Merge `own` over `base`: own keys win, maps merge, lists replace."""
    if not isinstance(base.value, dict) or not isinstance(own.value, dict):
        return own
    merged = dict(base.value)
    for key, node in own.value.items():
        merged[key] = _merge(base.value[key], node) if key in base.value else node
    return YamlNode(own.line, merged)


def _without_nulls(node: YamlNode) -> YamlNode:
    kept = {key: node for key, node in node.mapping.items() if node.value is not None}
    if not isinstance(node.value, dict):
        return node
    return YamlNode(node.line, {key: under if key in _FREE else _without_nulls(under) for key, under in kept.items()})


class _TooManyError(Exception):
    """The lab has too many machines or nodes. `args` are the line at which this was found, and a sentence."""

    def __init__(self, line: int) -> None:
        super().__init__(
            line, f"up to here the ranges make more than {MAX_MACHINES} machines, or too large ones; shorten a range."
        )


class _TooDeepError(_TooManyError):
    def __init__(self, line: int) -> None:
        Exception.__init__(
            self, line, f"machines are more than {MAX_DEPTH} deep here; has a kind itself among its children?"
        )


class _Expansion:
    def __init__(self, kinds: dict[str, YamlNode], mistakes: Mistakes) -> None:
        self._kinds = kinds
        self._mistakes = mistakes
        self._nodes = 0
        self.found: list[WrittenMachine] = []

    def add(self, entries: YamlNode | None, parent: WrittenMachine, number: int | None, *, twin: bool = False) -> None:
        """Add the machines of a list of entries. `number` fills {n} in an entry without a range of its own."""
        for entry in entries.items if entries is not None else ():
            if parent.depth >= MAX_DEPTH:
                raise _TooDeepError(entry.line)
            if not isinstance(entry.value, dict):
                continue  # `fit` has added the mistake
            for at, n in enumerate(self._numbers(entry, number)):
                found = self._machine(entry, parent, n)
                found.twin = twin or at > 0
                parent.children.append(found)
                self.found.append(found)
                if len(self.found) > MAX_MACHINES or self._nodes > MAX_NODES:
                    raise _TooManyError(found.line)
                children = found.entry.mapping.get("children")
                own = {key: under for key, under in found.entry.mapping.items() if key != "children"}
                found.entry = YamlNode(found.entry.line, own)
                self.add(children, found, n, twin=found.twin)

    def _numbers(self, entry: YamlNode, inherited: int | None) -> "range | list[int | None]":
        first, last = entry.number("from"), entry.number("to")
        given = [key for key in ("from", "to") if key in entry.mapping and entry.mapping[key].value is not None]
        if not given:
            return [inherited]
        if len(given) == 1:
            other = "to" if given == ["from"] else "from"
            self._mistakes.add(entry.line_of(given[0]), f"`{given[0]}` needs `{other}` beside it.")
        elif first is not None and last is not None:
            if first <= last:
                return range(int(first), int(last) + 1)
            self._mistakes.add(entry.line_of("to"), f"the range ends, with {last}, before it begins, with {first}.")
        return [1]

    def _machine(self, entry: YamlNode, parent: WrittenMachine, n: int | None) -> WrittenMachine:
        fill = {"{n}": str(n)} if n is not None else {}
        fill["{parent}"] = parent.id or "?"
        id_node = entry.mapping.get("id", YamlNode(entry.line, BROKEN))
        own_id = _fill(id_node.value, fill) if isinstance(id_node.value, str) else None
        fill["{id}"] = own_id or "?"
        kind = _fill(entry.text("kind") or "", fill)
        if kind in self._kinds:
            entry = _merge(self._kinds[kind], entry)
        elif kind:
            line = entry.line_of("kind")
            self._mistakes.add(line, f"there is no kind {show(kind)}; {did_you_mean(kind, self._kinds)}")
        skip = {"id", "kind", "from", "to", "children"}
        filled = {key: node if key in skip else self._filled(node, fill) for key, node in entry.mapping.items()}
        if kind:
            filled["kind"] = YamlNode(entry.line_of("kind"), kind)
        written = _without_nulls(YamlNode(entry.line, filled))
        return WrittenMachine(own_id, id_node.line, written, parent, typed_id=own_id or id_node.typed)

    def _filled(self, node: YamlNode, fill: dict[str, str]) -> YamlNode:
        self._nodes += 1 + (len(node.value) // 1000 if isinstance(node.value, str) else 0)
        if self._nodes > MAX_NODES:
            raise _TooManyError(node.line)
        if isinstance(node.value, str):
            return YamlNode(node.line, _fill(node.value, fill))
        if isinstance(node.value, list):
            return YamlNode(node.line, [self._filled(item, fill) for item in node.value])
        if isinstance(node.value, dict):
            return YamlNode(node.line, {key: self._filled(under, fill) for key, under in node.value.items()})
        return node


def _fill(text: str, fill: dict[str, str]) -> str:
    if len(text) > 10_000:  # so long a text is no template, and filling it in could make it longer
        return text
    for template, value in fill.items():
        text = text.replace(template, value)
    return text
