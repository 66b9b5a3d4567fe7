"""Makes a topology file from the files of an Autopilot lab, for `python -m sim import`.

`pilot_db.py` and `prefs.py` read the files, `hierarchy.py` makes the tree, `addresses.py` finds addresses and ports,
and `write_yaml.py` writes the topology. What is odd in the files is a finding, and the lab is imported all the same.
The import is refused only if a file cannot be read or no machine is left.
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
from sim.lab.yaml.nodes import show
from sim.migrate import addresses
from sim.migrate.findings import Findings, one_line
from sim.migrate.hierarchy import everybody, grow
from sim.migrate.pilot_db import Record, UnreadableError, read_machine, read_pilot_db, read_terminal, unusable
from sim.migrate.prefs import Prefs
from sim.migrate.write_yaml import ImportedLab, lab_text

__all__ = ["ImportRefusedError", "Imported", "import_lab", "write_new"]


class ImportRefusedError(Exception):
    """Nothing was imported. `sentences` say why, and have all other findings."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = [one_line(sentence) for sentence in sentences]
        super().__init__("\n".join(self.sentences))


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a topology that `load` accepts, and the findings that a person must look at, a sentence each."""

    text: str
    findings: list[str]
    placed: tuple[str, ...]  # ids, without the terminal's
    unplaced: tuple[str, ...]


def import_lab(pilot_db: Path, *, terminal: Path | None = None, machines: Sequence[Path] = ()) -> Imported:
    """Import a pilot_db, the terminal's own prefs, and files with the prefs of single machines.

    Raises `ImportRefusedError` if a file cannot be read, or if no machine in them has a place in the tree.
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
        sentence = f"{pilot_db}: it has {len(everyone)} machines, and a topology at most {MAX_MACHINES - 1}."
        raise ImportRefusedError([sentence])
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
    """Write a new file, or with `force` overwrite one. Raises `ImportRefusedError`."""
    try:
        if output.exists() and any(source.exists() and output.samefile(source) for source in sources):
            raise ImportRefusedError([f"{output}: the lab is imported from this file; give another one to --output."])
        with output.open("wb" if force else "xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise ImportRefusedError([f"{output}: the file exists already; --force overwrites it."]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ImportRefusedError([f"{output}: it cannot be written: {why}."]) from None


def _without(paths: Sequence[Path], others: Sequence[Path]) -> list[Path]:
    """Each path once, without the others: the pattern `*.prefs.json` may match the terminal's prefs too."""
    known = {os.path.realpath(other) for other in others}
    return list({real: path for path in paths if (real := os.path.realpath(path)) not in known}.values())


def _read(
    pilot_db: Path, terminal: Path | None, machines: Sequence[Path], findings: Findings
) -> tuple[dict[str, Record], tuple[Path, Prefs] | None]:
    """A record for every machine that a file names, and the terminal's own prefs."""
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
    """List each subject once at its machine, with the one that is in the box now. A subject of two machines is a
    finding.
    """
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
    """Load the text, so that a mistake in it is known before anybody uses the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "imported.yaml")
        path.write_bytes(text.encode())
        try:
            load(path)
        except TopologyError as error:
            mistakes = [mistake.replace(f"{path}:", "").strip() for mistake in error.mistakes]
            sentences = [f"{pilot_db}: the topology made from it cannot be loaded, line {one}" for one in mistakes]
            raise ImportRefusedError([*sentences, *findings]) from None
