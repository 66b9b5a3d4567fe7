"""The items of one stream: which are missing and why, and which came again without an excuse.

The messages of a reliable stream are confirmed. It loses items only if its sender dies, or if the path is interrupted
for longer than a message is repeated. An unreliable stream may lose what is under way when a fault strikes, and the
receiver reports the gaps that it can notice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from msgspec import Struct, field

from sim.checks.message_fates import LATE_S, may_be_under_way
from sim.checks.patience import TTL
from sim.checks.result import many
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import Outage, seconds
from sim.lab.names import is_node, machine_of

__all__ = ["Items", "Lost", "judge_copies", "judge_missing", "judge_reports", "runs"]

UNBATCHED_S = 1.0  # an older item is in a batch, which a durable sender has stored


class Items(Struct):
    """The items of one stream, as they were made and as they arrived."""

    sender: str  # the node that opened it
    stream: str  # the id of its endpoint
    stop: str  # the participant that reads the batches, and reports gaps
    to: str  # the participant that handles the items
    reliable: bool
    made: dict[int, Entry]
    came: list[Entry]


class Lost(Struct):
    """The missing items of a stream."""

    explained: list[str] = field(default_factory=list)  # a sentence for each outage that explains items
    count: int = 0  # how many items `explained` is about
    unexplained: list[int] = field(default_factory=list)
    reported: bool = False  # whether the receiver reported all that no fault explains


def judge_missing(index: Index, items: Items, missing: list[int]) -> Lost:
    """Find the fault, if any, that explains each missing item."""
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
    """Sentences about items that came more than once without an excuse."""
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


def judge_reports(index: Index, items: Items, missing: list[int]) -> list[str]:
    """A sentence if more items were reported as missing than are. Faults may make two lives count differently."""
    path = [*_path_to(index, items), *_path_on(index, items)]
    reported = 0 if items.reliable or index.outages.on(path, both_ways=True) else _reported(index, items)
    if reported <= len(missing):
        return []
    are = "is" if len(missing) == 1 else "are"
    return [f"{items.stop} reported {many(reported, 'item')} as missing, and {len(missing)} {are}"]


def _may_come_again(index: Index, items: Items, first: Entry, copy: Entry) -> bool:
    if not items.reliable:
        return bool({items.stream + "_", items.stop + "_"} & index.outages.doubled)
    if not copy.redelivered:
        return False
    stations = {name for name in _path_on(index, items) if not is_node(name)}
    kill = index.outages.relays_killed(stations, items.made[copy.n].t, copy.t)
    return copy.life != first.life or (is_node(items.to) and kill is not None)


# -- why an item is missing --------------------------------------------------------------------------------------------


def _why_missing(index: Index, items: Items, made: Entry) -> Outage | None:
    if not index.outages:
        return None
    if not items.reliable:
        return index.outages.explain(_complete_path(index, items), made.t, ids=[f"{items.stream}_", f"{items.stop}_"])
    kill = index.outages.killed(made.by, made.t)
    if kill is not None and _dies_with_sender(index, items, made, kill):
        return kill
    return _why_expired(index, items, made)


def _dies_with_sender(index: Index, items: Items, made: Entry, kill: Outage) -> bool:
    """Whether an item was still under way when its sender was killed. For a durable sender: whether it was in no batch.

    The next life does not open a storm's stream again, nor one of a session that was stopped, so even the stored
    batches of these stay where they are.
    """
    is_opened_again = any(met > kill.begins for met in index.met.get(items.stream, ()))
    if index.durable(made.by) and made.example < 0 and is_opened_again:
        return kill.begins - made.t <= seconds(UNBATCHED_S)
    return may_be_under_way(index, _complete_path(index, items), made.t, kill)


def _why_expired(index: Index, items: Items, made: Entry) -> Outage | None:
    """The outage that struck the path for as long as a batch was repeated, or None."""
    ends = index.expired[items.stream]
    place = bisect_left(ends, made.t)
    if place == len(ends):
        return None
    interval = index.evidence.topology.repeat_interval_s
    since = max(made.t, ends[place] - seconds(TTL * interval))
    longest, outage = index.outages.unbroken(_complete_path(index, items), since, ends[place])
    return outage if longest <= seconds(interval + LATE_S) else None


def _is_owed(index: Index, items: Items, n: int) -> bool:
    """Whether the receiver must have noticed that an item is missing.

    It notices if a later item from the same life of the sender reaches the same life of the receiver. Behind the
    receiver items travel one by one, and no participant notices a loss there.
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
    """How many items the receiver reported as missing. Leaves out the reports of a new life about items before it."""
    missing = 0
    for trace in index.gaps[items.stream]:
        is_new_life = trace.first == 0 and index.outages.killed(items.stop, 0, trace.t) is not None
        missing += 0 if is_new_life else trace.missing
    return missing


# -- the path of an item ---------------------------------------------------------------------------------------------


def _path_to(index: Index, items: Items) -> list[str]:
    """The path from the program to the participant that reads the batches."""
    return index.tree.path(items.sender, items.stop)


def _path_on(index: Index, items: Items) -> list[str]:
    """The path from the participant that reads the batches to the program that handles the items."""
    stop = machine_of(items.stop)
    if not items.to.startswith("_"):
        return [items.to]
    return [*index.tree.path(stop, machine_of(items.to)), items.to]


def _complete_path(index: Index, items: Items) -> list[str]:
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
