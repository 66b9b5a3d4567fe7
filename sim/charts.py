"""The pictures of a report: which there are, what is in them, and the marks that their legends share with them.

Only drawing lives here. Each chart is a pure function of the `Report` and is left out where it has nothing to show.
Colour never speaks alone: a mark has a shape of its own, a lane or a row has its name beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

    from sim.verdict import MachineRow, Report

__all__ = ["FARED", "QUANTILES", "Mark", "draw", "event_mark", "tidy"]

INK, QUIET, RULE, ACCENT = "#1f2933", "#616e7c", "#e4e7eb", "#3e6c9e"
GOOD, BAD, UNSURE = "#23766b", "#b42318", "#8a6100"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
CHAR_PX = 6.8  # of a label at 12 px, rather too wide than too narrow
NARROW_PX = 600  # the plot on a page 700 px wide: labels that fit there fit anywhere
TOP_KEYS = 8


@dataclass(frozen=True)
class Mark:
    """One kind of dot: bokeh's name for its shape, the same shape as an SVG path 12 by 12, its colour, and its words."""

    shape: str
    colour: str
    words: str

    @property
    def path(self) -> str:
        return PATHS[self.shape]

    @property
    def size(self) -> int:
        """Of bokeh's shapes some are half the others at the same size."""
        return {"diamond": 16, "star": 16, "plus": 14, "triangle": 13, "inverted_triangle": 13}.get(self.shape, 12)

    @property
    def angle(self) -> float:
        return pi / 2 if self.shape == "dash" else 0.0


PATHS = {
    "circle": "M6 1a5 5 0 1 0 .01 0z",
    "square": "M1.5 1.5h9v9h-9z",
    "diamond": "M6 .5 10.5 6 6 11.5 1.5 6z",
    "triangle": "M6 1 11.5 10.5H.5z",
    "inverted_triangle": "M6 11 11.5 1.5H.5z",
    "star": "M6 .3 7.6 4.3 11.8 4.5 8.6 7.2 9.6 11.4 6 9.1 2.4 11.4 3.4 7.2 .2 4.5 4.4 4.3z",
    "hex": "M6 .5 10.8 3.2V8.8L6 11.5 1.2 8.8V3.2z",
    "plus": "M4.2 .8h3.6v3.4h3.4v3.6H7.8v3.4H4.2V7.8H.8V4.2h3.4z",
    "dash": "M5 .5h2v11H5z",
}
FARED = {
    "well": Mark("circle", GOOD, "well"),
    "badly": Mark("square", BAD, "badly"),
    "unknown": Mark("diamond", UNSURE, "not known"),
}
QUANTILES = {
    "p50_ms": Mark("circle", ACCENT, "half are quicker (p50)"),
    "p90_ms": Mark("diamond", ACCENT, "90 % are quicker (p90)"),
    "p99_ms": Mark("triangle", ACCENT, "99 % are quicker (p99)"),
    "max_ms": Mark("dash", INK, "the slowest"),
}
EVENTS = {
    "start": ("circle", "#9aa5b1"),
    "ready": ("circle", ACCENT),
    "handshake": ("plus", ACCENT),
    "START": ("triangle", GOOD),
    "STOP": ("inverted_triangle", QUIET),
    "graduation": ("star", "#7a4ea3"),
    "storm": ("hex", "#7a4ea3"),
    "kill": ("square", BAD),
    "exception": ("star", BAD),
    "restart": ("diamond", UNSURE),
}


def event_mark(what: str) -> Mark:
    """The mark of an event; of one that this page does not know, a grey diamond."""
    shape, colour = EVENTS.get(what, ("diamond", "#9aa5b1"))
    return Mark(shape, colour, what)


def draw(report: Report) -> tuple[str, dict[str, str]]:
    """The script that draws, and the HTML that holds each chart, by name: topology, latency, rates, timeline."""
    from bokeh.embed import components

    charts = {
        "topology": _topology(report) if report.machines else None,
        "latency": _latency(report) if report.latencies else None,
        "rates": _rates(report) if report.rates else None,
        "timeline": _timeline(report) if report.timeline else None,
    }
    drawn = {name: chart for name, chart in charts.items() if chart is not None}
    if not drawn:
        return "", {}
    script, holders = components(drawn, wrap_script=False)
    return script, holders


# The topology


def tidy(tree: nx.DiGraph[str]) -> dict[str, float]:
    """An x for each machine: leaves side by side, cousins a little apart, a parent in the middle of its children."""
    import networkx as nx

    places: dict[str, float] = {}
    at, before = 0.0, None
    for root in [id for id, degree in tree.in_degree if degree == 0]:
        for id in nx.dfs_postorder_nodes(tree, root):
            if children := list(tree.successors(id)):
                places[id] = (places[children[0]] + places[children[-1]]) / 2
                continue
            parent = next(iter(tree.predecessors(id)), None)
            at += 0.0 if not places else 1.0 if parent == before else 1.35
            places[id], before = at, parent
    return places


def _topology(report: Report) -> Any:
    """Rows are laid out in pixels, so that a row is as high as its labels; columns stretch with the page."""
    import networkx as nx
    from bokeh.models import Range1d

    machines = {machine.id: machine for machine in report.machines}
    tree: nx.DiGraph[str] = nx.DiGraph()
    tree.add_nodes_from(machines)
    tree.add_edges_from((m.parent, m.id) for m in report.machines if m.parent in machines)
    xs = tidy(tree)
    left, right = min(xs.values()), max(xs.values())
    span = max(6.0, right - left + 1.6)
    turned = _crowded(report.machines, xs, NARROW_PX / span)
    ys, heights = _rows(report.machines, turned)
    middle = (left + right) / 2
    p = _figure(
        height=int(sum(heights) + 30),
        min_width=int(span * 17) if turned else 0,
        x_range=Range1d(middle - span / 2, middle + span / 2),
        y_range=Range1d(-sum(heights), 30),
    )
    p.axis.visible = p.grid.visible = False
    p.outline_line_color = None
    below = {m.id: ys[m.id] - (14 + _label_px(m, turned) if m.depth else 0) for m in report.machines}
    lines = [_elbow((xs[above], below[above]), (xs[id], ys[id])) for above, id in tree.edges]
    p.multi_line([x for x, _ in lines], [y for _, y in lines], color="#b8c1cc", line_width=1.5)
    _machine_marks(p, report.machines, xs, ys)
    _machine_labels(p, report.machines, xs, ys, turned)
    return p


def _crowded(machines: list[MachineRow], xs: dict[str, float], px: float) -> set[int]:
    """The depths at which two labels written level would touch, where a column is `px` wide."""
    rows: dict[int, list[str]] = {}
    for machine in sorted(machines, key=lambda machine: xs[machine.id]):
        rows.setdefault(machine.depth, []).append(machine.id)
    return {
        depth
        for depth, row in rows.items()
        for a, b in pairwise(row)
        if (xs[b] - xs[a]) * px < (len(_label(a)) + len(_label(b))) / 2 * CHAR_PX + 10
    }


def _rows(machines: list[MachineRow], turned: set[int]) -> tuple[dict[str, float], list[float]]:
    """Each machine's y, and the height of each row: its marks, its longest label, and the lines down."""
    heights = [0.0] * (1 + max(machine.depth for machine in machines))
    for machine in machines:
        heights[machine.depth] = max(heights[machine.depth], _label_px(machine, turned) + 56)
    heights[-1] -= 26
    return {m.id: -sum(heights[: m.depth]) for m in machines}, heights


def _label_px(machine: MachineRow, turned: set[int]) -> float:
    """How far down a label reaches."""
    return len(_label(machine.id)) * CHAR_PX if machine.depth in turned else 16


def _elbow(start: tuple[float, float], end: tuple[float, float]) -> tuple[list[float], list[float]]:
    bar = end[1] + 22
    return [start[0], start[0], end[0], end[0]], [start[1], bar, bar, end[1]]


def _machine_marks(p: Any, machines: list[MachineRow], xs: dict[str, float], ys: dict[str, float]) -> None:
    for fared, mark in FARED.items():
        rows = [machine for machine in machines if machine.fared == fared]
        data = {
            "x": [xs[m.id] for m in rows],
            "y": [ys[m.id] for m in rows],
            "id": [_plain(m.id) for m in rows],
            "kind": [_plain(m.kind or ("terminal" if m.parent is None else "no kind")) for m in rows],
            "fared": [mark.words for _ in rows],
            "why": [_plain(m.why or "–") for m in rows],
            "sent": [m.sent for m in rows],
            "handled": [m.handled for m in rows],
        }
        dots = p.scatter(
            "x", "y", source=data, marker=mark.shape, size=mark.size + 3, color=mark.colour, line_color="white", line_width=1.5
        )
        tips = [("machine", "@id"), ("kind", "@kind"), ("fared", "@fared"), ("why", "@why")]
        _hover(p, dots, [*tips, ("sent", "@sent{0,0}"), ("handled", "@handled{0,0}")])


def _machine_labels(
    p: Any, machines: list[MachineRow], xs: dict[str, float], ys: dict[str, float], turned: set[int]
) -> None:
    """Beside the terminal, which has its row to itself; below the others, turned where they would touch."""
    from bokeh.core.properties import value

    style = {"text_font": value(FONT), "text_font_size": "12px", "text_color": INK, "text_baseline": "middle"}
    for machine in machines:
        if not machine.depth:
            way = {"x_offset": 14}
        elif machine.depth in turned:
            way = {"y_offset": 12, "angle": -pi / 2}
        else:
            way = {"y_offset": 18, "text_align": "center"}
        p.text([xs[machine.id]], [ys[machine.id]], [_label(machine.id)], **way, **style)


# The other charts


def _latency(report: Report) -> Any:
    """A row a number of hops, on a logarithmic scale, because a storm's slowest is far from its median."""
    from bokeh.models import NumeralTickFormatter, Range1d

    rows = sorted(report.latencies, key=lambda row: -row.hops)
    lowest = max(0.001, min(row.p50_ms for row in rows))
    highest = max(lowest, *(row.max_ms for row in rows))
    p = _figure(
        height=70 + 36 * len(rows),
        x_axis_type="log",
        x_range=Range1d(lowest / 1.6, highest * 1.6),
        y_range=Range1d(-0.6, len(rows) - 0.4),
    )
    ys = list(range(len(rows)))
    p.segment([max(lowest, row.p50_ms) for row in rows], ys, [max(lowest, row.max_ms) for row in rows], ys, color="#b8c1cc", line_width=2)
    for name, mark in QUANTILES.items():
        values = [getattr(row, name) for row in rows]
        data = {
            "x": [max(lowest, value) for value in values],
            "y": ys,
            "ms": values,
            "hops": [_hops(row.hops) for row in rows],
            "count": [row.count for row in rows],
            "fill": ["white" if row.flagged else mark.colour for row in rows],
        }
        dots = p.scatter(
            "x", "y", source=data, marker=mark.shape, size=mark.size, angle=mark.angle, fill_color="fill", line_color=mark.colour, line_width=2
        )
        _hover(p, dots, [("", "@hops"), (mark.words, "@ms{0,0.[00]} ms"), ("messages", "@count{0,0}")])
    _name_rows(p, [_hops(row.hops) + (" (overloaded)" if row.flagged else "") for row in rows])
    p.xaxis.axis_label = "milliseconds from made to handled"
    p.xaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    return p


def _hops(hops: int) -> str:
    return f"{hops} hop" if hops == 1 else f"{hops} hops"


def _rates(report: Report) -> Any:
    """A lane a key, each with its own scale: beside camera frames, a START would not be seen on a common one."""
    from bokeh.models import Range1d

    rates = {rate.second: rate.by_key for rate in report.rates}
    seconds = range(min(rates), max(rates) + 1)
    totals = Counter[str]()
    for by_key in rates.values():
        totals.update(by_key)
    top = [key for key, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:TOP_KEYS]]
    lanes = {"all together": [sum(rates.get(second, {}).values()) for second in seconds]}
    lanes |= {_plain(key): [rates.get(second, {}).get(key, 0) for second in seconds] for key in top}
    if len(totals) > TOP_KEYS:
        named = [sum(column) for column in zip(*[lanes[_plain(key)] for key in top], strict=True)]
        lanes["other"] = [all_ - known for all_, known in zip(lanes["all together"], named, strict=True)]
    p = _figure(
        height=60 + 46 * len(lanes),
        x_range=Range1d(seconds[0], seconds[-1] + 1),
        y_range=Range1d(-0.05, len(lanes)),
    )
    for lane, (key, counts) in enumerate(reversed(lanes.items())):
        peak = max(1, *counts)
        data = {
            "x": [second + 0.5 for second in seconds],
            "top": [lane + 0.78 * count / peak for count in counts],
            "count": counts,
            "key": [key for _ in counts],
            "second": list(seconds),
        }
        colour = INK if key == "all together" else ACCENT
        width = 0.86 if len(counts) < 150 else 1
        bars = p.vbar("x", width, "top", lane, source=data, color=colour, alpha=0.75, line_color=None)
        _hover(p, bars, [("", "@key"), ("second", "@second"), ("messages", "@count{0,0}")])
    _name_rows(p, [f"{_label(key)}\npeak {max(counts):,}/s" for key, counts in reversed(lanes.items())], at=0.4)
    p.ygrid.grid_line_color = None
    p.xaxis.axis_label = "seconds since the run began"
    return p


def _timeline(report: Report) -> Any:
    """A row a machine, in the order of the tree, and a row for whatever else is named."""
    from bokeh.models import Range1d

    names = dict.fromkeys([m.id for m in report.machines] + [event.machine for event in report.timeline])
    rows = {id: row for row, id in enumerate(reversed(names))}
    end = max(report.took_s, *(event.at_s for event in report.timeline))
    p = _figure(
        height=70 + 22 * len(rows),
        x_range=Range1d(-0.015 * end, end * 1.015),
        y_range=Range1d(-0.6, len(rows) - 0.4),
    )
    for what in dict.fromkeys(event.what for event in report.timeline):
        mark, events = event_mark(what), [event for event in report.timeline if event.what == what]
        data = {
            "x": [event.at_s for event in events],
            "y": [rows[event.machine] for event in events],
            "machine": [_plain(event.machine or "the run") for event in events],
            "what": [_plain(what) for _ in events],
            "note": [_plain(event.note or "–") for event in events],
        }
        dots = p.scatter(
            "x", "y", source=data, marker=mark.shape, size=mark.size, color=mark.colour, alpha=0.9, line_color="white"
        )
        _hover(p, dots, [("machine", "@machine"), ("what", "@what"), ("at", "@x{0,0.00} s"), ("note", "@note")])
    _name_rows(p, [_label(id or "the run") for id in rows])
    p.xaxis.axis_label = "seconds since the run began"
    return p


# What they share


def _figure(*, height: int, **more: Any) -> Any:
    from bokeh.plotting import figure

    p = figure(height=height, sizing_mode="stretch_width", toolbar_location=None, tools="", **more)
    p.background_fill_color = p.border_fill_color = None
    p.outline_line_color = None
    p.axis.axis_line_color = p.axis.minor_tick_line_color = None
    p.axis.major_tick_line_color = RULE
    p.axis.major_label_text_font = p.axis.axis_label_text_font = FONT
    p.axis.major_label_text_font_size = p.axis.axis_label_text_font_size = "12px"
    p.axis.axis_label_text_font_style = "normal"
    p.axis.major_label_text_color = INK
    p.axis.axis_label_text_color = QUIET
    p.grid.grid_line_color = RULE
    return p


def _name_rows(p: Any, names: list[str], *, at: float = 0) -> None:
    """Row 0, the lowest, has the first name."""
    from bokeh.models import FixedTicker

    p.yaxis.ticker = FixedTicker(ticks=[row + at for row in range(len(names))])
    p.yaxis.major_label_overrides = {row + at: name for row, name in enumerate(names)}
    p.yaxis.major_tick_line_color = None


def _hover(p: Any, renderer: Any, tips: list[tuple[str, str]]) -> None:
    from bokeh.models import HoverTool

    p.add_tools(HoverTool(renderers=[renderer], tooltips=tips, point_policy="follow_mouse"))


def _label(id: str) -> str:
    return _plain(id if len(id) <= 22 else f"{id[:12]}…{id[-9:]}")


def _plain(text: str) -> str:
    """Text that bokeh takes for text: what it takes for TeX, it would fetch a typesetter from the web for."""
    return text.replace("$$", "$\u200b$").replace("\\[", "\\\u200b[").replace("\\(", "\\\u200b(")
