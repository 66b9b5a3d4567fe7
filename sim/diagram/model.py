"""A Lamport diagram as a value: a line for each machine, arrows for frames, and marks for events. No behaviour.

`build.py` makes it from a journal, and `lamport_svg.py` draws it. Every `x` is a place from left to right, from 0 to
the diagram's `width`. Its unit is a step, not a second: a step is about one event, and idle time is cut out. `at_s` is
in seconds since the run began.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

__all__ = ["Arrow", "Bar", "Cut", "Diagram", "MachineLine", "Lifeline", "Spot", "MessageRow"]


class Lifeline(Struct, frozen=True):
    """The line of a machine, or the line of its programs, which is drawn close to it."""

    machine: str
    program: bool = False


class MachineLine(Struct, kw_only=True):
    """A machine. `programs`: whether it has a line for its programs, since one of them sends or handles something."""

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
    message: int  # the number of its message in `messages`, from 1
    confirm: bool = False  # it is the CONFIRM of the message
    again: int = 0  # 1 for the first repeat
    end: Literal["arrived", "quiet", "lost"] = "arrived"  # quiet: it may have arrived without a trace
    note: str = ""


class Spot(Struct, kw_only=True):
    """An event on a line: handled, handled again, redelivered, repeated, confirmed, expired, killed, …"""

    on: Lifeline
    x: float
    at_s: float
    what: str
    message: int = 0  # the number of its message; 0 if it has none
    note: str = ""


class Bar(Struct, kw_only=True):
    """An outage: a machine that was down or paused, or the link above it that was cut, held, slow, …"""

    on: Lifeline
    link: bool  # it is on the link to the parent, not on the machine. A reset has no width
    x0: float
    x1: float
    what: str  # down, paused, cut, held, …
    note: str = ""


class Cut(Struct, kw_only=True):
    """Idle time that was cut out between `x0` and `x1`. The diagram continues at `at_s`."""

    x0: float
    x1: float
    seconds: float
    at_s: float


class MessageRow(Struct, kw_only=True):
    """A message of the diagram. `outcome` tells in words how it ended."""

    id: str
    key: str
    frm: str
    to: str
    outcome: str


class Diagram(Struct, kw_only=True):
    """A diagram of the messages that went wrong, limited to what a reader can follow."""

    width: float
    begins_s: float
    of: str = ""  # the part of the run that it shows; empty for the complete run
    lines: list[MachineLine] = field(default_factory=list)  # the terminal first, children below their parents
    messages: list[MessageRow] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    left_out: int = 0  # messages for which there was no room
    arrows_left_out: int = 0  # arrows of `messages` for which there was no room
