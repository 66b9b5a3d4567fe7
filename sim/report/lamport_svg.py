"""Draws a `Diagram` as inline SVG: one picture, as wide as the page, without scripts and without anything to fetch.

Each element has a tooltip with all that is known of it. No meaning is in a colour alone: messages have numbers, marks
have shapes, confirmations are dashed, and a lost message ends in a cross.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from markupsafe import escape

from sim.diagram.model import Lifeline
from sim.report.style import ACCENT, BAD, FONT, GOOD, INK, LINE, QUIET, RULE, UNSURE, Mark

if TYPE_CHECKING:
    from sim.diagram.model import Arrow, Bar, Diagram, MachineLine, Spot

__all__ = ["draw", "marks_of"]

MARKS = {
    "handled": Mark("circle", GOOD, "handled"),
    "handled again": Mark("star", BAD, "handled again"),
    "redelivered": Mark("hexagon", UNSURE, "handled, redelivered"),
    "began": Mark("plus", QUIET, "a handler began"),
    "repeated": Mark("diamond", ACCENT, "sent again"),
    "confirmed": Mark("up", GOOD, "confirmed"),
    "expired": Mark("down", BAD, "given up"),
    "dropped": Mark("bar", BAD, "dropped"),
    "raised": Mark("cross", BAD, "raised"),
    "killed": Mark("square", BAD, "killed"),
    "restarted": Mark("pin", UNSURE, "restarted"),
    "paused": Mark("ring", QUIET, "paused"),
    "resumed": Mark("play", QUIET, "resumed"),
}
COLOURS = (ACCENT, "#7a4ea3", "#a3522a", GOOD, "#8a6100", "#5c6b1f", "#a13670", INK)
WIDTH, LEFT, RIGHT, TOP, FOOT = 900, 118, 14, 34, 40
LEAST_STEP, MOST_STEP = 8, 74  # px
APART = 27  # px from a machine's line to the line of its programs
MOST_LABELS = 16  # if there are more messages, they have numbers and no names
CHAR = 6.9  # width in px of a character of a bold 11 px label, slightly too wide to be safe


def marks_of(diagram: Diagram) -> list[Mark]:
    """The marks of the picture, in the order of a message's life."""
    there = {spot.what for spot in diagram.spots}
    return [mark for what, mark in MARKS.items() if what in there]


def draw(diagram: Diagram) -> str:
    """The picture, as an `<svg>` element. All text of the journal in it is escaped."""
    return _Drawing(diagram).svg()


class _Drawing:
    def __init__(self, diagram: Diagram) -> None:
        self._diagram = diagram
        fits = (WIDTH - LEFT - RIGHT) / diagram.width
        self._step = max(LEAST_STEP, min(MOST_STEP, fits))
        self._right = LEFT + self._step * diagram.width
        self._width = max(WIDTH, self._right + RIGHT)
        self._ys = _rows(diagram.lines)
        lowest = max(self._ys.values(), default=TOP)
        self._bottom = lowest + (38 if diagram.lines and diagram.lines[-1].programs else 26)  # labels stand there
        self._taken: list[tuple[float, float, float, float]] = []  # by marks and labels: left, top, right, bottom

    def svg(self) -> str:
        """The whole picture. What comes last is in front."""
        height = self._bottom + FOOT
        parts = [  # in this order, elements also take their places
            *self._cuts(),
            *(self._line(line) for line in self._diagram.lines),
            *(self._bar(bar) for bar in self._diagram.bars),
            *(self._arrow(arrow) for arrow in self._diagram.arrows),
            *(self._spot(spot) for spot in self._spread()),
            *self._labels(),
        ]
        size = f'viewBox="0 0 {self._width:.0f} {height:.0f}" style="min-width:{min(self._width, 2400) * 0.8:.0f}px"'
        return (
            f'<svg class="lamport" role="img" aria-labelledby="lamport-title lamport-desc" {size} '
            f'font-family="{escape(FONT)}" font-size="11">'
            '<title id="lamport-title">What went wrong, as a Lamport diagram</title>'
            f'<desc id="lamport-desc">{escape(self._words())}</desc>{"".join(parts)}</svg>'
        )

    # -- places --------------------------------------------------------------------------------------------------

    def _x(self, x: float) -> float:
        return LEFT + self._step * x

    def _y(self, node: Lifeline) -> float:
        y = self._ys.get((node.machine, node.program))
        return self._ys[node.machine, False] if y is None else y

    def _take(self, box: tuple[float, float, float, float]) -> bool:
        """Take a place if it is free; whether it was."""
        left, top, right, bottom = box
        is_free = not any(x0 < right and left < x1 and y0 < bottom and top < y1 for x0, y0, x1, y1 in self._taken)
        if is_free:
            self._taken.append(box)
        return is_free

    # -- parts ---------------------------------------------------------------------------------------------------

    def _line(self, line: MachineLine) -> str:
        y = self._ys[line.machine, False]
        down = [bar for bar in self._diagram.bars if bar.on == Lifeline(line.machine) and not bar.link]
        parts = [
            f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end" font-size="12" font-weight="600" fill="{INK}">'
            f"<title>{escape(line.machine)}</title>{escape(_short(line.machine, 15))}</text>"
        ]
        for x0, x1 in _between([(bar.x0, bar.x1) for bar in down], self._diagram.width):
            parts.append(_stroke(self._x(x0), y, self._x(x1), y, INK, 1.6))
        if line.programs:
            y = self._ys[line.machine, True]
            parts.append(_stroke(LEFT, y, self._right, y, LINE, 1))
            parts.append(
                f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end" fill="{QUIET}">its programs</text>'
            )
        return "".join(parts)

    def _cuts(self) -> Iterable[str]:
        """Where time was cut out: the length of each cut, if it fits, and the time at the beginning and after each cut.
        """
        yield self._time(1, self._diagram.begins_s)
        for cut in self._diagram.cuts:
            x, wide = self._x(cut.x0 + 0.5), self._step * (cut.x1 - cut.x0 - 1)
            text, middle = _seconds(cut.seconds), x + wide / 2
            half = len(text) * CHAR / 2
            fits = self._take((middle - half, TOP - 32, middle + half, TOP - 20))
            label = f'<text x="{middle:.1f}" y="{TOP - 22}" text-anchor="middle" fill="{QUIET}">{text}</text>'
            yield (
                f"<g><title>{text} in which nothing of this happened</title>"
                f'<rect x="{x:.1f}" y="{TOP - 18}" width="{wide:.1f}" height="{self._bottom - TOP + 18:.1f}" '
                f'fill="{RULE}" opacity=".75"/>{label if fits else ""}</g>{self._time(cut.x1, cut.at_s)}'
            )

    def _time(self, x: float, at_s: float) -> str:
        text, at, y = f"{at_s:,.3f} s", self._x(x), self._bottom
        left = min(at, self._width - len(text) * CHAR)
        if not self._take((left, y + 8, left + len(text) * CHAR + 6, y + 20)):
            return ""
        tick = _stroke(at, y - 4, at, y + 4, QUIET, 1)
        return f'{tick}<text x="{left:.1f}" y="{y + 18:.1f}" fill="{QUIET}">{text}</text>'

    def _bar(self, bar: Bar) -> str:
        x0, x1, y = self._x(bar.x0), self._x(bar.x1), self._y(bar.on)
        title = f"<title>{escape(bar.note)}</title>"
        if not bar.link:
            return f"<g>{title}{_stroke(x0, y, x1, y, LINE, 5)}{_stroke(x0, y, x1, y, BAD, 1.2, dash='2 5')}</g>"
        parent = next((line.parent for line in self._diagram.lines if line.machine == bar.on.machine), None)
        above = self._ys.get((parent or "", False), y - 40)
        top = y - min(22.0, (y - above) / 2)
        text = f"link {bar.what}"
        right = max(x1, x0 + len(text) * CHAR + 8)
        while not self._take((x0, top - 7, right, top + 7)) and top > above + 24:
            top -= 16  # beside the other faults of the link
        return (
            f'<g>{title}<rect x="{x0:.1f}" y="{top - 6:.1f}" width="{max(4.0, x1 - x0):.1f}" height="12" rx="2" '
            f'fill="{UNSURE}" opacity=".18"/>{_stroke(x0, top - 8, x0, top + 8, UNSURE, 1.6)}'
            f'{_stroke(x1, top - 8, x1, top + 8, UNSURE, 1.6)}'
            f"{_text(x0 + 5, top + 4, text, UNSURE)}</g>"
        )

    def _arrow(self, arrow: Arrow) -> str:
        x0, y0, x1, y1 = self._x(arrow.x0), self._y(arrow.frm), self._x(arrow.x1), self._y(arrow.to)
        colour = _colour(arrow.message)
        if arrow.end == "lost":
            x1, y1 = x0 + (x1 - x0) * 0.7, y0 + (y1 - y0) * 0.7
        length = max(1.0, ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        short = 3 if arrow.end == "arrived" else 4  # so that a line or a mark does not cover the arrowhead
        tip = x1 - ux * short, y1 - uy * short
        body = _stroke(x0, y0, *tip, colour, 1 if arrow.confirm else 1.8, dash="4 3" if arrow.confirm else "")
        wide = _stroke(x0, y0, x1, y1, "transparent", 9)  # easy to point at
        return f"<g><title>{escape(arrow.note)}</title>{wide}{body}{_end(arrow.end, tip, (ux, uy), colour)}</g>"

    def _spread(self) -> Iterable[tuple[Spot, float]]:
        """Marks with their x in px. Marks that would cover one another are pushed apart."""
        last: dict[Lifeline, float] = {}
        for spot in self._diagram.spots:
            x = max(self._x(spot.x), last.get(spot.on, 0.0) + 11)
            last[spot.on] = x
            yield spot, x

    def _spot(self, placed: tuple[Spot, float]) -> str:
        spot, x = placed
        mark, y = MARKS.get(spot.what, MARKS["began"]), self._y(spot.on)
        self._taken.append((x - 6, y - 6, x + 6, y + 6))
        number = ""
        if spot.message and spot.what != "repeated" and len(self._diagram.messages) > 1:
            is_below = spot.on.program and spot.on.machine != self._diagram.lines[0].machine
            side = 20 if is_below else -3  # the side with fewer arrows
            self._taken.append((x - 4, y + side - 14, x + 4, y + side - 4))
            number = (
                f'<text x="6" y="{side}" text-anchor="middle" font-size="9.5" fill="{_colour(spot.message)}" '
                f'stroke="#fff" stroke-width="2.5" paint-order="stroke">{spot.message}</text>'
            )
        tooltip = f"{spot.what} at {spot.at_s:,.6f} s" + (f": {spot.note}" if spot.note else "")
        return (
            f'<g transform="translate({x - 6:.1f} {y - 6:.1f})"><title>{escape(tooltip)}</title>'
            f'<path d="{mark.path}" fill="{mark.colour}" stroke="#fff" stroke-width="1.4" paint-order="stroke"/>'
            f"{number}</g>"
        )

    def _labels(self) -> Iterable[str]:
        """Labels at the start of arrows: number and name of each message, and the number of each repeat."""
        parts = []
        begun: set[tuple[int, int]] = set()
        for arrow in self._diagram.arrows:
            if arrow.confirm or (arrow.message, arrow.again) in begun:
                continue
            begun.add((arrow.message, arrow.again))
            message = self._diagram.messages[arrow.message - 1]
            name = f"{message.key} {_short(message.id, 20)}" if len(self._diagram.messages) <= MOST_LABELS else ""
            parts.append(self._label(arrow, f"{arrow.message} again" if arrow.again else f"{arrow.message} {name}"))
        return parts

    def _label(self, arrow: Arrow, text: str) -> str:
        colour = _colour(arrow.message)
        wide, x, y = len(text) * CHAR, self._x(arrow.x0), self._y(arrow.frm)
        away = 1 if self._y(arrow.to) < y else -1  # to the side that the arrow does not point to
        for dy in (15, 28, -15, -28, 41, -41, 54):
            for dx in (-4.0, 8 - wide, -wide / 2):
                middle = y + away * dy
                left = min(max(x + dx, LEFT - 8), self._width - wide - 2)
                if middle > TOP - 14 and self._take((left, middle - 6, left + wide, middle + 6)):
                    return _text(left, middle + 4, text, colour)
        return ""  # no room: the tooltip of the arrow has it

    def _words(self) -> str:
        count = len(self._diagram.arrows)
        messages = "; ".join(
            f"{n}: {one.key} {one.id} from {one.frm} to {one.to}, {one.outcome}"
            for n, one in enumerate(self._diagram.messages, 1)
        )
        machines = ", ".join(line.machine for line in self._diagram.lines)
        return f"Time runs from left to right. A line each for {machines}; {count} arrows. {messages}."


def _rows(lines: list[MachineLine]) -> dict[tuple[str, bool], float]:
    """The y of each machine and of its programs. Those of the terminal are above it, the others below: fewer arrows
    cross.
    """
    rows = len(lines) + sum(line.programs for line in lines) / 2
    gap = max(46.0, min(110.0, 470 / max(1.0, rows)))
    ys: dict[tuple[str, bool], float] = {}
    y = TOP + 26.0
    for n, line in enumerate(lines):
        if line.programs and n == 0:
            ys[line.machine, True] = y
            y += max(APART, gap / 2)
        ys[line.machine, False] = y
        if line.programs and n:
            y += max(APART, gap / 2)
            ys[line.machine, True] = y
        y += gap
    return ys


def _between(gaps: list[tuple[float, float]], width: float) -> Iterable[tuple[float, float]]:
    """The parts of 0 to `width` outside of `gaps`."""
    at = 0.0
    for x0, x1 in sorted(gaps):
        if x0 > at:
            yield at, x0
        at = max(at, x1)
    if at < width:
        yield at, width


def _end(end: str, tip: tuple[float, float], towards: tuple[float, float], colour: str) -> str:
    (x, y), (ux, uy) = tip, towards
    if end == "lost":
        return _stroke(x - 5, y - 5, x + 5, y + 5, BAD, 2.2) + _stroke(x - 5, y + 5, x + 5, y - 5, BAD, 2.2)
    if end == "quiet":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#fff" stroke="{colour}" stroke-width="1.2"/>'
    points = [(x + ux * 3, y + uy * 3), (x - ux * 6 - uy * 4, y - uy * 6 + ux * 4)]
    points.append((x - ux * 6 + uy * 4, y - uy * 6 - ux * 4))
    return f'<path d="M{" ".join(f"{px:.1f},{py:.1f}" for px, py in points)}z" fill="{colour}"/>'


def _stroke(x0: float, y0: float, x1: float, y1: float, colour: str, wide: float, *, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" '
        f'stroke-width="{wide}"{dashed}/>'
    )


def _text(x: float, y: float, text: str, colour: str) -> str:
    """Text with a white outline, so that it can be read over a line."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-weight="600" stroke="#fff" stroke-width="3" '
        f'stroke-linejoin="round" paint-order="stroke">{escape(text)}</text>'
    )


def _colour(message: int) -> str:
    return COLOURS[(message - 1) % len(COLOURS)]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
