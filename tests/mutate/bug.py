"""A bug as data, and the copy of the tree that has it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT

__all__ = ["KINDS", "Bug", "StaleBugError", "broken", "copy_tree", "put_into"]

KINDS = (
    *("routes", "window", "order", "patience", "incarnations", "streams", "files", "coherence", "states", "clocks"),
    *("errors", "arrays", "durability", "authority", "liveness", "resources", "programs"),
)
FOLDERS = ("autopilot_net", "sim", "topologies")


class StaleBugError(Exception):
    """The source has changed, so that the bug cannot be put into it any more."""


@dataclass(frozen=True)
class Bug:
    """`old` stands once in `file`. With `new` in its place, something that WIRE.md or README promises is broken."""

    kind: str
    name: str
    file: str
    old: str
    new: str
    by: str = "hunt"  # the run that should find it, and that is tried first: a name in `runs.RUNS`

    @property
    def title(self) -> str:
        """What it is called in the table."""
        return f"{self.kind}/{self.name}"


def broken(source: str, bug: Bug) -> str:
    """`source` with the bug in it. Raises `StaleBugError` unless the old text stands in it exactly once."""
    count = source.count(bug.old)
    if count != 1:
        raise StaleBugError(f"{bug.title}: in {bug.file} this stands {count} times, and not once: {bug.old!r}")
    return source.replace(bug.old, bug.new)


def copy_tree(tree: Path) -> None:
    """Copy what a rehearsal needs into `tree`."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))


def put_into(tree: Path, bug: Bug) -> None:
    """Make `tree` a copy that has the bug."""
    copy_tree(tree)
    path = tree / bug.file
    path.write_text(broken(path.read_text("utf-8"), bug), "utf-8")
