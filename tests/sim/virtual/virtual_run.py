"""One run of faults and storms in a small virtual lab, and what came of it."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from sim.evidence.journal import Entry
from sim.lab.fault import Fault
from sim.lab.topology import Topology
from sim.phases import Conducted, conduct, judge
from sim.scenario import Bounds, Example, Scenario, Send
from sim.virtual.lab import VirtualLab

LAB = """\
name: tiny
pilots:
  - id: rig_1
    subjects: [mouse_1]
    trials: {every_s: 0.5, stages: 2, bytes: 50}
    children: [{id: box, streams: {wheel: {fields: [x], rate_hz: 20}, cam: {bytes: 20, rate_hz: 20, reliable: false}}}]
  - {id: rig_2, durable: true, trials: {every_s: 0.5, stages: 2, bytes: 50}}
session: {duration_s: 4}
repeat_interval_s: 1
"""


class Run:
    """One run of faults and storms, without a session, and what came of it."""

    def __init__(
        self,
        topology: Topology,
        *faults: Fault,
        storms: tuple[Example, ...] = (),
        seed: int = 1,
        bounds: Bounds = Bounds(),  # noqa: B008  # it is frozen
        signals: bool = False,
    ) -> None:
        topology = replace(topology, faults=faults)
        scenario = Scenario(topology=topology, seed=seed, examples=storms, bounds=bounds)
        scenario = replace(scenario, session=False, signals=signals)
        self.lab = VirtualLab(scenario.topology, seed=seed, bounds=bounds)
        self.conducted: Conducted = conduct(self.lab, scenario)
        entries = self.conducted.evidence().journal.entries
        self.begun = next((e.t for e in entries if e.what in ("fault", "made") and e.key in ("STORM", *VERBS)), 0)
        self.entries = entries
        self.checks = {check.name: check for check in judge(self.conducted.evidence())}

    @property
    def broke(self) -> list[str]:
        """What the checks say, and what did not settle."""
        said = [what for check in self.checks.values() if check.result != "pass" for what in check.violations]
        doubts = [doubt.text for doubt in self.conducted.unsettled]
        return [what for what in said if "nothing to look at" not in what] + doubts

    @property
    def explained(self) -> list[str]:
        return [what for check in self.checks.values() for what in check.explained]

    def handled(self, by: str = "T") -> list[Entry]:
        return [entry for entry in self.entries if (entry.what, entry.key, entry.by) == ("handled", "STORM", by)]

    def numbers(self, by: str = "T") -> list[int]:
        """Which of what was sent were handled, in that order, from 0."""
        made = [entry.id for entry in self.entries if entry.what == "made" and entry.key == "STORM"]
        return [made.index(entry.first or entry.id) for entry in self.handled(by)]

    def times(self, by: str = "T") -> list[float]:
        """Seconds after the first storm or fault."""
        return [(entry.t - self.begun) / 1e9 for entry in self.handled(by)]

    def settled(self) -> Counter[str]:
        return Counter(entry.value for entry in self.entries if entry.what == "settled" and entry.key == "STORM")

    def traces(self, do: str, at: str) -> list[float]:
        found = [trace for trace in self.conducted.journal.traces if (trace.do, trace.at) == (do, at)]
        return [(trace.t - self.begun) / 1e9 for trace in found]


VERBS = (
    *("kill", "restart", "pause", "resume"),
    *("cut", "heal", "hold", "release", "reset", "mute", "shape", "drop", "duplicate"),
)


def up(at_s: float, count: int = 1, *, frm: str = "rig_1", to: str = "T", sought: bool = True) -> Example:
    """From a rig to the terminal's station, unless it is said otherwise."""
    return Example(ops=(Send(frm=frm, to=to, burst=count, sought=sought),), at_s=at_s)
