"""Patience: how often a sender sends a message of which it hears nothing, before it gives it up."""

from __future__ import annotations

from collections.abc import Iterator

from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.outage import seconds

__all__ = ["TTL", "impatience"]

TTL = 5
TICK_S = 0.2  # how far from its due time a repeat may be
SPENT = "it may not be sent again"  # how the library says that its repeats were used up


def impatience(index: Index, made: Entry, settled: Entry | None) -> Iterator[str]:
    """What is wrong with how often a message was sent, as the end of a sentence about it."""
    times = index.times_sent(made)
    longest = _repeated_for_nothing(index, made, times)
    if longest:
        yield f"was sent {longest} times with no word of it, and its ttl is {TTL}"
    if settled is not None and len(times) < TTL + 1 and _is_spent(index, made, settled):
        yield f"was given up after it was sent {len(times)} times, and its ttl is {TTL}"


def _repeated_for_nothing(index: Index, made: Entry, times: list[int]) -> int:
    """How often it was repeated by the clock in one life with no answer in between, if more often than its ttl."""
    interval = seconds(index.evidence.topology.repeat_interval_s)
    moment = min(seconds(TICK_S), interval // 4)  # messages of one burst are no repeats by the clock
    run: list[int] = []
    for t in times:
        is_repeat = bool(run) and abs(t - run[-1] - interval) <= moment
        is_repeat = is_repeat and not any(run[-1] <= met <= t for met in index.met[made.by])  # a reconnect costs no ttl
        is_same_life = not run or index.outages.killed(made.by, run[-1], t) is None
        run = [*run, t] if is_repeat and is_same_life else [t]
        if len(run) > TTL + 1 and not _has_answer(index, made, run[0], t):
            return len(run)
    return 0


def _has_answer(index: Index, made: Entry, since: int, until: int) -> bool:
    """Whether an answer about a message came in that span. A repeat after an answer costs no ttl."""
    times = [t for about in (made.id, "") for t in index.words.get((about, made.by), [])]
    return any(since <= t <= until for t in times)


def _is_spent(index: Index, made: Entry, settled: Entry) -> bool:
    """Whether its sender gave it up for its patience, of which it spends none without a path.

    One that may be Autopilot's own is asked, and gets no repeats. What a former life has sent is not known in full.
    """
    is_spent = str(settled.value).endswith(SPENT) and not index.has_asked(made.by, made.to)
    return is_spent and index.outages.killed(made.by, made.t, settled.t) is None
