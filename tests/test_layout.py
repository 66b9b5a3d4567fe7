"""Where things stand, and how large they are: a module's tests are found by its name, and nothing grows without end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("autopilot_net", "sim")
MODULE_LINES = 350
FUNCTION_LINES = 40
MODULES_IN_A_ROOM = 14

# Modules without a test file of their own. Each has a reason; a module that has none needs a file.
UNTESTED = {
    # The two worlds play whole labs, and only a whole lab shows what a part of them does: test_conformance compares
    # both with one another, and test_lab of each room plays them.
    *(f"sim/processes/{part}.py" for part in ("faults", "machines", "raw_peer", "storms", "supervisor")),
    *(f"sim/virtual/{part}.py" for part in ("wires/connections", "driver", "programs", "raw_peer", "storms")),
    # A whole run, as a person starts it: test_cli, test_plugin and test_phases have it from end to end.
    *(f"sim/{part}.py" for part in ("labtest", "rehearse")),
    *(f"sim/cli/{part}.py" for part in ("commands", "console")),
    # Parts of a hunt: test_hunt, test_shrink and test_strategies play drawn labs with them.
    *(f"sim/search/{part}.py" for part in ("determinism", "draw", "reductions", "subset")),
    # The processes of a bench: test_works plays all that they do.
    *(f"sim/bench/{part}.py" for part in ("bare", "labs", "ours")),
    # How a page looks: test_render has it whole.
    "sim/report/style.py",
    # Tested beside what uses them, in the files of their rooms, until they have files of their own.
    *("sim/evidence/violation.py", "sim/lab/validate_types.py"),
}


def modules(root: Path, package: str) -> Iterator[tuple[str, str]]:
    """The path of each module of a package below `root`, and its text. A package's own file is none."""
    for path in sorted((root / package).rglob("*.py")):
        if not path.name.startswith("__"):
            yield path.relative_to(root).as_posix(), path.read_text()


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_declarative(text: str) -> bool:
    """Whether no function in it does anything: what has docstrings alone, as a Protocol's, only says what there is."""
    said = [statement for one in functions(text) for statement in one.body]
    return all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in said)


def test_file_of(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"tests/{folder}/test_{name}"


test_file_of.__test__ = False  # type: ignore[attr-defined]


def without_tests(root: Path, package: str) -> list[str]:
    """The modules that do something, and have no test file at the mirrored place."""
    doing = [module for module, text in modules(root, package) if not is_declarative(text)]
    return [module for module in doing if not (root / test_file_of(module)).exists()]


def long_modules(root: Path, package: str, most: int = MODULE_LINES) -> list[str]:
    """The modules, and the packages' own files, with more than so many lines."""
    counts = {path: len(path.read_text().splitlines()) for path in sorted((root / package).rglob("*.py"))}
    return [f"{path.relative_to(root).as_posix()}: {count} lines" for path, count in counts.items() if count > most]


def long_functions(root: Path, package: str, most: int = FUNCTION_LINES) -> list[str]:
    """The functions with more than so many lines, from `def` to their end."""
    found = []
    for path in sorted((root / package).rglob("*.py")):
        for one in functions(path.read_text()):
            count = (one.end_lineno or one.lineno) - one.lineno + 1
            if count > most:
                found.append(f"{path.relative_to(root).as_posix()}: {one.name} has {count} lines")
    return found


def full_rooms(root: Path, package: str, most: int = MODULES_IN_A_ROOM) -> list[str]:
    """The folders with more than so many modules."""
    rooms: dict[str, int] = {}
    for module, _ in modules(root, package):
        room = module.rpartition("/")[0]
        rooms[room] = rooms.get(room, 0) + 1
    return [f"{room}: {count} modules" for room, count in rooms.items() if count > most]


def shared_class_names(root: Path, package: str) -> list[str]:
    """The names of classes that more than one class has; whether it is private makes no name another."""
    places: dict[str, list[str]] = {}
    for module, text in modules(root, package):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name.lstrip("_"), []).append(module)
    return [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]


# -- as it is ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_each_module_that_does_something_has_its_test_file(package: str) -> None:
    assert [module for module in without_tests(ROOT, package) if module not in UNTESTED] == []


def test_what_is_excepted_needs_to_be() -> None:
    """A module that is gone, or has its test file by now, has no place among the exceptions."""
    lacking = {module for package in PACKAGES for module in without_tests(ROOT, package)}
    assert sorted(UNTESTED - lacking) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_long(package: str) -> None:
    assert long_modules(ROOT, package) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_long(package: str) -> None:
    assert long_functions(ROOT, package) == []


def test_no_room_of_the_rehearsal_is_full() -> None:
    assert full_rooms(ROOT, "sim") == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_classes_of_a_package_have_one_name(package: str) -> None:
    assert shared_class_names(ROOT, package) == []


# -- that it would be noticed ------------------------------------------------------------------------------------------


def tree(root: Path, **files: str) -> Path:
    """A made-up tree: `lab__sub__x` is the file `lab/sub/x.py`."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


DOES = "def f():\n    return 1\n"


def test_a_module_without_its_test_file_is_noticed(tmp_path: Path) -> None:
    root = tree(tmp_path, lab__tested=DOES, lab__sub__bare=DOES, tests__lab__test_tested="", tests__lab__test_bare="")
    assert without_tests(root, "lab") == ["lab/sub/bare.py"]


@pytest.mark.parametrize(
    ("text", "declares"),
    [
        ("", True),
        ("A = 1\n", True),
        ("class A(Struct):\n    x: int = 0\n", True),
        ('class A(Protocol):\n    def f(self) -> int:\n        """What it is."""\n', True),
        ("class A(Protocol):\n    def f(self) -> int: ...\n", True),
        (DOES, False),
        ('class A:\n    def f(self) -> int:\n        """What it is."""\n        return 1\n', False),
        ("class A:\n    async def f(self):\n        await self.g()\n", False),
    ],
)
def test_what_only_declares_needs_no_test_file(tmp_path: Path, text: str, declares: bool) -> None:
    assert without_tests(tree(tmp_path, lab__one=text), "lab") == ([] if declares else ["lab/one.py"])


def test_a_long_module_is_noticed_and_so_is_a_packages_own_file(tmp_path: Path) -> None:
    root = tree(tmp_path, lab__short="\n" * MODULE_LINES, lab__long="\n" * (MODULE_LINES + 1))
    (root / "lab" / "__init__.py").write_text("\n" * 400)
    assert long_modules(root, "lab") == ["lab/__init__.py: 400 lines", f"lab/long.py: {MODULE_LINES + 1} lines"]


@pytest.mark.parametrize("indent", ["", "    "])
def test_a_long_function_is_noticed(tmp_path: Path, indent: str) -> None:
    def function(name: str, lines: int) -> str:
        return f"{indent}def {name}():\n" + f"{indent}    pass\n" * (lines - 1)

    text = ("class A:\n" if indent else "") + function("fits", FUNCTION_LINES) + function("long", FUNCTION_LINES + 1)
    root = tree(tmp_path, lab__one=text)
    assert long_functions(root, "lab") == [f"lab/one.py: long has {FUNCTION_LINES + 1} lines"]


def test_a_full_room_is_noticed(tmp_path: Path) -> None:
    root = tree(tmp_path, **{f"lab__room__m{n}": "" for n in range(MODULES_IN_A_ROOM)})
    (root / "lab" / "room" / "__init__.py").write_text("")
    assert full_rooms(root, "lab") == []
    tree(root, lab__room__more="")
    assert full_rooms(root, "lab") == [f"lab/room: {MODULES_IN_A_ROOM + 1} modules"]


def test_a_name_of_two_classes_is_noticed_also_where_one_is_private(tmp_path: Path) -> None:
    one, two = "class Lane:\n    pass\n", "def f():\n    class _Lane:\n        pass\n"
    root = tree(tmp_path, lab__a=one, lab__sub__b=two, other__a=one)
    assert shared_class_names(root, "lab") == ["Lane: lab/a.py, lab/sub/b.py"]
    assert shared_class_names(root, "other") == []
