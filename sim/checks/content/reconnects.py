"""The paths stay: nobody gives up a connection, or calls somebody gone, where nothing was wrong.

Each such mistake costs what is on the path, or makes all that wait for it begin again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sim.checks.result import about_machine
from sim.evidence.index import Index
from sim.evidence.journal import Trace
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.tree import Tree

__all__ = ["needless_notices", "needless_reconnects"]

BEFORE_S = 40.0  # how long before it something may have been wrong: each attempt that fails doubles the next wait
LEARNT = 2  # connections given up by mistake, where it is not known yet how slow a link is


def needless_reconnects(index: Index) -> Iterator[Violation]:
    """The connections that a participant made anew, though no fault had struck them and this computer had time."""
    mistakes: Counter[str] = Counter()
    for trace in index.evidence.journal.traces:
        if trace.do != "Reconnect" or machine_of(trace.at) not in index.tree:
            continue
        if not _has_cause(index, trace, [trace.at, trace.peer]):
            mistakes[trace.at] += 1
            if mistakes[trace.at] > LEARNT * _is_slow(index, trace):
                text = f"{trace.at} gave its connection to {trace.peer} up for silent, and nothing was wrong with it"
                yield about_machine(machine_of(trace.at), text)


def needless_notices(index: Index) -> Iterator[Violation]:
    """The participants that a station said were gone, though all on the path to them was up."""
    journal = index.evidence.journal
    shook = {str(entry.value["machine"]): entry.t for entry in reversed(list(journal.of("shook")))}
    begun = max(shook.values(), default=0)  # when the last of them had shaken hands for the first time
    ended = max((entry.t for entry in journal.of("settled")), default=0)
    for trace in journal.traces:
        if trace.key == "GONE" and trace.do == "Transmit" and trace.sender == trace.at and begun < trace.t < ended:
            path = _path(index.tree, trace)
            if path and not _has_cause(index, trace, path):
                text = f"{trace.at} told {trace.peer} that {trace.value} is gone, and nothing was wrong with it"
                yield about_machine(machine_of(trace.at), text)


def _path(tree: Tree, trace: Trace) -> list[str]:
    """From the station to whom it calls gone; empty for a stranger."""
    known = machine_of(trace.at) in tree and machine_of(trace.value) in tree
    return tree.path(trace.at, trace.value) if known else []


def _has_cause(index: Index, trace: Trace, path: list[str]) -> bool:
    since = trace.t - seconds(BEFORE_S)
    struck = index.outages.on(path, both_ways=True)
    if any(outage.overlaps(since, trace.t) for outage in struck if outage.verb != "shape"):
        return True
    return index.was_busy(since, trace.t)


def _is_slow(index: Index, trace: Trace) -> bool:
    """Whether its link has a quality of its own, or a fault has slowed it down."""
    machine = index.evidence.topology.machine(machine_of(trace.at))
    struck = index.outages.on([trace.at, trace.peer], both_ways=True)
    return machine.link is not None or any(outage.verb == "shape" for outage in struck)
