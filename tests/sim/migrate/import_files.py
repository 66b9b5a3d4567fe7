"""A folder of files of an Autopilot lab, for the tests of the import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sim.lab.topology import Topology, load
from sim.migrate.convert import Imported, import_lab

PILOT: dict[str, Any] = {"subjects": [], "ip": "", "prefs": {}}
CHILD: dict[str, Any] = {"LINEAGE": "CHILD"}


class Files:
    """A folder of files to import, and what comes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result: Imported | None = None

    def write(self, name: str, what: Any) -> Path:
        path = self.folder / name
        path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
        return path

    def lab(self, db: Any, *, prefs: Any = None, **machines: Any) -> Topology:
        """The topology of a pilot_db, the terminal's prefs, and `rig_1={…}` for rig_1.prefs.json."""
        self.result = import_lab(
            self.write("pilot_db.json", db),
            terminal=None if prefs is None else self.write("prefs.json", prefs),
            machines=[self.write(f"{name}.prefs.json", what) for name, what in machines.items()],
        )
        path = self.folder / "imported.yaml"
        path.write_text(self.result.text)
        return load(path)

    @property
    def text(self) -> str:
        assert self.result is not None
        return self.result.text

    @property
    def told(self) -> list[str]:
        """What a person must look at, with the names of the files alone."""
        assert self.result is not None
        return [finding.removeprefix(f"{self.folder}/") for finding in self.result.findings]


def pilot(ip: str = "", subjects: list[Any] | None = None, **prefs: Any) -> dict[str, Any]:
    return {"ip": ip, "subjects": subjects or [], "prefs": prefs}


def edges(topology: Topology) -> dict[str, list[str]]:
    return {machine.id: list(machine.children) for machine in topology.machines if machine.children}


def line_with(text: str, part: str) -> str:
    [line] = [line for line in text.splitlines() if part in line]
    return line
