"""Orders besides START and STOP: changes of parameters reach their program as PARAM, and not before the START that
they follow; and STOPALL stops every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.checks.result import about_machine, about_message, message_words
from sim.evidence.index import Index
from sim.evidence.journal import Entry
from sim.evidence.violation import Violation

__all__ = ["unstopped", "wrong_parameters"]


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


def unstopped(index: Index) -> Iterator[Violation]:
    """The machines that a STOPALL, which was confirmed, has not stopped. Of a lab's own programs nothing is known."""
    terminal = index.evidence.topology.terminal.id
    for stopall in (made for made in index.made_by["_" + terminal] if made.key == "STOPALL"):
        settled = index.settled.get((stopall.by, stopall.id))
        if settled is None or settled.value != "confirmed":
            continue
        stops = [e for e in index.evidence.journal.of("handled") if e.key == "STOP" and e.first_sender == terminal]
        stopped = {entry.by for entry in stops if stopall.t <= entry.t <= settled.t}
        for machine in index.evidence.topology.machines[1:]:
            if machine.program is None and "_" + machine.id not in stopped and _is_known(index, machine.id, stopall.t):
                text = f"{message_words(stopall)} was confirmed, and the program of {machine.id} got no STOP"
                yield about_machine(machine.id, text, messages=(stopall.id,))


def _is_known(index: Index, machine: str, t: int) -> bool:
    """Whether the terminal's station knew the machine at that time."""
    terminal = index.evidence.topology.terminal.id
    since = max((e.t for e in index.evidence.journal.of("start") if e.by == terminal and e.t < t), default=0)
    return any(since < e.t < t for e in index.evidence.journal.of("shook") if e.value["machine"] == machine)
