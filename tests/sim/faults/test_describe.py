"""A fault is described in a sentence."""

import pytest

from sim.faults.describe import describe
from sim.lab.fault import Fault, Several


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(at_s=15, kill="rig_2", restart_after_s=20), "rig_2 is killed at 15 s, back after 20 s"),
        (Fault(at_s=2.5, kill=("a", "b_*"), what="program"), "the programs of a and all b_* are killed at 2.5 s"),
        (Fault(at_s=1, kill=("a", "b", "c")), "a, b and c are killed at 1 s"),
        (Fault(at_s=1, pause="T", resume_after_s=2), "T is paused at 1 s, resumed after 2 s"),
        (Fault(at_s=30, cut="rig_9_wheel", heal_after_s=8), "the link of rig_9_wheel is cut at 30 s, healed after 8 s"),
        (Fault(between_s=(1, 2), reset="*"), "the links of all machines are reset between 1 and 2 s"),
        (Fault(at_s=1, hold="a", release_after_s=2), "the link of a is held at 1 s, released after 2 s"),
        (Fault(at_s=1, cut="a", way="up"), "the link of a, upward, is cut at 1 s"),
        (Fault(at_s=1, stall="a", heal_after_s=2), "the link of a is held at 1 s, released after 2 s"),
        (Fault(at_s=1, heal="a", probability=0.5), "the link of a is healed at 1 s, with a probability of 0.5"),
        (
            Fault(at_s=1, slow="a", latency_ms=20, jitter_ms=5, rate_mbit=2, heal_after_s=4),
            "the link of a is slowed to 20 ms, ± 5 ms, 2 Mbit/s at 1 s, healed after 4 s",
        ),
        (
            Fault(at_s=1, drop="a", probability=0.3, key="DATA", first=2),
            "30 % of the DATA messages on the link of a are lost, 2 at most, from 1 s",
        ),
        (Fault(at_s=1, drop="a", first=2), "the first 2 messages on the link of a are lost from 1 s"),
        (Fault(at_s=1, duplicate="a", heal_after_s=1), "messages on the link of a are doubled from 1 s, for 1 s"),
        (Fault(at_s=1, power_cut="a", restart_after_s=4), "a and all below are without power at 1 s, back after 4 s"),
        (
            Fault(at_s=1, switch_dies=Several(depth=2, of="r*"), heal_after_s=3),
            "the links of all r* 2 below the terminal are cut together at 1 s, healed after 3 s",
        ),
        (Fault(at_s=1, wifi_bad="a", for_s=3), "the link of a has bad wifi from 1 s, for 3 s"),
        (
            Fault(at_s=1, swizzle=Several(random=3)),
            "some of the links of 3 of all machines, drawn, are cut, then healed, one by one from 1 s, for 10 s",
        ),
        (
            Fault(at_s=1, rolling_reboot="a_*", for_s=9),
            "all a_* are rebooted in turn at 1 s, each back after 1 s, within 9 s",
        ),
    ],
)
def test_a_fault_is_told_in_a_sentence(fault: Fault, sentence: str) -> None:
    assert describe(fault) == sentence
