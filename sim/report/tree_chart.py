"""The picture of the tree of machines, with the terminal on top: the places of machines and of their labels."""

from __future__ import annotations

from itertools import pairwise
from math import pi
from typing import TYPE_CHECKING, Any

from sim.report.style import BAD, FONT, GOOD, INK, LINE, UNSURE, Mark, figure, label, plain, scatter

if TYPE_CHECKING:
    import networkx as nx

    from sim.verdict import MachineRow

__all__ = ["FARED", "draw_tree", "tidy"]

CHAR_PX = 6.8  # width of a character of a 12 px label, slightly too wide to be safe
NARROW_PX = 600  # width of the plot on a page of 700 px: labels that fit there fit on wider pages
FARED = {
    "well": Mark("circle", GOOD, "well"),
    "badly": Mark("square", BAD, "badly"),
    "unknown": Mark("diamond", UNSURE, "not known"),
}


def tidy(tree: nx.DiGraph[str]) -> dict[str, float]:
    """The x of each machine: leaves side by side, cousins a little apart, a parent in the middle of its children."""
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


def draw_tree(machines: list[MachineRow]) -> Any:
    """Draw the tree. Rows are laid out in pixels, as high as their labels. Columns stretch with the page."""
    import networkx as nx

    ids = [machine.id for machine in machines]
    tree: nx.DiGraph[str] = nx.DiGraph()
    tree.add_nodes_from(ids)
    tree.add_edges_from((m.parent, m.id) for m in machines if m.parent in ids)
    xs = tidy(tree)
    left, right = min(xs.values()), max(xs.values())
    span = max(6.0, right - left + 1.6)
    turned = _crowded(machines, xs, span)
    ys, heights = _rows(machines, turned)
    middle = (left + right) / 2
    p = figure(
        height=int(sum(heights) + 30),
        min_width=int(span * 17) if turned else 0,
        x_range=(middle - span / 2, middle + span / 2),
        y_range=(-sum(heights), 30),
    )
    p.axis.visible = p.grid.visible = False
    p.outline_line_color = None
    below = {m.id: ys[m.id] - (14 + _label_px(m, turned) if m.depth else 0) for m in machines}
    lines = [_elbow((xs[above], below[above]), (xs[id], ys[id])) for above, id in tree.edges]
    p.multi_line([x for x, _ in lines], [y for _, y in lines], color=LINE, line_width=1.5)
    _machine_marks(p, machines, xs, ys)
    _machine_labels(p, machines, xs, ys, turned)
    return p


def _crowded(machines: list[MachineRow], xs: dict[str, float], span: float) -> set[int]:
    """The depths at which horizontal labels would touch one another, or the edge of a narrow plot."""
    px = NARROW_PX / span
    middle = (min(xs.values()) + max(xs.values())) / 2
    half = {id: len(label(id)) * CHAR_PX / 2 + 5 for id in xs}
    rows: dict[int, list[str]] = {}
    for machine in sorted(machines, key=lambda machine: xs[machine.id]):
        rows.setdefault(machine.depth, []).append(machine.id)
    touching = {
        depth for depth, row in rows.items() for a, b in pairwise(row) if (xs[b] - xs[a]) * px < half[a] + half[b]
    }
    outside = {m.depth for m in machines if abs(xs[m.id] - middle) * px + half[m.id] > NARROW_PX / 2}
    return touching | outside


def _rows(machines: list[MachineRow], turned: set[int]) -> tuple[dict[str, float], list[float]]:
    """The y of each machine, and the height of each row: its marks, its longest label, and the lines to the next row.
    """
    heights = [0.0] * (1 + max(machine.depth for machine in machines))
    for machine in machines:
        heights[machine.depth] = max(heights[machine.depth], _label_px(machine, turned) + 56)
    heights[-1] -= 26
    return {m.id: -sum(heights[: m.depth]) for m in machines}, heights


def _label_px(machine: MachineRow, turned: set[int]) -> float:
    """The height of a label in pixels."""
    return len(label(machine.id)) * CHAR_PX if machine.depth in turned else 16


def _elbow(start: tuple[float, float], end: tuple[float, float]) -> tuple[list[float], list[float]]:
    bar = end[1] + 22
    return [start[0], start[0], end[0], end[0]], [start[1], bar, bar, end[1]]


def _machine_marks(p: Any, machines: list[MachineRow], xs: dict[str, float], ys: dict[str, float]) -> None:
    for fared, mark in FARED.items():
        rows = [machine for machine in machines if machine.fared == fared]
        data = {
            "x": [xs[m.id] for m in rows],
            "y": [ys[m.id] for m in rows],
            "id": [plain(m.id) for m in rows],
            "kind": [plain(m.kind or ("terminal" if m.parent is None else "no kind")) for m in rows],
            "fared": [mark.words for _ in rows],
            "why": [plain(m.why or "nothing names it") for m in rows],
            "sent": [m.sent for m in rows],
            "handled": [m.handled for m in rows],
        }
        tips = [("machine", "@id"), ("kind", "@kind"), ("fared", "@fared"), ("why", "@why")]
        tips += [("sent", "@sent{0,0}"), ("handled", "@handled{0,0}")]
        scatter(p, data, mark, tips, larger=4, line_width=1.5)


def _machine_labels(
    p: Any, machines: list[MachineRow], xs: dict[str, float], ys: dict[str, float], turned: set[int]
) -> None:
    """Write the labels: beside the terminal, below the other machines, and vertically where they would touch."""
    from bokeh.core.properties import value

    style = {"text_font": value(FONT), "text_font_size": "12px", "text_color": INK, "text_baseline": "middle"}
    placements: list[tuple[list[MachineRow], dict[str, Any]]] = [
        ([m for m in machines if not m.depth], {"x_offset": 14}),
        ([m for m in machines if m.depth and m.depth in turned], {"y_offset": 12, "angle": -pi / 2}),
        ([m for m in machines if m.depth and m.depth not in turned], {"y_offset": 18, "text_align": "center"}),
    ]
    for some, placement in placements:
        p.text([xs[m.id] for m in some], [ys[m.id] for m in some], [label(m.id) for m in some], **placement, **style)
