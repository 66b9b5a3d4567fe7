"""Build the API reference with pdoc, from the docstrings, into `build/api`. Run it in the root folder:

    .venv/bin/python -W error .ci/api.py

With `-W error`, a warning of pdoc ends the build: a name of `__all__`, or of an annotation, that does not resolve.
That the names in the text of a docstring resolve is checked by `tests/test_contributing.py`.
"""

import inspect
import re
import sys
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import msgspec
import pdoc

import sim.strategies

ROOT = Path(__file__).parents[1]
MODULES = ("autopilot_net", "sim.faults", "sim.labtest", "sim.plugin", "sim.scenario", "sim.strategies")
COMMENTED = re.compile(r"    (\w+): .*?  # (.+)")  # a field, and the comment behind it
SET = re.compile(r"        self\.(\w+)(?:: .+?)? = .*?  # (.+)")  # an attribute, and the comment behind it


def build(folder: Path) -> None:
    """Write one page for each of `MODULES`, an index and a search index into `folder`."""
    for name in sim.strategies.__all__:
        # hypothesis compiles what it wraps in a module of its own, in which no annotation can be resolved
        vars(getattr(sim.strategies, name)).pop("__wrapped__", None)
    pdoc.render.configure(show_source=False, footer_text="autopilot-net")
    specs = [*MODULES, *(f"!{module}\\..+" for module in MODULES)]  # without the modules in them
    modules = {name: pdoc.doc.Module.from_name(name) for name in pdoc.extract.walk_specs(specs)}
    for module in modules.values():
        for member in module.members.values():
            if isinstance(member, pdoc.doc.Class):
                describe = describe_fields if issubclass(member.obj, msgspec.Struct) else describe_attributes
                describe(member)
    for name, module in modules.items():
        write(folder / f"{name.replace('.', '/')}.html", pdoc.render.html_module(module, modules))
    write(folder / "index.html", pdoc.render.html_index(modules))
    write(folder / "search.js", pdoc.render.search_index(modules))


def describe_fields(struct: pdoc.doc.Class) -> None:
    """Show for each field its plain type, its default, and its description in `Meta` or the comment behind it."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(struct.obj)}
    comments = dict(COMMENTED.findall(inspect.getsource(struct.obj)))
    for field in struct.instance_variables + struct.class_variables:
        field.docstring = field.docstring or comments.get(field.name, "")
        while get_origin(field.annotation) is Annotated:
            field.annotation, *marks = get_args(field.annotation)
            told = [mark.description for mark in marks if isinstance(mark, msgspec.Meta) and mark.description]
            field.docstring = field.docstring or " ".join(told)
        field.annotation = bare(field.annotation)
        if defaults.get(field.name, msgspec.NODEFAULT) is not msgspec.NODEFAULT:
            field.default_value = defaults[field.name]


def describe_attributes(kind: pdoc.doc.Class) -> None:
    """Show for what `__init__` sets the type of the argument of that name, and the comment behind it."""
    init = kind.members.get("__init__")
    if not isinstance(init, pdoc.doc.Function) or not inspect.isfunction(kind.obj.__init__):
        return
    source = inspect.getsource(kind.obj.__init__)
    comments = dict(SET.findall(source))
    for attribute in kind.instance_variables:
        attribute.docstring = attribute.docstring or comments.get(attribute.name, "")
        is_argument = re.search(rf"self\.{attribute.name} = {attribute.name}(  #.*)?$", source, re.MULTILINE)
        if is_argument and attribute.annotation is pdoc.doc.empty:
            attribute.annotation = init.signature.parameters[attribute.name].annotation


def bare(kind: object) -> object:
    """An annotation without the limits of its parts."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    parts = tuple(map(bare, get_args(kind)))
    if parts == get_args(kind):
        return kind
    return reduce(or_, parts) if get_origin(kind) in (Union, UnionType) else get_origin(kind)[parts]


def write(path: Path, text: str) -> None:
    """Write a page, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    target = ROOT / "build" / "api"
    build(target)
    sys.stdout.write(f"{target.relative_to(ROOT) / 'index.html'}\n")
