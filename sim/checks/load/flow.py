"""Flow: a burst is sent as far as its window allows, no further, and never one message per round trip.

What is under way is read from the traces of the sender: from the first transmission of a message to its confirmation.
How fast a machine is does not matter for that, so that a slow one is not called broken.
"""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct, field

from sim.checks.result import many, result_of
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds
from sim.evidence.spans import overlap
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.scenario import Send
from sim.verdict import Check

__all__ = ["check_flow"]

MANY = 20  # messages in a burst that is judged
SLOW_MS = 5  # a handler that takes as long is slower than any sender
ONE_BY_ONE = 2  # messages under way at once, at most, where a sender waits for each confirmation
HEAD_BYTES = 300  # what a message has on the wire beside what the window counts, at most
STILL_S = 3.0
STILL_REPEATS = 3  # times the repeat interval, without one transmission, after which nothing will come any more


class SentBurst(Struct):
    """The confirmed messages that one participant sent to another in one storm."""

    made: list[Entry]
    sent: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # id -> place in the traces, time, bytes
    over: dict[str, tuple[int, int]] = field(default_factory=dict)  # id -> place in the traces, time
    stirred: int = 0  # when any participant last sent one of them

    @property
    def by(self) -> str:
        """Its sender."""
        return self.made[0].by

    @property
    def to(self) -> str:
        """Its recipient."""
        return self.made[0].to

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return f"{many(len(self.made), 'message')} from {self.by} to {self.to}"


def check_flow(index: Index) -> Check:
    """No burst is sent one by one, none beyond its window, and none stands still."""
    found = _bursts(index)
    broke: list[Violation] = []
    unknown: list[Violation] = []
    for burst in found:
        text, is_sure = _standstill(index, burst)
        if not text and not _is_struck(index, burst) and len(burst.over) == len(burst.made) >= MANY:
            text, is_sure = _wrong_window(index, burst), True
            if not text:
                text, is_sure = _one_by_one(index, burst)
        if text:
            machines = tuple(dict.fromkeys((machine_of(burst.by), machine_of(burst.to))))
            (broke if is_sure else unknown).append(Violation("", machines, (burst.made[0].id,), text))
    count = sum(len(burst.made) for burst in found)
    looked_at = f"{many(count, 'message')} of {many(len(found), 'burst')}"
    return result_of("flow", looked_at, count, broke, unknown=unknown)


# -- what was under way ------------------------------------------------------------------------------------------------


def _bursts(index: Index) -> list[SentBurst]:
    made: dict[tuple[str, str, int, int], list[Entry]] = defaultdict(list)
    for entry in index.made:
        if entry.sought and entry.example >= 0 and entry.key == "STORM":
            made[entry.by, entry.to, entry.example, entry.life].append(entry)
    bursts = [SentBurst(made=entries) for entries in made.values()]
    home = {entry.id: burst for burst in bursts for entry in burst.made}
    for place, trace in enumerate(index.evidence.journal.traces):
        burst = home.get(trace.id)
        if burst is None:
            continue
        burst.stirred = max(burst.stirred, trace.t)
        if trace.at == burst.by and trace.do == "Transmit":
            burst.sent.setdefault(trace.id, (place, trace.t, trace.size))
        elif trace.at == burst.by and trace.do == "Confirmed":
            burst.over.setdefault(trace.id, (place, trace.t))
    return bursts


def _under_way(burst: SentBurst) -> list[tuple[int, int]]:
    """How many messages, and how many bytes of them, were under way at once when each was first sent, in that order."""
    events = [(place, id, 1) for id, (place, _, _) in burst.sent.items()]
    events += [(place, id, -1) for id, (place, _) in burst.over.items() if id in burst.sent]
    count = size = 0
    found: list[tuple[int, int]] = []
    for _, id, change in sorted(events):
        count, size = count + change, size + change * burst.sent[id][2]
        if change > 0:
            found.append((count, size))
    return found


# -- what is wrong with it ---------------------------------------------------------------------------------------------


def _is_struck(index: Index, burst: SentBurst) -> bool:
    """Whether an outage struck the path while the burst was under way."""
    until = max([burst.stirred, *(t for _, t in burst.over.values())])
    path = index.tree.path(burst.by, burst.to)
    return any(outage.overlaps(burst.made[0].t, until) for outage in index.outages.on(path, both_ways=True))


def _wrong_window(index: Index, burst: SentBurst) -> str:
    bounds = index.evidence.bounds
    under_way = _under_way(burst)
    count, size = max(count for count, _ in under_way), max(size for _, size in under_way)
    allowed = bounds.window_bytes + HEAD_BYTES * count + max(size for _, _, size in burst.sent.values())
    if count > bounds.window_messages:
        return f"{burst.words}: {count:,} were under way at once, and the window is {bounds.window_messages:,}"
    if size > allowed:
        return f"{burst.words}: {size:,} bytes were under way at once, and the window is {bounds.window_bytes:,}"
    return ""


def _one_by_one(index: Index, burst: SentBurst) -> tuple[str, bool]:
    """A sentence if the burst was sent one message per round trip, or little more; and whether that is sure.

    Judged by the last quarter of it: room that is not given back is missed only once the window has been filled.
    """
    bounds = index.evidence.bounds
    if bounds.pipe_bytes is not None:
        return "", True  # a small pipe holds back more than the window does
    last = -len(burst.made) // 4
    count = max(count for count, _ in _under_way(burst)[last:])
    largest = max(size for _, _, size in burst.sent.values())
    room = min(len(burst.made), bounds.window_messages, max(1, bounds.window_bytes // largest))
    is_at_once = burst.made[0].t == burst.made[-1].t  # in virtual time, where nothing but the window holds it back
    least = room // 2 if is_at_once else ONE_BY_ONE + 1 if _is_slow(index, burst) else 0
    if count >= min(least, room):
        return "", True
    text = f"{burst.words}: at the end, at most {count:,} were under way at once; the window has room for {room:,}"
    since = sorted(t for _, t, _ in burst.sent.values())[last:][0]
    until = max(t for _, t in burst.over.values())
    return text, not overlap(index.evidence.busy, since, until)


def _is_slow(index: Index, burst: SentBurst) -> bool:
    """Whether the recipient's handler is slower than the sender, so that messages must gather on the way."""
    ops = index.evidence.examples[burst.made[0].example].ops
    takes = [op.takes_ms for op in ops if isinstance(op, Send) and (op.frm, op.to) == (burst.by, burst.to)]
    return bool(takes) and min(takes) >= SLOW_MS


def _standstill(index: Index, burst: SentBurst) -> tuple[str, bool]:
    """A sentence if some of the burst is not settled, and nothing of it was sent for long; and whether that is sure.

    A message that is lost, or waits in a handler, is sent again. What stands in a queue that nobody empties is not.
    """
    open_ids = [entry.id for entry in burst.made if (entry.by, entry.id) not in index.settled]
    if not open_ids:
        return "", True
    since = max(burst.stirred, *(entry.t for entry in burst.made))
    until = index.last_effect.get(burst.by, 0)
    path = index.tree.path(burst.by, burst.to)
    if until - since < seconds(STILL_S + index.slow_s + STILL_REPEATS * index.repeat_s):
        return "", True
    if any(outage.overlaps(burst.made[0].t, until) for outage in index.outages.on(path, both_ways=True)):
        return "", True
    text = f"{burst.words}: {len(open_ids):,} of them stand still, and none was sent for {(until - since) / 1e9:.0f} s"
    return text, overlap(index.evidence.busy, since, until) < (until - since) / 2
