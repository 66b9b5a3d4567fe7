"""Parameters: a change of one reaches the program of its rig as PARAM, and not before the START that it follows."""

from __future__ import annotations

from collections.abc import Iterator

from sim.checks.result import about_message, message_words
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation

__all__ = ["wrong_parameters"]


def wrong_parameters(index: Index) -> Iterator[Violation]:
    """What is wrong with the changes of parameters that reached a program. `confirm` judges whether they reached it."""
    for change in index.made_by["_" + index.evidence.topology.terminal.id]:
        if change.key not in ("CHANGE", "PARAM"):
            continue
        for sentence in filter(None, (_changed(index, change), _too_early(index, change))):
            yield about_message(change, f"{message_words(change)} {sentence}")


def _changed(index: Index, change: Entry) -> str:
    for came in index.handled[change.id]:
        if came.key != "PARAM":
            return f"came to {came.by} as {came.key}, and not as PARAM"
        if came.print != change.print:
            return f"came to {came.by} with another value than it was sent with"
    return ""


def _too_early(index: Index, change: Entry) -> str:
    """A PARAM goes the way of the START before it. What went another way, by CHANGE, may be faster."""
    starts = [made for made in index.made_by[change.by] if made.key == "START" and made.t <= change.t]
    started = [index.handled[start.id] for start in starts if start.to == change.to][-1:]
    came = index.handled[change.id]
    if change.key != "PARAM" or not started or not started[0] or not came or came[0].t >= started[0][0].t:
        return ""
    path = index.tree.path(change.by, came[0].by)
    is_struck = any(outage.overlaps(change.t, started[0][0].t) for outage in index.outages.on(path, both_ways=True))
    return "" if is_struck else f"came to {came[0].by} before the START that it follows"
