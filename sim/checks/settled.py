"""What had not come to its end when time was up: broken, if nothing moved any more although it could have.

A lab that hangs waits for ever. A lab on a computer that is too busy, or one with more traffic than its links carry,
is only late. Both look the same from outside, so this looks at what happened while the run waited.
"""

from __future__ import annotations

from msgspec.structs import replace

from sim.checks.result import many, result_of
from sim.emulator.bandwidth import load_warnings
from sim.evidence.index import Index
from sim.evidence.outage import seconds
from sim.evidence.spans import merged, overlap
from sim.verdict import Check

__all__ = ["check_settled", "is_unsettled"]

QUIET_S = 10.0  # longer than it takes to notice that a connection is silent, and to connect anew
BUSY_SHARE = 0.1  # of the run: with more of it on full CPUs, a lab may only be late
# A lab at rest handles these all the time.
_PERIODIC = {"PING", "STATE", "HANDSHAKE", "COHERE"}


def is_unsettled(index: Index) -> bool:
    """Whether something had not come to its end."""
    return bool(index.evidence.unsettled)


def check_settled(index: Index) -> Check:
    """All that was begun came to its end in time."""
    doubts = index.evidence.unsettled
    looked_at = f"{many(len(doubts), 'thing')} still open"
    why_late = _why_late(index)
    if why_late:
        late = [replace(doubt, text=f"{doubt.text}; {why_late}") for doubt in doubts]
        return result_of("settled", looked_at, len(doubts), [], unknown=late)
    nothing = f"nothing was handled any more for {_quiet_s(index):g} s, and no full CPU or link explains that"
    stuck = [replace(doubt, text=f"it is not known {doubt.text}: {nothing}") for doubt in doubts]
    return result_of("settled", looked_at, len(doubts), stuck)


def _quiet_s(index: Index) -> float:
    """After how long without a message nothing moves any more: half the time that a run waits, or more."""
    return max(QUIET_S, 1.5 + 3.5 * index.evidence.topology.repeat_interval_s)


def _why_late(index: Index) -> str:
    """Why a lab without a bug may not have settled. Empty if there is no reason."""
    times = [entry.t for entry in index.evidence.journal.entries]
    if not times:
        return "nothing was journalled"
    begin, end = min(times), max(times)
    busy_s = overlap(merged(index.evidence.busy), begin, end) / 1e9
    if busy_s > BUSY_SHARE * (end - begin) / 1e9:
        full = f"the CPUs of this computer were full for {busy_s:.1f} s of the run, so it may only be late"
        return f"{full}. Run it again where nothing else runs"
    if warnings := load_warnings(index.evidence.topology):
        return f"a link carries less than is sent over it ({warnings[0]}), so it may only be late"
    if _moves(index, end):
        return "messages were still being handled when time was up"
    return ""


def _moves(index: Index, end: int) -> bool:
    """Whether something was handled shortly before the end."""
    last = [entry.t for entry in index.evidence.journal.of("handled", "item_got") if entry.key not in _PERIODIC]
    return bool(last) and max(last) > end - seconds(_quiet_s(index))
