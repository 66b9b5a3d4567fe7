"""What became of the items of one stream: which are missing and why, and which came again and may have.

A reliable stream is confirmed traffic, so that only the death of its sender costs it something, or a path that was gone
for longer than anything is tried. One that is not may lose what was under way when a fault struck, and whoever can know
of that reports it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from msgspec import Struct, field

from sim.checks.message_fates import LATE_S, TTL, may_be_under_way
from sim.checks.result import many
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import Outage, seconds
from sim.lab.names import is_node, machine_of

__all__ = ["Items", "Lost", "judge_copies", "judge_missing", "runs"]

UNBATCHED_S = 1.0  # an item that is older than this is in a batch, which a durable sender has on its disk


class Items(Struct):
    """One stream, as it was made and as it came to its end."""

    sender: str  # the node that it belongs to
    stream: str  # its own id
    stop: str  # to whom it is sent, who says what is missing
    to: str  # whose handler gets the items in the end
    reliable: bool
    made: dict[int, Entry]
    came: list[Entry]


class Lost(Struct):
    """What of a stream is missing."""

    explained: list[str] = field(default_factory=list)  # a sentence for each run of items that a fault explains
    count: int = 0  # of these items
    unexplained: list[int] = field(default_factory=list)
    reported: bool = False  # whether the receiver told of all that nothing else explains


def judge_missing(index: Index, items: Items, missing: list[int]) -> Lost:
    """Which fault, if any, explains each item that is missing."""
    if not missing:
        return Lost()
    lost = Lost()
    why = {n: _why_missing(index, items, items.made[n]) for n in missing}
    gaps = 0 if items.reliable else _reported(index, items)
    if not items.reliable:
        owed = [n for n in missing if why[n] is not None and _is_owed(index, items, n)]
        unreported = owed if len(owed) > gaps else []
        why |= dict.fromkeys(unreported, None)
        gaps -= 0 if unreported else len(owed)
    silent = [n for n in missing if why[n] is None]
    lost.reported = not items.reliable and gaps >= len(silent)
    lost.unexplained = [] if lost.reported else silent
    by_outage: dict[str, list[int]] = defaultdict(list)
    for n in missing:
        if (outage := why[n]) is not None:
            by_outage[outage.words].append(n)
    for words, numbers in by_outage.items():
        what = "item" if len(numbers) == 1 else "items"
        where = f"from {items.sender} to {items.to}"
        lost.explained.append(f"{what} {', '.join(runs(numbers))} {where} {_were(numbers)} lost: {words}")
        lost.count += len(numbers)
    return lost


def judge_copies(index: Index, items: Items) -> list[str]:
    """What came more than once, and may not have."""
    first: dict[int, Entry] = {}
    twice = unmarked = 0
    for entry in items.came:
        if entry.n not in first:
            first[entry.n] = entry
            continue
        if entry.n in items.made and _may_come_again(index, items, first[entry.n], entry):
            continue
        is_new_life = entry.life != first[entry.n].life
        unmarked += is_new_life
        twice += not is_new_life
    broke = [f"{many(twice, 'item')} came twice to {items.to}"] if twice else []
    if unmarked:
        broke.append(f"{many(unmarked, 'item')} came again to a next life of {items.to}, and not marked redelivered")
    return broke


def _may_come_again(index: Index, items: Items, first: Entry, copy: Entry) -> bool:
    if not items.reliable:
        return bool({items.stream + "_", items.stop + "_"} & index.outages.doubled)
    if not copy.redelivered:
        return False
    stations = {name for name in _path_on(index, items) if not is_node(name)}
    kill = index.outages.relays_killed(stations, items.made[copy.n].t, copy.t)
    return copy.life != first.life or (is_node(items.to) and kill is not None)


# -- why one is missing ------------------------------------------------------------------------------------------------


def _why_missing(index: Index, items: Items, made: Entry) -> Outage | None:
    if not index.outages:
        return None
    if not items.reliable:
        return index.outages.explain(_whole_path(index, items), made.t, ids=[f"{items.stream}_", f"{items.stop}_"])
    kill = index.outages.killed(made.by, made.t)
    if kill is not None and _dies_with_sender(index, items, made, kill):
        return kill
    return _why_expired(index, items, made)


def _dies_with_sender(index: Index, items: Items, made: Entry, kill: Outage) -> bool:
    """Whether an item can still have been on the way when its sender was killed; or, of a durable one, in no batch.

    A storm's stream is not opened again by the next life, and what is kept of it waits for that.
    """
    if index.durable(made.by) and made.example < 0:
        return kill.begins - made.t <= seconds(UNBATCHED_S)
    return may_be_under_way(index, _whole_path(index, items), made.t, kill)


def _why_expired(index: Index, items: Items, made: Entry) -> Outage | None:
    """What broke the path for as long as a batch was tried."""
    ends = index.expired[items.stream]
    place = bisect_left(ends, made.t)
    if place == len(ends):
        return None
    interval = index.evidence.topology.repeat_interval_s
    since = max(made.t, ends[place] - seconds(TTL * interval))
    longest, outage = index.outages.unbroken(_whole_path(index, items), since, ends[place])
    return outage if longest <= seconds(interval + LATE_S) else None


def _is_owed(index: Index, items: Items, n: int) -> bool:
    """Whether the receiver could know that an item is missing: a later one of the same life came, in its same life.

    What was lost behind it, where items are passed on one by one, is seen by nobody.
    """
    made = items.made[n]
    ids = [f"{items.stream}_"]
    if index.outages.explain(_path_on(index, items), made.t, ids=[f"{items.stop}_"]) is not None:
        return False
    if index.outages.explain(_path_to(index, items), made.t, ids=ids) is None:
        return False
    later = [e for e in items.came if e.n > n and e.n in items.made and items.made[e.n].life == made.life]
    return bool(later) and index.outages.killed(items.stop, made.t, later[0].t) is None


def _reported(index: Index, items: Items) -> int:
    """How many items the receiver said were missing. A new life of it counts from 0, and misses what others had."""
    missing = 0
    for trace in index.gaps[items.stream]:
        is_new_life = trace.first == 0 and index.outages.killed(items.stop, 0, trace.t) is not None
        missing += 0 if is_new_life else trace.missing
    return missing


# -- the path of an item ---------------------------------------------------------------------------------------------


def _path_to(index: Index, items: Items) -> list[str]:
    """From the program to the station that reads the batches."""
    return index.tree.path(items.sender, items.stop)


def _path_on(index: Index, items: Items) -> list[str]:
    """From the station that reads the batches to the program that gets the items, one by one."""
    stop = machine_of(items.stop)
    if not items.to.startswith("_"):
        return [items.to]
    return [*index.tree.path(stop, machine_of(items.to)), items.to]


def _whole_path(index: Index, items: Items) -> list[str]:
    return [*_path_to(index, items), *_path_on(index, items)[1:]]


def _were(numbers: list[int]) -> str:
    return "was" if len(numbers) == 1 else "were"


def runs(numbers: list[int]) -> list[str]:
    """[1, 2, 3, 7] -> ['1-3', '7']."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{a}-{b}" if b > a else str(a) for a, b in found]
