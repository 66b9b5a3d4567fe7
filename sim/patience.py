"""PURE. Patience: what is repeated by the clock says each time that it may be sent one time fewer, until it may not."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict

from sim.evidence import ID, Index
from sim.fates import message_words
from sim.journal import Entry, Trace

__all__ = ["endless"]

EXACT_NS = 5_000  # by how much a repeat by the clock is off in virtual time; no other is as near as that by chance


def endless(index: Index) -> list[str]:
    """What was repeated by the clock with the very same bytes: its `ttl` does not fall, and it would never expire.

    The same bytes are sent again where a path is back, at whatever time; where the recipient has said that it has it,
    which gives it all its patience back; and where the sender was told that there is no way, and tries now and then.
    """
    made = {entry.id: entry for entry in index.made if entry.sought}
    sent: dict[tuple[str, str], list[Trace]] = defaultdict(list)
    told: dict[str, int] = {}  # when a message was first answered, or its sender first told that there is no way
    for trace in index.evidence.journal.traces:
        found = ID.match(trace.head) if trace.do == "Transmit" else None
        about = json.loads(found[1]) if found else ""
        if about in made and made[about].by == trace.at:
            sent[about, trace.digest].append(trace)
        elif '"key":"GONE"' in trace.head:
            told.setdefault(trace.peer, trace.t)
        elif '"key":"CONFIRM"' in trace.head:
            for word in _quoted(trace.head):
                told.setdefault(word, trace.t)
    interval = round(index.evidence.topology.repeat_interval_s * 1e9)
    return [
        f"{message_words(made[about])} was repeated at {(copy.t - made[about].t) / 1e9:.1f} s as if for the first time"
        for (about, _), copies in sent.items()
        for former, copy in itertools.pairwise(copies)
        if abs(copy.t - former.t - interval) <= EXACT_NS and not _is_told(told, made[about], copy)
    ]


def _is_told(told: dict[str, int], made: Entry, copy: Trace) -> bool:
    return min(told.get(made.id, copy.t), told.get(made.by, copy.t)) < copy.t


def _quoted(head: str) -> list[str]:
    return head.split('"')[1::2]
