"""The page of a bench: one file that opens without a network, with a chart of the ratios and a table of all figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.bench.results import BenchReport, BenchRow
from sim.bench.table import TITLES, rows_of_cells
from sim.bench.works import BUNDLED, OURS, WORKS
from sim.report.style import ACCENT, GOOD, INK, QUIET, Mark, figure, scatter

__all__ = ["write_page"]

TEMPLATE = Path(__file__).with_name("bench.html.j2")
MARKS = {OURS: Mark("circle", ACCENT, "ours"), BUNDLED: Mark("diamond", QUIET, "bare, many messages in a frame")}
ROW = 34  # pixels


def write_page(report: BenchReport, path: Path) -> None:
    """Write the page to `path`."""
    from bokeh.embed import components
    from bokeh.resources import Resources
    from jinja2 import Environment, StrictUndefined

    chart = _chart([row for row in report.rows if row.ratio is not None])
    script, div = components(chart) if chart is not None else ("", "")
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = jinja.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        titles=("side", *TITLES[1:]),
        lines=list(rows_of_cells(report)),
        chart=f"{div}{script}",
        resources=Resources(mode="inline", components=["bokeh"]).render() if chart is not None else "",
    )
    path.write_text(page, encoding="utf-8")


def _chart(rows: list[BenchRow]) -> Any:
    """A row for each work, on a logarithmic scale: 1 is bare pyzmq. None where nothing can be compared."""
    if not rows:
        return None
    names = list(dict.fromkeys(row.work for row in rows))
    p = figure(height=ROW * len(names) + 90, x_axis_type="log", y_range=names[::-1], x_axis_label="times bare pyzmq")
    p.segment([1, 1], [names[0]] * 2, [1, 1], [names[-1]] * 2, color=INK)
    for side, mark in MARKS.items():
        its = [(row, row.ratio) for row in rows if row.side == side and row.ratio is not None]
        if not its:
            continue
        works = [row.work for row, _ in its]
        p.segment([ratio.low for _, ratio in its], works, [ratio.high for _, ratio in its], works, color=mark.colour)
        data = {"x": [ratio.median for _, ratio in its], "y": works, "side": [side] * len(its)}
        scatter(p, data, mark, [("", "@y, @side: @x{0.00}")], legend_label=mark.words)
    goals = [(WORKS[name].goal, name) for name in names if WORKS[name].goal is not None]
    data = {"x": [goal for goal, _ in goals], "y": [name for _, name in goals]}
    scatter(p, data, Mark("star", GOOD, "goal"), [("", "@y: the goal is @x")], legend_label="goal")
    legend = p.legend[0]
    legend.orientation, legend.border_line_color = "horizontal", None
    p.add_layout(legend, "above")
    return p
