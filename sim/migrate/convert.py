"""`python -m sim import`: the files of an Autopilot lab into a topology file.

`pilot_db.py` and `prefs.py` read, `hierarchy.py` makes the tree, `addresses.py` says where everybody is, and what comes
of it is written down by `write_yaml.py`.
What is odd in the files is told, and the lab imported all the same; only where nothing is left of it, it is refused.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.lab.expand import MAX_MACHINES
from sim.lab.topology import TopologyError, load
from sim.lab.yaml_nodes import show
from sim.migrate import addresses
from sim.migrate.findings import Findings, one_line
from sim.migrate.hierarchy import everybody, grow
from sim.migrate.pilot_db import Record, UnreadableError, read_machine, read_pilot_db, read_terminal, unusable
from sim.migrate.prefs import Prefs
from sim.migrate.write_yaml import ImportedLab, lab_text

__all__ = ["ImportRefusedError", "Imported", "import_lab", "write_new"]


class ImportRefusedError(Exception):
    """Nothing was imported. `sentences` say why, and what else was found."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = [one_line(sentence) for sentence in sentences]
        super().__init__("\n".join(self.sentences))


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a topology that `load` takes, and what a person must look at, a sentence each."""

    text: str
    findings: list[str]
    placed: tuple[str, ...]  # ids, without the terminal's
    unplaced: tuple[str, ...]


def import_lab(pilot_db: Path, *, terminal: Path | None = None, machines: Sequence[Path] = ()) -> Imported:
    """Read a pilot_db, the terminal's own prefs, and files of the prefs of single machines.

    Raises `ImportRefusedError` if a file cannot be read, or if no machine in them has a place.
    """
    findings = Findings()
    machines = _without(machines, [pilot_db, *([terminal] if terminal is not None else [])])
    records, own = _read(pilot_db, terminal, machines, findings)
    id = _terminal_id(own, findings)
    pilots = grow(records, id, findings)
    everyone = everybody(pilots)
    if not everyone:
        raise ImportRefusedError([*findings, f"{pilot_db}: no machine in it has a place below the terminal."])
    if len(everyone) >= MAX_MACHINES:
        raise ImportRefusedError([f"{pilot_db}: these are {len(everyone)} machines; {MAX_MACHINES - 1} are the most."])
    addresses.settle(pilots, findings)
    _subjects(records, findings)
    root = addresses.terminal(id, own, pilots, findings)
    unplaced = [record for record in records.values() if record.wrong is not None]
    names = [path.name for path in (pilot_db, *((terminal,) if terminal is not None else ()), *machines)]
    ping = addresses.ping_interval(pilots)
    text = lab_text(ImportedLab(names, root, ping, pilots, unplaced, findings))
    _check(text, pilot_db, findings)
    return Imported(text, list(findings), tuple(one.id for one in everyone), tuple(one.id for one in unplaced))


def write_new(text: str, output: Path, *, force: bool, sources: Sequence[Path]) -> None:
    """Write a file that is not there yet, or with `force` over the one that is. Raises `ImportRefusedError`."""
    try:
        if output.exists() and any(source.exists() and output.samefile(source) for source in sources):
            raise ImportRefusedError([f"{output}: the lab is imported from this file; name another with --output."])
        with output.open("wb" if force else "xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise ImportRefusedError([f"{output}: the file is there already; --force writes over it."]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ImportRefusedError([f"{output}: it cannot be written: {why}."]) from None


def _without(paths: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Each path once, and none of the others: `*.prefs.json` may well take in the terminal's."""
    known = {os.path.realpath(other) for other in others}
    return list({real: path for path in paths if (real := os.path.realpath(path)) not in known}.values())


def _read(
    pilot_db: Path, terminal: Path | None, machines: Sequence[Path], findings: Findings
) -> tuple[dict[str, Record], tuple[Path, Prefs] | None]:
    """Every machine that a file is about, and the terminal's own prefs."""
    refused: list[str] = []
    records: dict[str, Record] = {}
    own: tuple[Path, Prefs] | None = None
    try:
        records = {record.id: record for record in read_pilot_db(pilot_db, findings)}
    except UnreadableError as error:
        refused.append(str(error))
    for path in machines:
        try:
            id, prefs = read_machine(path, findings)
            records.setdefault(id, Record(id, path)).take(path, prefs, findings)
        except UnreadableError as error:
            refused.append(str(error))
    if terminal is not None:
        try:
            own = terminal, read_terminal(terminal, findings)
        except UnreadableError as error:
            refused.append(str(error))
    if refused:
        raise ImportRefusedError([*refused, *findings])
    return records, own


def _terminal_id(own: tuple[Path, Prefs] | None, findings: Findings) -> str:
    if own is None or own[1].name is None:
        return "T"
    file, prefs = own
    name = prefs.name or "T"
    why = unusable(name)
    if why is None:
        return name
    findings.add(file, None, f"NAME is {show(name)}, which {why}; the terminal is called T.")
    return "T"


def _subjects(records: dict[str, Record], findings: Findings) -> None:
    """Each once at a machine, with the one that is in the box now; and tell those that are at several."""
    first: dict[str, str] = {}
    for record in records.values():
        for subject, times in Counter(record.subjects).items():
            if times > 1:
                findings.add(record.file, record.id, f"the subject {show(subject)} is listed {times} times.")
        present = [] if record.prefs.subject is None else [record.prefs.subject]
        record.subjects = list(dict.fromkeys([*record.subjects, *present]))
        for subject in record.subjects:
            other = first.setdefault(subject, record.id)
            if other != record.id:
                findings.add(record.file, record.id, f"the subject {show(subject)} is listed at {show(other)} too.")


def _check(text: str, pilot_db: Path, findings: Findings) -> None:
    """Whether it loads: what this tells is better known before the file is on its way to somebody."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "imported.yaml")
        path.write_bytes(text.encode())
        try:
            load(path)
        except TopologyError as error:
            told = [mistake.replace(f"{path}:", "").strip() for mistake in error.mistakes]
            sentences = [f"{pilot_db}: this would be no topology that can be loaded, line {one}" for one in told]
            raise ImportRefusedError([*sentences, *findings]) from None
