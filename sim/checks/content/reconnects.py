"""The paths stay: nobody gives up a connection, or calls somebody gone, where nothing was wrong.

Each such mistake costs what is on the path, or makes all that wait for it begin again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sim.checks.result import about_machine
from sim.evidence.index import Index
from sim.evidence.journal import Trace
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation
from sim.lab.names import machine_of
from sim.lab.topology import Machine
from sim.lab.tree import Tree

__all__ = ["needless_notices", "needless_reconnects", "unnoticed_returns"]

BEFORE_S = 40.0  # how long before it something may have been wrong: each attempt that fails doubles the next wait
PATIENT_S = 2.5  # how long anybody is silent at least before a connection is given up
MEET_S = 1.0  # how soon both ends know of a new connection
SLOW_MS = 200  # the latency of a link over which that may take longer
LEARNT = 2  # connections given up by mistake, where it is not known yet how slow a link is


def needless_reconnects(index: Index) -> Iterator[Violation]:
    """The connections that a participant made anew, though no fault had struck them and this computer had time."""
    mistakes: Counter[str] = Counter()
    for trace in index.evidence.journal.traces:
        if trace.do != "Reconnect" or machine_of(trace.at) not in index.tree:
            continue
        path = [trace.at, trace.peer]
        if not _has_cause(index, trace, path, PATIENT_S):
            mistakes[trace.at] += 1
            if mistakes[trace.at] > LEARNT * _is_slow(index, trace):
                is_hasty = _has_cause(index, trace, path)
                why = f"less than {PATIENT_S:g} s after it began" if is_hasty else "and nothing was wrong with it"
                text = f"{trace.at} gave its connection to {trace.peer} up for silent, {why}"
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


def unnoticed_returns(index: Index) -> Iterator[Violation]:
    """The stations that did not notice that a machine came to them by a new connection.

    What was under way by the former one is lost. Who does not notice that does not send it again.
    """
    met: dict[tuple[str, str], list[int]] = defaultdict(list)  # (participant, neighbour) -> when it was there
    left: dict[tuple[str, str], list[int]] = defaultdict(list)
    for trace in index.evidence.journal.traces:
        if trace.do in ("PeerUp", "PeerDown"):
            (met if trace.do == "PeerUp" else left)[trace.at, trace.peer].append(trace.t)
    for machine in index.evidence.topology.machines[1:]:
        parent = str(machine.parent)
        for at in met[machine.id, parent]:
            is_met = any(abs(t - at) <= seconds(MEET_S) for t in met[parent, machine.id])
            is_over = any(at < t <= at + seconds(MEET_S) for t in left[machine.id, parent])
            if not (is_met or is_over) and not _is_held_up(index, machine, at):
                text = f"{machine.id} came to {parent} by a new connection, and {parent} had not missed it in between"
                yield about_machine(parent, text)


def _is_held_up(index: Index, machine: Machine, since: int) -> bool:
    """Whether its parent may notice something later: because of an outage, a slow link, the end, or full CPUs."""
    until = since + seconds(MEET_S)
    struck = index.outages.on([machine.id, str(machine.parent)], both_ways=True)
    lasting = [outage for outage in struck if outage.lasts(since, until)]
    if any(outage.verb != "mute" or outage.begins > since for outage in lasting):  # new connections are not mute
        return True
    ended = index.evidence.journal.traces[-1].t
    is_slow = machine.link is not None and machine.link.latency_ms > SLOW_MS
    return is_slow or until > ended or index.was_busy(since, until)


def _path(tree: Tree, trace: Trace) -> list[str]:
    """From the station to whom it calls gone; empty for a stranger."""
    known = machine_of(trace.at) in tree and machine_of(trace.value) in tree
    return tree.path(trace.at, trace.value) if known else []


def _has_cause(index: Index, trace: Trace, path: list[str], patience_s: float = 0.0) -> bool:
    """Whether an outage of late explains it, which began so long before, or full CPUs do."""
    since = trace.t - seconds(BEFORE_S)
    struck = index.outages.on(path, both_ways=True)
    begun = [outage.begins for outage in struck if outage.verb != "shape" and outage.overlaps(since, trace.t)]
    return (bool(begun) and min(begun) <= trace.t - seconds(patience_s)) or index.was_busy(since, trace.t)


def _is_slow(index: Index, trace: Trace) -> bool:
    """Whether its link has a quality of its own, or a fault has slowed it down."""
    machine = index.evidence.topology.machine(machine_of(trace.at))
    struck = index.outages.on([trace.at, trace.peer], both_ways=True)
    return machine.link is not None or any(outage.verb == "shape" for outage in struck)
