"""What processes hold and take is judged by journals that are made up."""

from __future__ import annotations

from typing import Any

from sim.checks.load.resources import check_resources, has_resources
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry, Journal
from sim.lab.topology import Machine, Topology

WHEEL = Machine("rig_1", parent="T", program="wheelbox:WheelBox")
LAB = Topology(name="two", path="two.yaml", machines=(Machine("T", children=("rig_1",)), WHEEL))
HELD = {"pid": 7, "threads": 4, "fds": 20}


def index_of(cpu_pct: float = 2.0, by: str = "rig_1 station", **after: Any) -> Index:
    entries = [
        Entry(t=1, by=by, what="used", n=0, value=HELD),
        Entry(t=2, by=by, what="idle", n=1, value={"cpu_pct": cpu_pct}),
        Entry(t=3, by=by, what="used", n=1, value={**HELD, **after}),
    ]
    return Index(Evidence(topology=LAB, seed=1, journal=Journal(entries=entries)))


def violations(index: Index) -> list[str]:
    return check_resources(index).violations


def test_a_process_that_holds_what_it_held_passes() -> None:
    assert check_resources(index_of(threads=6, fds=24)).result == "pass"


def test_threads_and_descriptors_that_are_kept_are_told() -> None:
    assert violations(index_of(threads=80)) == ["rig_1 station has 76 more threads after the load than before"]
    kept = "rig_1 station has 60 more open files and sockets after the load than before"
    assert violations(index_of(fds=80)) == [kept]


def test_the_next_life_of_a_process_is_not_compared_with_the_former() -> None:
    assert violations(index_of(pid=8, threads=80)) == []


def test_a_process_that_takes_cpu_while_nothing_happens_is_told() -> None:
    assert violations(index_of(60.0)) == ["rig_1 station takes 60 % of a core while nothing happens"]


def test_a_program_of_the_labs_own_may_be_busy() -> None:
    assert violations(index_of(60.0, by="rig_1 program")) == []


def test_in_virtual_time_nothing_is_measured() -> None:
    assert not has_resources(Index(Evidence(topology=LAB, seed=1, journal=Journal())))


def test_messages_that_are_kept_are_told() -> None:
    index = index_of()
    held = {"messages": 1_200, "handles": 3}
    index.evidence.journal.entries += [Entry(t=4, by=by, what="held", value=held) for by in ("_T", "_rig_1")]
    assert violations(index) == ["_T ends with 1,200 messages of the storms that were settled"], "not of a lab's own"
