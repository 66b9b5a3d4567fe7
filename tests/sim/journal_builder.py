"""Journals of a small lab in which faults strike, told at whatever second each thing happens."""

from __future__ import annotations

from typing import Any

from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.evidence.journal import Entry
from sim.lab.fault import Fault
from sim.lab.topology import Machine, Stream, Topology, Trials
from sim.verdict import Check
from tests.sim.checks.test_registry import MS, SEED, Story

WHEEL = Stream(fields=("x", "y"), rate_hz=10.0)
CAMERA = Stream(shape=(2, 3), dtype="uint16", rate_hz=5.0, reliable=False)


class Tale(Story):
    """A journal that begins at second 0, with a fault where one is told."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0
        self.note("start", "T")

    def at(self, seconds: float) -> Tale:
        """What comes next happens then."""
        self._now = max(0, int(seconds * 1e9) - MS)
        return self

    def fault(self, verb: str, target: str, *, what: str = "machine", way: str = "both", number: int = 0) -> Entry:
        """The parent did this to a machine or a link."""
        return self.note("fault", "parent", key=verb, to=target, value={"what": what, "way": way, "fault": number})

    def struck(self, verb: str, target: str, *, since: float, until: float, end: str, **facts: Any) -> Tale:
        """From then until then, with what ended it."""
        self.at(since).fault(verb, target, **facts)
        self.at(until).fault(end, target, **facts)
        return self

    def begin_life(self, *names: str, life: int = 1) -> None:
        """Processes began a life."""
        for name in names:
            self.note("start", name, life=life)

    def frame(self, what: str, link: str, id: str = "") -> Entry:
        """A link lost or doubled one frame."""
        return self.note("frame", "parent", key=what, to=link, sender="", id=id, value={"to": ""})

    def made(self, id: str, frm: str, to: str, key: str = "STORM", *, sought: bool = True, **facts: Any) -> Entry:
        """Somebody was to send this."""
        return self.note("made", frm, id=id, key=key, to=to, sought=sought, print=f"of {id}", **facts)

    def handled(self, id: str, by: str, key: str = "STORM", **facts: Any) -> Entry:
        """And somebody handled it: himself, or what his station passed on."""
        own = {"id": id, "sender": "somebody"} if "first" not in facts else {"id": f"other {id}", "sender": "T"}
        return self.note("handled", by, key=key, print=f"of {id}", **{**own, **facts})

    def settled(self, id: str, by: str, value: str = "confirmed", key: str = "STORM", **facts: Any) -> Entry:
        """And its sender was told."""
        return self.note("settled", by, id=id, key=key, value=value, **facts)


def small_lab(*, durable: bool = False, **keys: Any) -> Topology:
    """T with rig_1 and rig_2; below rig_1 a cam."""
    machines = (
        Machine("T", children=("rig_1", "rig_2"), durable=durable),
        Machine(
            "rig_1",
            parent="T",
            children=("cam",),
            trials=Trials(),
            durable=durable,
            subjects=("mouse",),
            streams={"wheel": WHEEL, "camera": CAMERA},
        ),
        Machine("rig_2", parent="T", durable=durable),
        Machine("cam", parent="rig_1", durable=durable),
    )
    keys.setdefault("faults", (Fault(at_s=10, cut="rig_1"),))
    return Topology(name="small", path="small.yaml", machines=machines, **keys)


def evidence(tale: Tale, *, durable: bool = False, session: bool = False, **keys: Any) -> Evidence:
    """What checks are given. The entries are put in the order of their times."""
    topology = small_lab(durable=durable, **keys)
    tale.journal.entries.sort(key=lambda entry: entry.t)
    tale.journal.traces.sort(key=lambda trace: trace.t)
    return Evidence(topology=topology, seed=SEED, journal=tale.journal, session=session)


def checked(name: str, tale: Tale, **keys: Any) -> Check:
    """What one check has to say."""
    return next(check for check in check_all(evidence(tale, **keys)) if check.name == name)
