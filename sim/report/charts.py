"""The charts of a report: the tree, latencies, rates and the timeline. A chart with nothing to show is left out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sim.report.link_words import verb_words
from sim.report.style import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    LINE,
    QUIET,
    UNSURE,
    Mark,
    figure,
    hover,
    label,
    name_rows,
    plain,
    scatter,
)
from sim.report.tree_chart import draw_tree

if TYPE_CHECKING:
    from sim.verdict import Report

__all__ = ["QUANTILES", "draw", "event_mark"]

TOP_KEYS = 8
QUANTILES = {
    "p50_ms": Mark("circle", ACCENT, "half are faster (p50)"),
    "p90_ms": Mark("diamond", ACCENT, "90 % are faster (p90)"),
    "p99_ms": Mark("up", ACCENT, "99 % are faster (p99)"),
    "max_ms": Mark("bar", INK, "the slowest"),
}
EVENTS = {
    "start": ("circle", "#9aa5b1"),
    "ready": ("diamond", ACCENT),
    "handshake": ("plus", ACCENT),
    "START": ("up", GOOD),
    "STOP": ("down", QUIET),
    "graduation": ("star", "#7a4ea3"),
    "storm": ("hexagon", "#7a4ea3"),
    "kill": ("square", BAD),
    "exception": ("cross", BAD),
    "restart": ("pin", UNSURE),
    "pause": ("ring", QUIET),
    "resume": ("play", QUIET),
    "cut": ("crossed", BAD),
    "heal": ("quartered", GOOD),
    "hold": ("sliced", UNSURE),
    "release": ("wheel", GOOD),
    "reset": ("spur", BAD),
    "mute": ("back", BAD),
    "shape": ("nut", UNSURE),
    "drop": ("die", BAD),
    "duplicate": ("eye", UNSURE),
    "died": ("hill", BAD),
}


def event_mark(what: str) -> Mark:
    """The mark of an event. Events without a mark of their own share an upright bar."""
    shape, colour = EVENTS.get(what, ("bar", INK))
    return Mark(shape, colour, verb_words(what))


def draw(report: Report) -> tuple[str, dict[str, str]]:
    """The script that draws all charts, and the HTML element of each, by name: topology, latency, rates, timeline."""
    from bokeh.embed import components

    charts = {
        "topology": draw_tree(report.machines) if report.machines else None,
        "latency": _latency(report) if report.latencies else None,
        "rates": _rates(report) if report.rates else None,
        "timeline": _timeline(report) if report.timeline else None,
    }
    drawn = {name: chart for name, chart in charts.items() if chart is not None}
    if not drawn:
        return "", {}
    script, holders = components(drawn, wrap_script=False)
    return script, holders


def _latency(report: Report) -> Any:
    """A row for each number of hops. The scale is logarithmic, because the slowest message is far from the median."""
    from bokeh.models import NumeralTickFormatter

    rows = sorted(report.latencies, key=lambda row: -row.hops)
    ys = list(range(len(rows)))
    lowest = max(0.001, min(row.p50_ms for row in rows))  # 0 has no logarithm
    highest = max(lowest, *(row.max_ms for row in rows))
    p = figure(
        height=70 + 36 * len(rows),
        x_axis_type="log",
        x_range=(lowest / 1.6, highest * 1.6),
        y_range=(-0.6, len(rows) - 0.4),
    )
    places = {name: [max(lowest, getattr(row, name)) for row in rows] for name in QUANTILES}
    p.segment(places["p50_ms"], ys, places["max_ms"], ys, color=LINE, line_width=2)
    for name, mark in QUANTILES.items():
        data = {
            "x": places[name],
            "y": ys,
            "ms": [getattr(row, name) for row in rows],
            "hops": [_hops(row.hops) for row in rows],
            "count": [row.count for row in rows],
            "fill": ["white" if row.flagged else mark.colour for row in rows],
        }
        tips = [("", "@hops"), (mark.words, "@ms{0,0.[00]} ms"), ("messages", "@count{0,0}")]
        scatter(p, data, mark, tips, fill_color="fill", line_color=mark.colour, line_width=2)
    name_rows(p, [_hops(row.hops) + (" (overloaded)" if row.flagged else "") for row in rows])
    p.xaxis.axis_label = "milliseconds from made to handled"
    p.xaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    return p


def _hops(hops: int) -> str:
    return f"{hops} hop" if hops == 1 else f"{hops} hops"


def _rates(report: Report) -> Any:
    """A lane for each key, with its own scale. On a common scale, a START would be invisible beside camera frames."""
    first, lanes = _lanes(report)
    seconds = range(first, first + len(lanes[0][1]))
    p = figure(
        height=60 + 46 * len(lanes),
        x_range=(seconds[0], seconds[-1] + 1),
        y_range=(-0.05, len(lanes)),
    )
    for lane, (key, counts) in enumerate(lanes):
        peak = max(1, *counts)
        data = {
            "x": [second + 0.5 for second in seconds],
            "top": [lane + 0.78 * count / peak for count in counts],
            "count": counts,
            "key": [plain(key)] * len(counts),
            "second": list(seconds),
        }
        width = 0.86 if len(counts) < 150 else 1  # gaps between bars, if they are wide enough to be seen
        colour = INK if lane == len(lanes) - 1 else ACCENT
        bars = p.vbar("x", width, "top", lane, source=data, color=colour, alpha=0.75, line_color=None)
        hover(p, bars, [("", "@key"), ("second", "@second"), ("messages", "@count{0,0}")])
    name_rows(p, [f"{label(key)}\npeak {max(counts):,}/s" for key, counts in lanes], at=0.4)
    p.ygrid.grid_line_color = None
    p.xaxis.axis_label = "seconds since the run began"
    return p


def _lanes(report: Report) -> tuple[int, list[tuple[str, list[int]]]]:
    """The first second, and the lanes from the lowest up: a name, and a count for every second."""
    rates = {rate.second: rate.by_key for rate in report.rates}
    seconds = [rates.get(second, {}) for second in range(min(rates), max(rates) + 1)]
    totals = Counter[str]()
    for by_key in seconds:
        totals.update(by_key)
    ranked = sorted(totals, key=lambda key: (-totals[key], key))
    top, rest = ranked[:TOP_KEYS], ranked[TOP_KEYS:]
    lanes = [("all together", [sum(by_key.values()) for by_key in seconds])]
    lanes += [(key, [by_key.get(key, 0) for by_key in seconds]) for key in top]
    if rest:
        lanes.append(("other", [sum(by_key.get(key, 0) for key in rest) for by_key in seconds]))
    return min(rates), lanes[::-1]


def _timeline(report: Report) -> Any:
    """A row for each machine, in the order of the tree, and a row for everything else that events name."""
    names = dict.fromkeys([m.id for m in report.machines] + [event.machine for event in report.timeline])
    rows = {id: row for row, id in enumerate(reversed(names))}
    end = max(1.0, report.took_s, *(event.at_s for event in report.timeline))
    p = figure(
        height=70 + 22 * len(rows),
        x_range=(-0.015 * end, end * 1.015),
        y_range=(-0.6, len(rows) - 0.4),
    )
    for what in dict.fromkeys(event.what for event in report.timeline):
        mark, events = event_mark(what), [event for event in report.timeline if event.what == what]
        data = {
            "x": [event.at_s for event in events],
            "y": [rows[event.machine] for event in events],
            "machine": [plain(event.machine or "the run") for event in events],
            "what": [plain(mark.words) for _ in events],
            "note": [plain(event.note or "none") for event in events],
        }
        tips = [("machine", "@machine"), ("what", "@what"), ("at", "@x{0,0.00} s"), ("note", "@note")]
        scatter(p, data, mark, tips, alpha=0.9)
    name_rows(p, [label(id or "the run") for id in rows])
    p.xaxis.axis_label = "seconds since the run began"
    return p
