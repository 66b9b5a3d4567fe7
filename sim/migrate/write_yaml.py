"""Writes an imported lab as a topology file. Its comments mark guesses, findings, and machines without a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sim.lab.yaml.nodes import show
from sim.lab.yaml.scalars import tag_of
from sim.migrate.addresses import MSGPORT, Terminal
from sim.migrate.findings import Findings, one_line
from sim.migrate.hierarchy import Placed, everybody
from sim.migrate.pilot_db import Record
from sim.migrate.prefs import Camera

__all__ = ["ImportedLab", "lab_text"]

GUESSED_FPS = 30.0
GUESSED_SIZE = (640, 480)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around each text that a topology would read as something else, such as `1e3`."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return tag_of(value, tag) if kind is yaml.ScalarNode and implicit[0] else tag


@dataclass(frozen=True, slots=True)
class ImportedLab:
    """Everything that the text is made from."""

    made_from: Sequence[str]  # names of files, without folders
    terminal: Terminal
    ping_interval_s: float | None
    pilots: list[Placed]
    unplaced: list[Record]
    findings: Findings


def lab_text(lab: ImportedLab) -> str:
    """The text of the file. `sim.lab.topology.load` accepts it."""
    names = " and ".join([", ".join(lab.made_from[:-1]), lab.made_from[-1]] if lab.made_from[1:] else lab.made_from)
    lines = [
        f"# Imported from {one_line(names)} by python -m sim import.",
        "#",
        "# `guess` marks what those files do not say: put in what is true in your lab. `look` marks what does not fit.",
        *_looks(lab, None, ""),
        *_terminal(lab.terminal),
        *_kinds(lab.pilots),
    ]
    if lab.ping_interval_s is not None:
        lines.append(f"ping_interval_s: {_scalar(lab.ping_interval_s)}")
    lines.append("pilots:")
    for pilot in lab.pilots:
        lines += _machine(lab, pilot, "  ", "rig")
    lines.append("session: {duration_s: 20, pace: 4}  # guess: short, with a quarter of the waits between trials")
    if lab.unplaced:
        lines += ["", "# Not placed:"]
    for record in lab.unplaced:
        lines.append(f"# - {one_line(record.id[:1000]) or show(record.id)}")
        lines += [f"#     {said}" for said in lab.findings.of(record.id)]
    return "\n".join(lines) + "\n"


def _terminal(terminal: Terminal) -> Iterator[str]:
    yield "terminal:"
    yield f"  id: {_scalar(terminal.id)}"
    if terminal.host is not None:
        yield f"  host: {_scalar(terminal.host)}{_comment(terminal.notes.get('host'))}"
    yield f"  port: {terminal.port}{_comment(terminal.notes.get('port'))}"


def _kinds(pilots: list[Placed]) -> Iterator[str]:
    yield "kinds:"
    yield "  pi:"
    yield f"    port: {MSGPORT}  # guess: Autopilot's default, for those whose MSGPORT no file says"
    yield "  rig:"
    yield "    kind: pi"
    yield "    trials: {every_s: [3, 12], stages: 3, bytes: 300}  # guess: no file says what a task sends"
    if any(machine.record.prefs.hardware for machine in everybody(pilots)):
        yield "  # Each camera of HARDWARE is a stream that runs all through a session, and that is a guess. Lower its"
        yield "  # rate_hz where the machine that rehearses has few cores, or take the stream away."


def _machine(lab: ImportedLab, machine: Placed, indent: str, kind: str) -> Iterator[str]:
    yield from _looks(lab, machine.id, indent)
    yield f"{indent}- id: {_scalar(machine.id)}{_comment(machine.notes.get('id'))}"
    indent += "  "
    yield f"{indent}kind: {kind}"
    for line in _own_keys(machine):
        yield f"{indent}{line}"
    if machine.children:
        yield f"{indent}children:"
    for child in machine.children:
        yield from _machine(lab, child, f"{indent}  ", "pi")


def _own_keys(machine: Placed) -> Iterator[str]:
    if "ping" in machine.notes:
        yield f"# {one_line(machine.notes['ping'])}"
    if machine.host is not None:
        yield f"host: {_scalar(machine.host)}"
    if machine.port is not None:
        yield f"port: {machine.port}{_comment(machine.notes.get('port'))}"
    if machine.record.subjects:
        yield f"subjects: [{', '.join(_scalar(one) for one in machine.record.subjects)}]"
    if machine.record.prefs.hardware:
        yield "streams:"
        for camera in machine.record.prefs.hardware:
            yield f"  {_camera(camera)}"


def _camera(camera: Camera) -> str:
    width, height = camera.size or GUESSED_SIZE
    missing = [what for what, said in (("fps", camera.fps), ("resolution", camera.size)) if said is None]
    lacks = f", which does not say {' and '.join(missing)}" if missing else ""
    keys = f"shape: [{height}, {width}], dtype: uint8, rate_hz: {_scalar(camera.fps or GUESSED_FPS)}, batch: 1"
    note = f"guess: from {camera.where[:100]}{lacks}"
    return f"{_scalar(camera.name)}: {{{keys}, content: video, reliable: false}}{_comment(note)}"


def _looks(lab: ImportedLab, machine: str | None, indent: str) -> Iterator[str]:
    for said in lab.findings.of(machine):
        yield f"{indent}# look: {said}"


def _comment(note: str | None) -> str:
    return f"  # {one_line(note)}" if note else ""


def _scalar(value: Any) -> str:
    """The value as YAML on one line. It is valid inside of brackets, and as a key."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    quoted = '"' if isinstance(value, str) and not value.isprintable() else None
    dumped: str = yaml.dump(
        [value],
        Dumper=_Dumper,
        default_flow_style=True,
        default_style=quoted,
        allow_unicode=True,
        width=float("inf"),
    )
    return dumped.strip().removeprefix("[").removesuffix("]")
