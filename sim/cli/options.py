"""The options that several commands have, and what all of them do with a report folder and a refusal."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["AsJson", "Compare", "Debug", "Page", "Quiet", "Reports", "StandIns", "Virtual", "new_folder", "refuse"]

Quiet = Annotated[bool, Parameter(negative="", help="Print nothing but the last line.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the report as JSON, and nothing else.")]
Virtual = Annotated[bool, Parameter(negative="", help="Run in virtual time, without processes and sockets.")]
StandIns = Annotated[
    bool, Parameter(name="--stand-ins", negative="", help="Emulate the lab's own programs, instead of running them.")
]
Compare = Annotated[
    bool, Parameter(negative="", help="With --virtual: run it twice, and only say whether both runs were the same.")
]
Debug = Annotated[str, Parameter(help="Run the program of this machine in this terminal, for breakpoint().")]
Page = Annotated[bool, Parameter(negative="--no-page", help="Write report.html beside report.json.")]
Reports = Annotated[Path, Parameter(name="--report", help="The folder that reports are written to.")]


def refuse(sentence: str) -> int:
    """Print on stderr what is wrong with the file or the command. Returns the exit code."""
    sys.stderr.write(sentence.rstrip() + "\n")
    return 2


def new_folder(reports: Path, name: str) -> Path | None:
    """A new folder in `reports`, named `name` and the time; None if none can be made there."""
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(100):
        folder = reports / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not reports.is_dir():
                return None
            continue
        except OSError:
            return None
        return folder
    return None
