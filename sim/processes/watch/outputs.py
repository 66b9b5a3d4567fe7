"""What programs printed and raised, for people: the last lines of each log, and the lab's own frames first."""

from __future__ import annotations

import re
from pathlib import Path

from sim.processes.watch.deaths import last_lines
from sim.processes.watch.own_threads import is_own_code
from sim.verdict import OutputRow

__all__ = ["output_rows", "own_frames_first"]

FRAME = re.compile(r'^  File "(?P<file>.+)", line \d+')
AROUND = "  around it, in the library, the rehearsal and Python:\n"


def output_rows(folder: Path) -> list[OutputRow]:
    """The last lines of each log of a program in the folder of a run. A log that is empty has none."""
    logs = sorted((folder / "logs").glob("*.program.log"))
    rows = [OutputRow(log.name.removesuffix(".program.log"), f"logs/{log.name}", last_lines(log)) for log in logs]
    return [row for row in rows if row.lines]


def own_frames_first(trace: str) -> str:
    """A traceback or a stack with the frames of the lab's own code before all others. A chain of two stays as it is."""
    lines = trace.splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if FRAME.match(line)]
    if not starts or trace.count("Traceback (most recent call last)") > 1:
        return trace
    end = next((n for n in range(starts[-1] + 1, len(lines)) if not lines[n].startswith("    ")), len(lines))
    frames = ["".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], end], strict=True)]
    own = [frame for frame in frames if is_own_code(FRAME.match(frame)["file"])]  # type: ignore[index]
    others = [frame for frame in frames if frame not in own]
    if not (own and others):
        return trace
    return "".join([*lines[: starts[0]], *own, AROUND, *others, *lines[end:]])
