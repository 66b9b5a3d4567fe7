"""When faults struck a path: from their beginning until what they struck works again."""

from __future__ import annotations

from sim.checks.recovery import recoveries
from sim.evidence.index import Index
from sim.evidence.outage import BEFORE_S, Outage, seconds
from sim.evidence.spans import Span, merged
from sim.lab.names import machine_of

__all__ = ["FaultWindows"]


class FaultWindows:
    """The windows of the faults of a run."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._took = {id(found.outage): found.took_s for found in recoveries(index)} if index.outages else {}
        times = [entry.t for entry in index.evidence.journal.entries]
        self._run = (min(times, default=0), max(times, default=0))
        self._known: dict[tuple[str, str], list[Span]] = {}

    def on(self, path: tuple[str, str]) -> list[Span]:
        """The windows of the faults that struck a machine or a link between two participants."""
        if path not in self._known:
            frm, to = path
            tree = self._index.tree
            ends_known = machine_of(frm) in tree and machine_of(to) in tree
            way = tree.path(frm, to) if ends_known else []
            names = way if to in way or not way else [*way, to]
            struck = self._index.outages.on(names, both_ways=True)
            self._known[path] = merged(map(self._window, struck))
        return self._known[path]

    def between(self, windows: list[Span]) -> list[Span]:
        """The rest of the run."""
        begin, end = self._run
        bounds = [begin, *(t for window in windows for t in window), end]
        return [(since, until) for since, until in zip(bounds[::2], bounds[1::2], strict=True) if since < until]

    def _window(self, outage: Outage) -> Span:
        begins = outage.begins - seconds(BEFORE_S)
        if outage.ends is None:
            return begins, self._run[1]
        took_s = self._took.get(id(outage))
        late = outage.notice if took_s is None else seconds(took_s + BEFORE_S)
        return begins, outage.ends + late
