"""Writes a `Report` as report.html and report.json. Nothing is judged here.

The page is one file that opens without a network. It contains its styles and scripts, and its content security policy
forbids the browser to fetch anything. `report.html.j2` has its sections in their order. `charts.py`, `tree_chart.py`
and `lamport_svg.py` draw its pictures.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sim.verdict import TrialRow, to_json

if TYPE_CHECKING:
    from sim.verdict import Report

__all__ = ["write", "point_latest"]

TEMPLATE = Path(__file__).with_name("report.html.j2")
VERDICTS = {"held": "Held", "broke": "Broke", "unsettled": "Not decided", "interrupted": "Interrupted"}


def write(report: Report, folder: Path, *, page: bool = True) -> Path:
    """Write report.json into `folder`, and report.html if `page`, each whole or not at all.

    Returns the path of report.html, or else of report.json. The folder is made if it does not exist. The page is about
    1.4 MB, nearly all of it bokeh, and takes two seconds of a core, half of it the import of bokeh on the first call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "report.json"
    _replace(data, msgspec.json.format(to_json(report)) + b"\n")
    if not page:
        return data
    html = folder / "report.html"
    _replace(html, _render(report).encode())
    return html


def point_latest(reports: Path, folder: Path) -> None:
    """Make `reports/latest` a relative link to `folder`, in one step: it always points to the old or the new folder.

    Raises OSError if something else is named `latest`, or if the file system has no links.
    """
    link = reports / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(folder.resolve(), reports.resolve()), target_is_directory=True)
    try:
        link.replace(reports / "latest")
    except OSError:
        link.unlink()
        raise


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _render(report: Report) -> str:
    from bokeh.resources import Resources
    from jinja2 import Environment, StrictUndefined

    from sim.report import charts, lamport_svg
    from sim.report.tree_chart import FARED

    script, holders = charts.draw(report)
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {"num": _number, "ms": _milliseconds, "counted": _counted, "headline": _headline}
    return jinja.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        verdict=VERDICTS[report.verdict],
        charts=holders,
        script=script,
        bokeh=Resources(mode="inline", components=["bokeh"]).render() if script else "",
        fared=[(mark, sum(m.fared == fared for m in report.machines)) for fared, mark in FARED.items()],
        quantiles=charts.QUANTILES.values(),
        picture=lamport_svg.draw(report.diagram) if report.diagram else "",
        marks=lamport_svg.marks_of(report.diagram) if report.diagram else [],
        ends={arrow.end for arrow in report.diagram.arrows} if report.diagram else set(),
        explained=[(check.name, check.explained) for check in report.checks if check.explained],
        events=[charts.event_mark(what) for what in dict.fromkeys(event.what for event in report.timeline)],
        trial_columns=TrialRow.__struct_fields__,
        processes=sorted(report.processes, key=lambda process: (-process.cpu_pct, process.name)),
    )


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def _milliseconds(value: float) -> str:
    """A number with as many digits as are meaningful: 0.12, 3.4, 1,204."""
    return _number(value, 2 if value < 1 else 1 if value < 100 else 0)


def _counted(things: Sequence[Any] | int, one: str, many: str | None = None) -> str:
    count = things if isinstance(things, int) else len(things)
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _headline(traceback: str) -> str:
    """The machine and the exception: the first and the last line of a traceback, without Python's own heading."""
    lines = [line.strip() for line in traceback.strip().splitlines()] or ["an exception without a traceback"]
    first = lines[0].removesuffix("Traceback (most recent call last):").rstrip(" :")
    return " — ".join(dict.fromkeys(part for part in (first, lines[-1]) if part))
