"""Presence: when a machine goes, the terminal's program is told so, of it and of all machines below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sim.checks.result import about_machine
from sim.evidence.index import Index
from sim.evidence.journal import Trace
from sim.evidence.outage import seconds
from sim.evidence.violation import Violation

__all__ = ["untold_departures"]

AROUND_S = 3.0  # a station that loses its own parent at about the same time may have nobody to tell


def untold_departures(index: Index) -> Iterator[Violation]:
    """The machines that a station saw go, and of which the terminal's program was never told."""
    presence = _Presence(index)
    for down in presence.downs:
        parent = index.tree.parent(down.peer) if down.peer in index.tree else None
        if parent == down.at and down.t < presence.last and presence.could_be_told(down):
            for machine in index.tree.subtree(down.peer):
                if presence.was_there(machine, down) and not any(t >= down.t for t in presence.gone[machine]):
                    went = "it" if machine == down.peer else f"{machine}, below it,"
                    text = f"the terminal's program was never told that {went} is gone"
                    yield about_machine(machine, f"{down.at} saw {down.peer} go, and {text}")


class _Presence:
    """Who came and went, and when the terminal's program heard of it."""

    def __init__(self, index: Index) -> None:
        journal = index.evidence.journal
        self._index = index
        self._terminal = index.evidence.topology.terminal.id
        self.downs = [trace for trace in journal.traces if trace.do == "PeerDown"]
        self.last = max((entry.t for entry in journal.of("settled")), default=0)
        self.gone = self._heard("gone")
        self._shook = self._heard("shook")
        self._starts = [(entry.by, entry.t) for entry in journal.of("start")]

    def could_be_told(self, down: Trace) -> bool:
        """Whether nothing between the station and the terminal's program was out at about that time."""
        path = self._index.tree.path(down.at, "_" + self._terminal)
        around = down.t - seconds(AROUND_S), down.t + seconds(AROUND_S)
        if any(outage.overlaps(*around) for outage in self._index.outages.on(path, both_ways=True)):
            return False
        near = (other for other in self.downs if around[0] <= other.t <= around[1])
        return not any({other.at, other.peer} <= set(path) for other in near)

    def was_there(self, machine: str, down: Trace) -> bool:
        """Whether the machine had shaken hands since it went last, with all who were to remember that."""
        who = (down.at, self._terminal, "_" + self._terminal)
        begun = [t for by, t in self._starts if by in who and t < down.t]
        above = self._index.tree.upward(machine)
        went = [other.t for other in self.downs if other.t < down.t and other.peer in above and other.at in above]
        return any(max([0, *begun, *went]) < t < down.t for t in self._shook[machine])

    def _heard(self, what: str) -> dict[str, list[int]]:
        times: dict[str, list[int]] = defaultdict(list)
        for entry in self._index.evidence.journal.of(what):
            times[str(entry.value["machine"])].append(entry.t)
        return times
