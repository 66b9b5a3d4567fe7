"""What a fault of a link does in virtual time: to what is sent, and to the connections on it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.lab.fault import Fault
from sim.lab.topology import Topology
from tests.sim.virtual.virtual_run import Run, up


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
    run = Run(topology, Fault(at_s=0, hold="rig_1", release_after_s=1.5), storms=(up(0.5, 3, sought=False), up(0.6, 3)))
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


def test_a_mute_connection_is_given_up_by_an_end_and_what_was_sent_on_it_is_repeated(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0.6, mute="rig_1"), storms=(up(1, 2), up(1, 2, sought=False)))
    assert [at for at in run.traces("Reconnect", "rig_1") if 4 < at < 9], "its silence is noticed"
    assert run.traces("PeerDown", "T") == [] or min(run.traces("PeerDown", "T")) > 4, "and nobody has told them"
    assert min(run.traces("PeerUp", "rig_1")[1:]) < min(run.traces("PeerDown", "T")) + 0.01, "but the new connection"
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


def test_what_was_slow_arrives_soon_once_its_link_is_whole(topology: Topology) -> None:
    slow = Fault(at_s=0, slow="rig_1", latency_ms=60_000, heal_after_s=2)
    run = Run(topology, slow, storms=(up(0.5, 4, sought=False),))
    assert run.numbers() == [0, 1, 2, 3]
    assert all(1.9 < time < 2.5 for time in run.times()), run.times()
