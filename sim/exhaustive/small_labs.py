"""The small labs that are explored: their stations, the messages that are sent, and how much may go wrong."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["BOUNDS", "SmallLab", "SmallSend"]


class SmallSend(Struct, frozen=True):
    """A message that seeks its confirmation. Those of one station are sent in the order of the lab, at any time."""

    frm: str
    to: str


class SmallLab(Struct, frozen=True, kw_only=True):
    """A tree of stations, and the bound within which everything is tried.

    `early` is how often a timer may fire while something else could happen, as when a message is slow. When nothing
    else can happen, timers fire as they are due.
    """

    name: str
    parents: dict[str, str | None]  # the terminal first, every parent before its children
    sends: tuple[SmallSend, ...]
    faults: int  # at most so many in one run: a loss, a copy, a broken connection, a restart
    early: int = 0
    ttl: int = 3  # repeats of each message
    durable: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """'pair: 2 stations, 3 messages, 2 faults, 1 early timer'."""
        counts = (
            (len(self.parents), "station"),
            (len(self.sends), "message"),
            (self.faults, "fault"),
            (self.early, "early timer"),
        )
        told = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
        durable = f", {' and '.join(self.durable)} durable" if self.durable else ""
        return f"{self.name}: {told}, {self.ttl} repeats{durable}"


_PAIR: dict[str, str | None] = {"T": None, "rig": "T"}
_CHAIN: dict[str, str | None] = {"T": None, "rig": "T", "cam": "rig"}
_STAR: dict[str, str | None] = {"T": None, "rig_1": "T", "rig_2": "T"}
_UP, _DOWN = SmallSend("rig", "T"), SmallSend("T", "rig")
_FAR_UP, _FAR_DOWN = SmallSend("cam", "T"), SmallSend("T", "cam")
_ACROSS, _BACK = SmallSend("rig_1", "rig_2"), SmallSend("rig_2", "rig_1")
_BOTH = ("T", "rig")

BOUNDS: dict[str, tuple[SmallLab, ...]] = {
    "tiny": (
        SmallLab(name="pair", parents=_PAIR, sends=(_UP, _UP), faults=1),
        SmallLab(name="durable pair", parents=_PAIR, sends=(_UP,), faults=1, durable=_BOTH),
    ),
    "small": (
        SmallLab(name="pair", parents=_PAIR, sends=(_UP, _UP, _DOWN), faults=1),
        SmallLab(name="durable pair", parents=_PAIR, sends=(_UP, _UP), faults=1, early=1, durable=_BOTH),
        SmallLab(name="impatient pair", parents=_PAIR, sends=(_UP, _UP), faults=2, ttl=0),
        SmallLab(name="chain", parents=_CHAIN, sends=(_FAR_UP, _FAR_DOWN), faults=1),
        SmallLab(name="star", parents=_STAR, sends=(_ACROSS,), faults=1),
    ),
    "large": (
        SmallLab(name="pair", parents=_PAIR, sends=(_UP, _UP, _DOWN), faults=2, early=1),
        SmallLab(name="durable pair", parents=_PAIR, sends=(_UP, _UP, _DOWN), faults=2, early=1, durable=_BOTH),
        SmallLab(name="impatient pair", parents=_PAIR, sends=(_UP, _UP, _UP), faults=2, early=1, ttl=1),
        SmallLab(name="chain", parents=_CHAIN, sends=(_FAR_UP, _FAR_UP, _FAR_DOWN), faults=2, early=1),
        SmallLab(name="star", parents=_STAR, sends=(_ACROSS, _ACROSS, _BACK), faults=2, early=1),
    ),
}
"""Each explores more than the one before it. `tiny` takes a second, and `small` less than a minute of one core."""
