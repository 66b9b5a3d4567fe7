"""Compares the nodes of a file with the types of `schema.py`, and words the mistakes."""

import difflib
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from sim.lab.fault import Fault
from sim.lab.fault_words import FAULT_WORDS
from sim.lab.yaml.nodes import BROKEN, Mistakes, YamlNode, ambiguous, show
from sim.lab.yaml.scalars import ambiguity

__all__ = ["did_you_mean", "fit"]


def fit(node: YamlNode, want: Any, mistakes: Mistakes, path: str = "") -> YamlNode:
    """Compare a node and all below it with a type, and add every mistake. In the result, wrong nodes are BROKEN."""
    if node.value is BROKEN:
        return node
    bare = _member(_bare(want), node)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _fit_struct(node, bare, mistakes, path)
    if get_origin(bare) is dict:
        return _fit_dict(node, get_args(bare)[1], mistakes, path)
    if get_origin(bare) is tuple and get_args(bare)[-1] is Ellipsis:
        return _fit_list(node, get_args(bare)[0], mistakes, path)
    return _fit_leaf(node, want, mistakes, path)


def did_you_mean(word: str, known: "list[str] | dict[str, Any]") -> str:
    """The end of a sentence about an unknown word: the closest known word, or a list of them."""
    close = difflib.get_close_matches(word[:100], known, n=1)
    if close:
        return f"did you mean {show(close[0])}?"
    return f"known here: {', '.join(list(known)[:30])}." if known else "none is known here."


def _meant_key(key: str, want: type[msgspec.Struct], known: list[str]) -> str:
    """The end of a sentence about an unknown key: what it is called here, or the closest known one."""
    if want is Fault and key in FAULT_WORDS:
        return f"{FAULT_WORDS[key].sentence}."
    with_unit = [name for name in known if name.rpartition("_")[0] == key]
    return f"did you mean {show(with_unit[0])}?" if with_unit else did_you_mean(key, known)


def _bare(want: Any) -> Any:
    """A type without its `Annotated` and its `| None`. Null counts as absent, so a node here is never null."""
    while True:
        if get_origin(want) is Annotated:
            want = get_args(want)[0]
            continue
        parts = [part for part in get_args(want) if part is not type(None)]
        if get_origin(want) not in {Union, UnionType} or len(parts) != 1:
            return want
        want = parts[0]


def _member(bare: Any, node: YamlNode) -> Any:
    """The member of a union that a mapping or a list is meant for, so that a mistake names the key inside it."""
    for part in get_args(bare) if get_origin(bare) in {Union, UnionType} else ():
        if isinstance(node.value, dict) and isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
        if isinstance(node.value, list) and get_origin(part) is tuple and get_args(part)[-1] is Ellipsis:
            return part
    return bare


def _words(want: Any) -> str:
    """What a value must be, as the end of a sentence."""
    if get_origin(want) is Annotated:
        for meta in get_args(want)[1:]:
            if meta.extra is not None:
                return str(meta.extra["words"])
        return _words(get_args(want)[0])
    if get_origin(want) in {Union, UnionType}:
        return " or ".join(_words(part) for part in get_args(want) if part is not type(None))
    if get_origin(want) is Literal:
        return f"one of {', '.join(get_args(want))}" if len(get_args(want)) > 1 else str(get_args(want)[0])
    return {str: "text", bool: "true or false"}.get(want, "something else")


def _broken(node: YamlNode, words: str, mistakes: Mistakes, path: str) -> YamlNode:
    value = {dict: "a mapping", list: "a list", type(None): "nothing"}.get(type(node.value))
    value = value or (show(node.value) if isinstance(node.value, str) else node.typed or show(node.value))
    quotes = "; put quotes around it" if words == "text" and isinstance(node.value, int | float) else ""
    mistakes.add(node.line, f"{f'`{path}`' if path else 'what stands here'} must be {words}, not {value}{quotes}.")
    return YamlNode(node.line, BROKEN, node.typed)


def _fit_struct(node: YamlNode, want: type[msgspec.Struct], mistakes: Mistakes, path: str) -> YamlNode:
    if not isinstance(node.value, dict):
        return _broken(node, "a mapping of keys to values", mistakes, path)
    fields = {field.encode_name: field for field in msgspec.structs.fields(want)}
    fitted: dict[str, YamlNode] = {}
    for key, under in node.value.items():
        if key not in fields:
            where = f" in `{path}`" if path else ""
            mistakes.add(under.line, f"unknown key {show(key)}{where}; {_meant_key(key, want, list(fields))}")
            fitted[key] = YamlNode(under.line, BROKEN, under.typed)
        else:
            wanted = fields[key].type
            fitted[key] = under if under.value is None else fit(under, wanted, mistakes, f"{path}.{key}".lstrip("."))
    for key, field in fields.items():
        if field.required and (key not in fitted or fitted[key].value is None):
            mistakes.add(node.line, f"`{f'{path}.{key}'.lstrip('.')}` is missing.")
    return YamlNode(node.line, fitted)


def _fit_dict(node: YamlNode, want: Any, mistakes: Mistakes, path: str) -> YamlNode:
    if not isinstance(node.value, dict):
        return _broken(node, "a mapping of names to values", mistakes, path)
    if want is Any:
        _refuse_ambiguous(node, mistakes)
        return node
    return YamlNode(
        node.line,
        {
            name: under if under.value is None else fit(under, want, mistakes, f"{path}.{name[:60]}")
            for name, under in node.value.items()
        },
    )


def _refuse_ambiguous(node: YamlNode, mistakes: Mistakes) -> None:
    """Refuse `on` and its like where any value is welcome: whether truth or text is meant, nobody can tell."""
    if isinstance(node.value, bool) and ambiguity(node.typed):
        mistakes.add(node.line, ambiguous(node.typed))
    for under in (*node.items, *node.mapping.values()):
        _refuse_ambiguous(under, mistakes)


def _fit_list(node: YamlNode, want: Any, mistakes: Mistakes, path: str) -> YamlNode:
    if not isinstance(node.value, list):
        return _broken(node, "a list", mistakes, path)
    bare = _bare(want)
    # A mistake in a machine names its own keys and its line. `children[0].children[2].streams` would be hard to find.
    of_its_own = isinstance(bare, type) and issubclass(bare, msgspec.Struct)
    return YamlNode(
        node.line,
        [fit(item, want, mistakes, "" if of_its_own else f"{path}[{i}]") for i, item in enumerate(node.value)],
    )


def _fit_leaf(node: YamlNode, want: Any, mistakes: Mistakes, path: str) -> YamlNode:
    if not node.is_valid:
        return YamlNode(node.line, BROKEN)  # the mistake was added before
    try:
        msgspec.convert(node.plain, want)
    except msgspec.ValidationError:
        return _broken(node, _words(want), mistakes, path)
    return node
