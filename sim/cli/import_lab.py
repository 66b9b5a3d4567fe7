"""The command `import`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sim.cli.options import refuse
from sim.migrate.convert import ImportRefusedError, import_lab, write_new

__all__ = ["import_autopilot"]


def import_autopilot(
    pilot_db: Annotated[Path, Parameter(help="The file in which an Autopilot terminal keeps its pilots.")],
    *machines: Annotated[Path, Parameter(help="The prefs of single machines: ID.prefs.json, or any file with a NAME.")],
    prefs: Annotated[Path | None, Parameter(help="The terminal's own prefs.")] = None,
    output: Annotated[Path | None, Parameter(help="The topology to write, instead of printing it.")] = None,
    force: Annotated[bool, Parameter(negative="", help="Overwrite a file that exists.")] = False,
) -> int:
    """Make a topology from the files of an Autopilot lab."""
    try:
        imported = import_lab(pilot_db, terminal=prefs, machines=machines)
        if output is not None:
            sources = (pilot_db, *machines, *((prefs,) if prefs is not None else ()))
            write_new(imported.text, output, force=force, sources=sources)
    except ImportRefusedError as error:
        return refuse(str(error))
    for finding in imported.findings:
        sys.stderr.write(finding + "\n")
    if output is None:
        sys.stdout.buffer.write(imported.text.encode())
    else:
        counts = [(len(imported.placed), "placed"), (len(imported.unplaced), "not placed")]
        counts.append((len(imported.findings), "to look at"))
        summary = f"{output}: {', '.join(f'{count} {what}' for count, what in counts)}\n"
        sys.stdout.buffer.write(summary.encode(errors="backslashreplace"))
    return 1 if imported.findings else 0
