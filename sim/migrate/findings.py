"""Findings of an import: sentences for a person to look at, each with its file and its machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.lab.yaml.nodes import show

__all__ = ["Findings", "one_line"]


class Findings:
    """Findings, in the order in which they were made: a file, a machine (None: no single one) and a sentence."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, Path, str], None] = {}
        self._of: dict[str | None, list[tuple[Path, str]]] = {}

    def add(self, file: Path, machine: str | None, sentence: str) -> None:
        """Add a finding, if it is new."""
        if (machine, file, sentence) not in self._found:
            self._found[machine, file, sentence] = None
            self._of.setdefault(machine, []).append((file, sentence))

    def of(self, machine: str | None) -> list[str]:
        """The findings about one machine, each with the name of its file."""
        return [one_line(f"{file.name}: {said}") for file, said in self._of.get(machine, [])]

    def __iter__(self) -> Iterator[str]:
        for machine, file, said in self._found:
            yield one_line(f"{file}: {said}" if machine is None else f"{file}: {_name_of(machine)}: {said}")


def one_line(text: str) -> str:
    """The text with unprintable characters escaped, so that it breaks neither a line nor a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _name_of(machine: str) -> str:
    return machine if machine.isprintable() and 0 < len(machine) <= 60 else show(machine)
