"""A Lamport diagram as a value: one line a machine, arrows for frames, marks for what happened. No behaviour.

`build.py` makes it from a journal, `lamport_svg.py` draws it. Every `x` is a place from left to right, from 0 to the
diagram's `width`, in steps rather than seconds: a step is about one event, and time in which nothing happened is cut
out. `at_s` is in seconds since the run began.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

__all__ = ["Arrow", "Bar", "Cut", "Diagram", "MachineLine", "Lifeline", "Spot", "MessageRow"]


class Lifeline(Struct, frozen=True):
    """Where on the picture: the line of a machine, or the second line of its programs, close to it."""

    machine: str
    program: bool = False


class MachineLine(Struct, kw_only=True):
    """One machine. `programs`: whether anything of the story was said or handled by a program on it."""

    machine: str
    parent: str | None
    programs: bool = False


class Arrow(Struct, kw_only=True):
    """One frame on one link, or between a station and a program of the same machine."""

    frm: Lifeline
    to: Lifeline
    x0: float
    x1: float
    at_s: float
    message: int  # its place in `messages`, from 1
    confirm: bool = False  # a CONFIRM, rather than the message
    again: int = 0  # 1 is the first repeat of it
    end: Literal["arrived", "quiet", "lost"] = "arrived"  # quiet: nothing need have come of it
    note: str = ""


class Spot(Struct, kw_only=True):
    """What happened at one place: handled, handled again, redelivered, repeated, confirmed, expired, killed, …"""

    on: Lifeline
    x: float
    at_s: float
    what: str
    message: int = 0  # 0: of none
    note: str = ""


class Bar(Struct, kw_only=True):
    """What lasted: a machine that was down or paused, or the link above it that was cut, held, slow, …"""

    on: Lifeline
    link: bool  # the link to its parent, rather than the machine; a reset link has no width
    x0: float
    x1: float
    what: str  # down, paused, cut, held, …
    note: str = ""


class Cut(Struct, kw_only=True):
    """Time that was cut out between `x0` and `x1`; the picture goes on at `at_s`."""

    x0: float
    x1: float
    seconds: float
    at_s: float


class MessageRow(Struct, kw_only=True):
    """One message of the story, and what became of it."""

    id: str
    key: str
    frm: str
    to: str
    outcome: str


class Diagram(Struct, kw_only=True):
    """What went wrong, small enough to be looked at."""

    width: float
    begins_s: float
    of: str = ""  # what it is a picture of, if not of the whole run
    lines: list[MachineLine] = field(default_factory=list)  # the terminal first, children below their parents
    messages: list[MessageRow] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    left_out: int = 0  # messages of the story for which there was no room
    arrows_left_out: int = 0  # of those that are shown
