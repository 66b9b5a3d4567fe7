"""What the charts of a report share: colours, marks, the look of a figure, and labels that are plain text.

No meaning is in a colour alone. Each mark of a chart has its own shape, and the legends of the page draw it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

__all__ = [
    "ACCENT",
    "BAD",
    "FONT",
    "GOOD",
    "INK",
    "LINE",
    "QUIET",
    "UNSURE",
    "Mark",
    "figure",
    "hover",
    "label",
    "name_rows",
    "plain",
    "scatter",
]

INK, QUIET, LINE, RULE = "#1f2933", "#616e7c", "#b8c1cc", "#e4e7eb"
ACCENT, GOOD, BAD, UNSURE = "#3e6c9e", "#23766b", "#b42318", "#8a6100"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


@dataclass(frozen=True)
class Shape:
    """A shape for both renderers: bokeh's marker, at a size that looks like the others, and an SVG path of 12 by 12."""

    marker: str
    path: str
    size: int = 12
    angle: float = 0


SHAPES = {
    "circle": Shape("circle", "M6 1a5 5 0 1 0 .01 0z"),
    "square": Shape("square", "M1.5 1.5h9v9h-9z", size=11),
    "diamond": Shape("diamond", "M6 .5 10 6 6 11.5 2 6z", size=16),
    "up": Shape("triangle", "M6 1 11.5 10.5H.5z", size=13),
    "down": Shape("inverted_triangle", "M6 11 11.5 1.5H.5z", size=13),
    "star": Shape("star", "M6 .3 7.6 4.3 11.8 4.5 8.6 7.2 9.6 11.4 6 9.1 2.4 11.4 3.4 7.2 .2 4.5 4.4 4.3z", size=16),
    "hexagon": Shape("hex", "M6 .5 10.8 3.2V8.8L6 11.5 1.2 8.8V3.2z"),
    "plus": Shape("plus", "M4.2 .8h3.6v3.4h3.4v3.6H7.8v3.4H4.2V7.8H.8V4.2h3.4z", size=14),
    "cross": Shape(
        "plus", "M1 3.3 3.3 1 6 3.7 8.7 1 11 3.3 8.3 6 11 8.7 8.7 11 6 8.3 3.3 11 1 8.7 3.7 6z", size=15, angle=pi / 4
    ),
    "pin": Shape("square_pin", "M.8 .8Q6 4 11.2 .8Q8 6 11.2 11.2Q6 8 .8 11.2Q4 6 .8 .8z", size=13),
    "ring": Shape("circle_dot", "M6 1a5 5 0 1 0 .01 0zM6 3.6a2.4 2.4 0 1 1-.01 0z"),
    "play": Shape("triangle", "M1.5 .5 11 6 1.5 11.5z", size=13, angle=-pi / 2),
    "crossed": Shape(
        "square_x", "M2.2 1.5h7.6L6 5.3zM2.2 10.5h7.6L6 6.7zM1.5 2.2v7.6L5.3 6zM10.5 2.2v7.6L6.7 6z", size=12
    ),
    "quartered": Shape(
        "square_cross", "M1.5 1.5h4v4h-4zM6.5 1.5h4v4h-4zM1.5 6.5h4v4h-4zM6.5 6.5h4v4h-4z", size=12
    ),
    "sliced": Shape(
        "diamond_cross", "M5.6 1V5.6H2zM6.4 1V5.6H10zM5.6 11V6.4H2zM6.4 11V6.4H10z", size=17
    ),
    "wheel": Shape(
        "circle_cross",
        "M5.5 1.1V5.5H1.1A5 5 0 0 1 5.5 1.1zM6.5 1.1A5 5 0 0 1 10.9 5.5H6.5z"
        "M5.5 10.9A5 5 0 0 1 1.1 6.5H5.5zM6.5 10.9V6.5H10.9A5 5 0 0 1 6.5 10.9z",
    ),
    "spur": Shape("triangle_pin", "M6 .5Q7 6.5 11.5 10.5Q6 8 .5 10.5Q5 6.5 6 .5z", size=15),
    "back": Shape("triangle", "M10.5 .5 1 6 10.5 11.5z", size=13, angle=pi / 2),
    "nut": Shape("hex_dot", "M6 .5 10.8 3.2V8.8L6 11.5 1.2 8.8V3.2zM6 4a2 2 0 1 0 .01 0z"),
    "die": Shape("square_dot", "M1.5 1.5h9v9h-9zM6 3.8a2.2 2.2 0 1 0 .01 0z", size=11),
    "eye": Shape("diamond_dot", "M6 .5 10 6 6 11.5 2 6zM6 4.2a1.8 1.8 0 1 0 .01 0z", size=16),
    "hill": Shape("triangle_dot", "M6 1 11.5 10.5H.5zM6 5.6a1.8 1.8 0 1 0 .01 0z", size=13),
    "bar": Shape("dash", "M5 .5h2v11H5z", size=14, angle=pi / 2),
}


@dataclass(frozen=True)
class Mark:
    """One kind of dot, and what it means in words. `shape` is a key of SHAPES."""

    shape: str
    colour: str
    words: str

    @property
    def path(self) -> str:
        return SHAPES[self.shape].path


def figure(*, height: int, **more: Any) -> Any:
    """A figure as wide as the page. It has no toolbar, so that scrolling over it scrolls the page."""
    from bokeh.plotting import figure as new_figure

    p = new_figure(height=height, sizing_mode="stretch_width", toolbar_location=None, tools="", **more)
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


def scatter(
    p: Any, data: dict[str, Any], mark: Mark, tips: list[tuple[str, str]], *, larger: int = 0, **more: Any
) -> None:
    """Draw a mark at each `x`, `y` of the data. `tips` are the tooltip: pairs of a label and a bokeh template."""
    shape = SHAPES[mark.shape]
    look = {"fill_color": mark.colour, "line_color": "white", "size": shape.size + larger} | more
    dots = p.scatter("x", "y", source=data, marker=shape.marker, angle=shape.angle, **look)
    hover(p, dots, tips)


def name_rows(p: Any, names: list[str], *, at: float = 0) -> None:
    """Label the rows of the y axis. Row 0, the lowest, gets the first name."""
    from bokeh.models import FixedTicker

    p.yaxis.ticker = FixedTicker(ticks=[row + at for row in range(len(names))])
    p.yaxis.major_label_overrides = {row + at: name for row, name in enumerate(names)}
    p.yaxis.major_tick_line_color = None


def hover(p: Any, renderer: Any, tips: list[tuple[str, str]]) -> None:
    from bokeh.models import HoverTool

    p.add_tools(HoverTool(renderers=[renderer], tooltips=tips, point_policy="follow_mouse"))


def label(id: str) -> str:
    return plain(id if len(id) <= 22 else f"{id[:12]}…{id[-9:]}")


def plain(text: str) -> str:
    """Text that bokeh does not take for TeX. For TeX it would fetch a typesetter from the web."""
    return text.replace("$$", "$\u200b$").replace("\\[", "\\\u200b[").replace("\\(", "\\\u200b(")
