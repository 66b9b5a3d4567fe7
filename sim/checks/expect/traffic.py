"""The figures of one class of traffic: the trials, a stream, or the messages of a key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sim.checks.expect.windows import FaultWindows
from sim.checks.message_fates import HANDLED
from sim.checks.session import trial_rows
from sim.checks.streams import StreamTimes
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.spans import Span, merged, overlap, touches
from sim.verdict import StreamRow

__all__ = ["Transit", "Traffic", "messages", "rate", "stream_traffic", "trials"]

AFTER_S = 0.5  # what waited while the CPUs were full is still late for so long
LOST_S = 3.0  # how long a message that never came counts as under way


class Transit(Struct, frozen=True, kw_only=True):
    """A message or an item from its making to its handling, in ns."""

    id: str = ""  # of a message
    item: str = ""  # 'item 15', of a stream
    batch: str = ""  # of an item: the id of the message that brought it
    made: int
    came: int | None
    path: tuple[str, str]  # the participants at its ends
    is_timed: bool = True  # False of an item of a lab's own program: nobody knows when it was made
    is_lost: bool = False  # it sought a confirmation, and never came
    is_twice: bool = False
    is_busy: bool = False  # the CPUs of this computer were full while it was under way, or when it was lost

    @property
    def ms(self) -> float:
        """How long it took. Clocks of processes may differ by less than it takes to send a message."""
        return max(0, (self.came or self.made) - self.made) / 1e6


class Traffic(Struct, kw_only=True):
    """One class of traffic, with what is compared with limits."""

    name: str  # "trials", "START", "rig_1 camera:"
    machine: str = ""
    unit: str = ""  # "items " of a stream
    made: int
    lost: int
    twice: int
    missing: int
    transits: list[Transit] = []
    idle: list[Span] = []  # time that does not count for the rate

    @property
    def came(self) -> list[Transit]:
        """What arrived, and took a time that is known."""
        return [transit for transit in self.transits if transit.came is not None and transit.is_timed]

    @property
    def excused(self) -> int:
        """How many of `missing` a sender may have left out because the CPUs of this computer were full."""
        return sum(transit.came is None and transit.is_busy for transit in self.transits)

    @property
    def arrivals(self) -> list[int]:
        """When each arrived, ascending."""
        return sorted(transit.came for transit in self.transits if transit.came is not None)

    def during(self, when: Literal["all", "calm", "faults"], windows: FaultWindows) -> Traffic:
        """The traffic of that time alone: of the time of faults that struck its path, or of the time without them."""
        if when == "all":
            return self
        is_calm = when == "calm"
        kept, idle = [], []
        for path in {transit.path for transit in self.transits}:
            struck = windows.on(path)
            idle += struck if is_calm else windows.between(struck)
            own = [transit for transit in self.transits if transit.path == path]
            kept += [transit for transit in own if touches(struck, transit.made, _end(transit)) is not is_calm]
        return replace(_counted(self, kept), name=f"{self.name} {WHEN[when]}", idle=merged(idle))


WHEN = {"calm": "without faults", "faults": "during faults"}


def _end(transit: Transit) -> int:
    return transit.made + seconds(LOST_S) if transit.came is None else transit.came


def _counted(traffic: Traffic, transits: list[Transit]) -> Traffic:
    return replace(
        traffic,
        transits=transits,
        made=sum(transit.is_timed for transit in transits),
        lost=sum(transit.is_lost for transit in transits),
        twice=sum(transit.is_twice for transit in transits),
        missing=sum(transit.came is None for transit in transits),
    )


def rate(came: Sequence[int], idle: Iterable[Span] = (), *, least_s: float = 0.0) -> float | None:
    """Arrivals a second, from the first to the last, without the time in `idle`.

    None for fewer than two, or if less time than `least_s` is left.
    """
    if len(came) < 2 or came[-1] == came[0]:
        return None
    spans = merged(idle)
    took = came[-1] - came[0] - overlap(spans, came[0], came[-1])
    counted = sum(1 for t in came if not touches(spans, t, t)) if spans else len(came)
    return None if took <= seconds(least_s) else max(0, counted - 1) / (took / 1e9)


# -- messages ----------------------------------------------------------------------------------------------------------


def trials(index: Index, busy: Sequence[Span], *, rig: str = "") -> Traffic:
    """The trials of a rig, or of all. Whether one is lost, or was counted twice, is as in the table of trials."""
    made = [entry for entry in index.made if entry.key == "DATA" and (not rig or entry.by == "_" + rig)]
    traffic = messages(index, f"{rig} trials" if rig else "trials", made, busy)
    rows = [row for row in trial_rows(index) if not rig or row.rig == rig]
    missing = {id for row in rows for id in row.missing}
    traffic.transits = [replace(transit, is_lost=transit.id in missing) for transit in traffic.transits]
    traffic.lost, traffic.twice, traffic.machine = len(missing), sum(row.twice for row in rows), rig
    return traffic


def messages(index: Index, name: str, made: Iterable[Entry], busy: Sequence[Span]) -> Traffic:
    """The figures of messages. Arrivals are from the journal, or from the traces if programs do not journal the key."""
    transits = []
    for entry in made:
        came = min(_times(index, entry), default=None)
        last = index.came[entry.id][0].by if entry.id in index.came else entry.to
        transits.append(
            Transit(
                id=entry.id,
                made=entry.t,
                came=came,
                path=(entry.by, last),
                is_lost=came is None and entry.sought,
                is_twice=_is_twice(index, entry),
                is_busy=_is_busy(busy, entry.t, came),
            )
        )
    return _counted(Traffic(name=name, made=0, lost=0, twice=0, missing=0), transits)


def _is_busy(busy: Sequence[Span], made: int, came: int | None) -> bool:
    return came is not None and touches(busy, made - seconds(AFTER_S), came)


def _times(index: Index, made: Entry) -> list[int]:
    if made.id in index.came:
        return [entry.t for entry in index.came[made.id]]
    if made.key in HANDLED:
        return []
    ends = (made.to, made.to.removeprefix("_"))
    return [trace.t for trace in index.delivered.get(made.id, []) if trace.at in ends]


def _is_twice(index: Index, made: Entry) -> bool:
    """Whether one life of a recipient handled a message more than once."""
    lives = Counter((entry.by, entry.life) for entry in index.came.get(made.id, []))
    return any(count > 1 for count in lives.values())


# -- streams -----------------------------------------------------------------------------------------------------------


def stream_traffic(row: StreamRow, known: StreamTimes | None, busy: Sequence[Span]) -> Traffic:
    """The figures of a stream: counts of its row, and times if the journal has them."""
    missing = max(0, row.sent - row.received)
    items, batches = (known.items, known.batches) if known is not None else ([], [])
    transits = [
        Transit(
            item=f"item {n}",
            batch=batches[n] if n < len(batches) else "",
            made=made,
            came=came,
            path=(known.sender, known.to) if known is not None else ("", ""),
            is_timed=known is not None and known.is_timed,
            is_lost=row.reliable and came is None,
            is_busy=_is_busy(busy, made, came if came is not None or row.reliable else made),
        )
        for n, (made, came) in enumerate(items)
    ]
    return Traffic(
        name=f"{row.machine} {row.label}:",
        machine=row.machine,
        unit="items ",
        made=row.sent if row.is_counted else 0,
        lost=missing if row.reliable else 0,
        twice=row.repeated,
        missing=missing,
        transits=transits,
    )
