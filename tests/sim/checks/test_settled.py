"""A lab that hangs is broken; one that may only be late is not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from autopilot_net.protocol.effects import Confirmed, Effect
from autopilot_net.protocol.reliable import Reliable
from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.lab.fault import Link
from sim.lab.topology import Stream, lasting, load
from sim.phases import conduct, judge
from sim.scenario import Scenario
from sim.verdict import Check
from sim.virtual.lab import VirtualLab
from tests import ROOT
from tests.sim.checks.healthy_run import check_of
from tests.sim.checks.test_recovery import came
from tests.sim.findings import violation
from tests.sim.journal_builder import Tale, evidence

OPEN = violation("unsettled: what became of _rig_1_7", messages=("_rig_1_7",))


def waited(*, until: float = 60.0, last: float = 15.0) -> Evidence:
    """A trial was handled at `last`; then only states came, and another trial never did."""
    tale = came(Tale(), last - 0.1, last)
    for second in range(int(last) + 1, int(until)):
        tale.at(second).note("state", "_T", sender="T", value={"pilot": "rig_1", "state": "IDLE"})
    return replace(evidence(tale), unsettled=[OPEN])


def settled(run: Evidence) -> Check:
    return check_of(run, "settled")


def test_a_lab_in_which_nothing_moves_any_more_is_broken() -> None:
    check = settled(waited())
    assert check.result == "fail"
    (found,) = check.broke
    assert found.messages == ("_rig_1_7",)
    assert found.text == (
        "it is not known what became of _rig_1_7: nothing was handled any more for 19 s, "
        "and no full CPU or link explains that"
    )


def test_a_lab_that_still_moves_is_only_late() -> None:
    check = settled(waited(last=45))
    assert (check.result, check.broke) == ("unknown", [])
    assert check.violations == [
        "not known: what became of _rig_1_7; messages were still being handled when time was up"
    ]


def test_on_full_cpus_nobody_can_tell() -> None:
    run = waited()
    run.busy = [(20 * 10**9, 40 * 10**9)]
    (text,) = settled(run).violations
    assert "full for 20.0 s of the run, so it may only be late. Run it again where nothing else runs" in text
    assert settled(run).result == "unknown"
    run.busy = [(0, 3 * 10**9)]  # the start of a lab takes all of a small computer
    assert settled(run).result == "fail"


def test_a_link_that_carries_less_than_is_sent_explains_it() -> None:
    run = waited()
    rig = replace(
        run.topology.machines[1],
        link=Link(rate_mbit=1.0),
        streams={"camera": Stream(shape=(480, 640), dtype="uint8", rate_hz=30.0)},
    )
    machines = (run.topology.machines[0], rig, *run.topology.machines[2:])
    check = settled(replace(run, topology=replace(run.topology, machines=machines)))
    assert check.result == "unknown"
    assert "a link carries less than is sent over it" in check.violations[0]


def test_a_run_without_a_journal_is_unknown_and_one_that_settled_has_no_such_check() -> None:
    run = waited()
    run.journal.entries.clear()
    assert settled(run).result == "unknown"
    assert "settled" not in [check.name for check in check_all(replace(waited(), unsettled=[]))]


def test_a_lab_that_hangs_for_a_bug_is_broken_in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender is not told of some confirmations, and waits for ever. Nothing else of it shows."""
    end = Reliable._end

    def forgetful(self: Reliable, *args: Any, **words: Any) -> list[Effect]:
        effects = end(self, *args, **words)
        return [e for e in effects if not (isinstance(e, Confirmed) and e.id.partition(".")[0].endswith("7"))]

    monkeypatch.setattr(Reliable, "_end", forgetful)
    topology = lasting(load(ROOT / "topologies" / "pair.yaml"), 2.0)
    run = conduct(VirtualLab(topology, seed=1), Scenario(topology=topology, seed=1, draw=0))
    assert "settled" in [check.name for check in judge(run.evidence()) if check.result == "fail"]
