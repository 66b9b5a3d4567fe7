"""The virtual world: the same to the byte, every fault does what it says, and an hour does not take an hour."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.evidence.journal import Entry
from sim.lab.fault import Fault, Several, What
from sim.lab.topology import Topology, load
from sim.phases import Conducted, conduct, judge
from sim.scenario import Example, Scenario, Send
from sim.search.determinism import digest_of, digests
from sim.virtual.lab import VirtualLab
from sim.world import LabError

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


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    path = tmp_path / "tiny.yaml"
    path.write_text(LAB)
    return load(path)


class Run:
    """One run of faults and storms, without a session, and what came of it."""

    def __init__(self, topology: Topology, *faults: Fault, storms: tuple[Example, ...] = (), seed: int = 1) -> None:
        scenario = Scenario(topology=replace(topology, faults=faults), seed=seed, examples=storms, session=False)
        self.lab = VirtualLab(scenario.topology, seed=seed)
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


VERBS = ("kill", "restart", "pause", "resume", "cut", "heal", "hold", "release", "reset", "shape", "drop", "duplicate")


def up(at_s: float, count: int = 1, *, frm: str = "rig_1", to: str = "T", sought: bool = True) -> Example:
    """From a rig to the terminal's station, unless it is said otherwise."""
    return Example(ops=(Send(frm=frm, to=to, burst=count, sought=sought),), at_s=at_s)


# The same again

EVERYTHING = (
    Fault(between_s=(0.2, 0.6), wifi_bad="rig_1", for_s=1),
    Fault(at_s=0.5, drop="rig_2", probability=0.4, heal_after_s=1),
    Fault(at_s=0.7, swizzle=Several(random=2), for_s=1),
    Fault(at_s=1, duplicate="box", heal_after_s=0.5),
    Fault(at_s=1.5, rolling_reboot="rig_?", restart_after_s=0.3),
    Fault(at_s=2, pause="T", resume_after_s=0.5),
)


def scenario_of(topology: Topology, seed: int) -> Scenario:
    return Scenario(topology=replace(topology, faults=EVERYTHING), seed=seed, examples=(up(0.8, 5),), draw=1)


def test_a_run_is_the_same_to_the_byte_whatever_the_hash_seed_and_the_process(topology: Topology) -> None:
    scenario = scenario_of(topology, 4)
    one, other = digests(scenario)
    assert one == other == digest_of(scenario) == digest_of(scenario)


def test_another_seed_is_another_run(topology: Topology) -> None:
    plain = Scenario(topology=topology, seed=0, examples=(up(0.1),), session=False)  # only wires are drawn in it
    assert len({digest_of(replace(plain, seed=seed)) for seed in range(4)}) == 4


def test_what_was_written_down_is_told_once_and_in_order(topology: Topology) -> None:
    lab = VirtualLab(topology, seed=1)
    lab.start()
    first = lab.more()
    lab.await_handshakes()
    second = lab.more()
    assert first.entries
    assert second.entries
    times = [entry.t for entry in (*first.entries, *second.entries)]
    assert times == sorted(times)
    assert (lab.more().entries, lab.more().traces) == ([], [])


# Links


def test_what_is_sent_during_a_cut_is_handled_after_it(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, cut="rig_1", heal_after_s=2), storms=(up(1, 3),))
    assert run.numbers() == [0, 1, 2]
    assert min(run.times()) > 2
    assert run.settled() == {"confirmed": 3}
    assert run.broke == []


def test_what_nobody_is_to_confirm_is_lost_in_a_cut_and_that_is_told(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, cut="rig_1", heal_after_s=2), storms=(up(1, 3, sought=False),))
    assert run.numbers() == []
    why = "was lost: the link from rig_1 up to T was cut"
    assert len([what for what in run.explained if why in what]) == 3
    assert run.broke == []


def test_a_cut_of_one_way_lets_the_other_pass(topology: Topology) -> None:
    storms = (up(1, 2), up(1, 2, frm="T", to="rig_1"))
    run = Run(topology, Fault(at_s=0, cut="rig_1", way="up", heal_after_s=2), storms=storms)
    assert min(run.times("T")) > 2
    assert max(run.times("rig_1")) < 1.1
    assert run.broke == []


def test_the_end_of_what_was_slow_one_way_is_not_the_end_of_a_cut_the_other_way(topology: Topology) -> None:
    slow = Fault(at_s=0.5, slow="rig_1", way="up", latency_ms=1, heal_after_s=0.5)
    run = Run(topology, slow, Fault(at_s=0.5, cut="rig_1", way="down", heal_after_s=2), storms=(up(0, 1),))
    assert [at for at in run.traces("PeerDown", "rig_1") if at < 1.5] == [], "no connection ended with the slowness"
    assert [at for at in run.traces("PeerDown", "rig_1") if 2.5 < at < 2.51]
    assert run.broke == []


@pytest.mark.parametrize(("seconds", "is_noticed"), [(3.0, False), (7.0, True)])
def test_above_a_cut_nobody_notices_until_it_has_been_silent_for_long(
    topology: Topology, seconds: float, is_noticed: bool
) -> None:
    run = Run(topology, Fault(at_s=0.5, cut="rig_1", way="up", heal_after_s=seconds), storms=(up(0, 1),))
    lost = [at for at in run.traces("PeerDown", "T") if 0.5 < at < 0.5 + seconds]
    assert bool(lost) is is_noticed
    assert all(at > 6 for at in lost)
    assert run.broke == []


def test_what_is_held_goes_on_in_its_order_and_nothing_is_lost(topology: Topology) -> None:
    run = Run(
        topology, Fault(at_s=0, hold="rig_1", release_after_s=1.5), storms=(up(0.5, 3, sought=False), up(0.6, 3))
    )
    assert run.numbers() == [0, 1, 2, 3, 4, 5]
    assert min(run.times()) > 1.5
    assert max(run.times()) < 1.7  # the handlers of a storm may take their time
    assert run.broke == []


def test_a_stall_is_a_hold_that_ends(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, stall="rig_1", heal_after_s=1), storms=(up(0.5, 2, sought=False),))
    assert run.numbers() == [0, 1]
    assert all(1 < at < 1.2 for at in run.times())


def test_after_a_reset_they_connect_again_and_what_was_under_way_is_repeated(topology: Topology) -> None:
    slow = Fault(at_s=0, slow="rig_1", latency_ms=300)
    run = Run(topology, slow, Fault(at_s=0.6, reset="rig_1"), storms=(up(0.5, 2), up(0.5, 2, sought=False)))
    for end in ("T", "rig_1"):
        assert [at for at in run.traces("PeerDown", end) if 0.6 < at < 0.61]
        assert [at for at in run.traces("PeerUp", end) if 0.6 < at < 2.5]
    assert sorted(set(run.numbers())) == [0, 1]  # those that nobody repeats were under way
    assert run.settled() == {"confirmed": 2}
    assert run.broke == []


def test_slow_is_as_slow_as_it_says_and_a_heal_ends_it(topology: Topology) -> None:
    slow = Fault(at_s=0, slow="rig_1", latency_ms=200, heal_after_s=2)
    first, second = Run(topology, slow, storms=(up(1), up(3))).times()
    assert 1.2 < first < 1.21
    assert 3 < second < 3.01


def test_a_rate_makes_what_comes_in_numbers_late(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, slow="rig_1", rate_mbit=0.02, heal_after_s=3), storms=(up(0.5, 5),))
    times = run.times()
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert all(0.05 < gap < 0.5 for gap in gaps), gaps  # a few hundred bytes at 2.5 kB a second


def test_the_first_messages_of_a_key_are_dropped_and_no_others(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, drop="rig_1", key="STORM", first=2), storms=(up(0.5, 4, sought=False),))
    assert run.numbers() == [2, 3]
    made = [entry.id for entry in run.entries if (entry.what, entry.key) == ("made", "STORM")]
    frames = [(entry.key, entry.to, entry.id, entry.sender) for entry in run.entries if entry.what == "frame"]
    assert frames == [("drop", "rig_1", id, "rig_1") for id in made[:2]]
    assert len([what for what in run.explained if "was lost" in what]) == 2
    assert run.broke == []


def test_what_is_dropped_and_sought_is_repeated_in_its_order(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, drop="rig_1", key="STORM", first=2), storms=(up(0.5, 4),))
    assert run.numbers() == [0, 1, 2, 3]
    assert run.settled() == {"confirmed": 4}
    assert run.broke == []


def test_a_share_of_all_is_dropped(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, drop="rig_1", key="STORM", probability=0.5), storms=(up(0.5, 200, sought=False),))
    assert 60 < len(run.handled()) < 140
    assert run.broke == []


def test_what_is_doubled_is_handled_once_if_it_is_numbered(topology: Topology) -> None:
    storms = (up(0.5, 2), up(0.6, 1, sought=False))
    run = Run(topology, Fault(at_s=0, duplicate="rig_1", key="STORM"), storms=storms)
    assert run.numbers() == [0, 1, 2, 2]
    assert [entry.key for entry in run.entries if entry.what == "frame"] == ["duplicate"] * 3
    assert run.broke == []


# Machines


def test_what_is_sent_to_who_stands_still_waits_and_is_handled_when_it_goes_on(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0, pause="T", resume_after_s=2), storms=(up(1, 3), up(1.1, 2, sought=False)))
    assert run.numbers() == [0, 1, 2, 3, 4]
    assert all(2 <= at < 2.2 for at in run.times())
    assert not run.traces("PeerDown", "rig_1")
    assert run.broke == []


def test_one_half_of_a_machine_can_be_struck(topology: Topology) -> None:
    storms = (up(0.5, frm="T", to="rig_1"), up(0.5, frm="_rig_1", to="T"))
    run = Run(topology, Fault(at_s=0, pause="rig_1", what="program", resume_after_s=1), storms=storms)
    assert max(run.times("rig_1")) < 0.6
    assert min(run.times("T")) > 1
    assert run.broke == []


@pytest.mark.parametrize(
    ("what", "again"), [("station", {"rig_1"}), ("program", {"_rig_1"}), ("machine", {"rig_1", "_rig_1"})]
)
def test_a_half_that_is_killed_leaves_the_other(topology: Topology, what: What, again: set[str]) -> None:
    run = Run(topology, Fault(at_s=0, kill="rig_1", what=what, restart_after_s=0.5), storms=(up(1, frm="_rig_1"),))
    assert {entry.by for entry in run.entries if (entry.what, entry.life) == ("start", 1)} == again
    assert len(run.handled()) == 1
    assert run.broke == []


@pytest.mark.parametrize(("sender", "arrive"), [("rig_1", []), ("rig_2", [0, 1, 2])])
def test_a_kill_takes_what_is_in_memory_and_a_durable_machine_has_it_elsewhere(
    topology: Topology, sender: str, arrive: list[int]
) -> None:
    faults = (Fault(at_s=0, cut=sender, heal_after_s=3), Fault(at_s=1.5, kill=sender, restart_after_s=0.5))
    run = Run(topology, *faults, storms=(up(0.5, 3, frm=sender),))
    assert run.numbers() == arrive
    assert len([what for what in run.explained if "lost with its sender" in what]) == 3 - len(arrive)
    assert run.broke == []


def test_who_was_killed_is_noticed_at_once_and_comes_back(topology: Topology) -> None:
    fault = Fault(at_s=1, kill="rig_1", restart_after_s=1)
    run = Run(topology, fault, storms=(up(0, frm="T", to="rig_1"), up(1.5, frm="T", to="rig_1")))
    assert any(1 < at < 1.1 for at in run.traces("PeerDown", "T"))
    assert [entry.life for entry in run.handled("rig_1")] == [0, 1]
    assert run.broke == []


def test_a_power_cut_is_silent_and_takes_all_that_is_below(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=1, power_cut="rig_1", restart_after_s=2), storms=(up(0, 1), up(4, 1, frm="box")))
    assert not [at for at in run.traces("PeerDown", "T") if 1 < at < 3]
    lives = {(entry.by, entry.life) for entry in run.entries if entry.what == "start"}
    assert {(name, 1) for name in ("rig_1", "_rig_1", "box", "_box")} <= lives
    assert ("rig_2", 1) not in lives
    assert run.broke == []


def test_what_is_not_ended_is_healed(topology: Topology) -> None:
    faults = (Fault(at_s=0, kill="rig_1"), Fault(at_s=0.2, cut="rig_2"), Fault(at_s=0.3, pause="box"))
    run = Run(topology, *faults, storms=(up(1, frm="T", to="box"), up(1, frm="rig_2")))
    assert len(run.handled("box")) == len(run.handled("T")) == 1
    assert run.checks["whole"].result == "pass"
    assert run.broke == []


# What it is not for, and how much it carries


def test_a_program_of_the_labs_own_is_refused_with_the_reason(topology: Topology) -> None:
    own = tuple(replace(machine, program="mylab:Box") for machine in topology.machines)
    with pytest.raises(LabError, match="runs on processes only, and not in virtual time: mylab:Box of T"):
        VirtualLab(replace(topology, machines=own), seed=1)


def test_a_session_of_fifty_machines_takes_seconds(tmp_path: Path) -> None:
    path = tmp_path / "fifty.yaml"
    path.write_text(
        'pilots: [{id: "rig_{n}", from: 1, to: 49, trials: {every_s: 1, stages: 1, bytes: 100}}]\n'
        "session: {duration_s: 20}\n"
    )
    lab, begun = VirtualLab(load(path), seed=1), time.process_time()
    conducted = conduct(lab, Scenario(topology=lab.topology, seed=1))
    took = time.process_time() - begun
    assert conducted.unsettled == []
    assert len([entry for entry in conducted.journal.of("handled") if entry.key == "DATA"]) > 900
    # It takes about one second: this finds blow-ups, and nothing finer.
    assert took < 30, f"{took:.1f} s for {lab.journal.effects} effects"


def test_what_was_slow_arrives_soon_once_its_link_is_whole(topology: Topology) -> None:
    slow = Fault(at_s=0, slow="rig_1", latency_ms=60_000, heal_after_s=2)
    run = Run(topology, slow, storms=(up(0.5, 4, sought=False),))
    assert run.numbers() == [0, 1, 2, 3]
    assert all(1.9 < time < 2.5 for time in run.times()), run.times()
