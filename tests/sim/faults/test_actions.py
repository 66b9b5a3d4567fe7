"""Healing ends what still lasts after the actions of faults, and nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given

from sim.faults.actions import ENDS, Action, healing
from sim.faults.compile import actions
from sim.lab.fault import Fault
from tests.sim.faults.any_faults import FAULTS, SEEDS
from tests.sim.faults.small_lab import TREE, lab


def test_healing_ends_what_still_lasts_parents_first_and_links_before_machines() -> None:
    topology = lab(
        Fault(at_s=1, power_cut="rig_2_wheel"),
        Fault(at_s=2, kill="rig_2"),
        Fault(at_s=3, pause="T", what="program"),
        Fault(at_s=3, hold="box_3", way="up"),
        Fault(at_s=3, drop="box_3"),
        Fault(at_s=4, kill="rig_1", restart_after_s=1),
    )
    ended = healing(topology, actions(topology, seed=1))
    assert [(one.verb, one.target, one.what, one.way, one.fault) for one in ended] == [
        ("resume", "T", "program", "both", 2),
        ("restart", "rig_2", "machine", "both", 1),
        ("heal", "rig_2_wheel", "machine", "both", 0),
        ("restart", "rig_2_wheel", "machine", "both", 0),
        ("heal", "rig_2_wheel_mic", "machine", "both", 0),
        ("restart", "rig_2_wheel_mic", "machine", "both", 0),
        ("heal", "box_3", "machine", "both", 4),
        ("release", "box_3", "machine", "up", 3),
    ]
    assert {one.at_us for one in ended} == {5_000_000}


@pytest.mark.parametrize(
    ("faults", "left"),
    [
        ([Fault(at_s=1, kill="rig_1"), Fault(at_s=2, restart="rig_1", what="station")], [("restart", "program")]),
        ([Fault(at_s=1, pause="rig_1"), Fault(at_s=2, kill="rig_1", restart_after_s=1)], []),
        ([Fault(at_s=1, kill="rig_1", restart_after_s=2), Fault(at_s=2, pause="rig_1")], []),
        ([Fault(at_s=1, pause="rig_1"), Fault(at_s=2, kill="rig_1", what="station", restart_after_s=1)],
         [("resume", "program")]),
        ([Fault(at_s=1, reset="rig_1")], []),
        ([Fault(at_s=1, cut="rig_1"), Fault(at_s=1, slow="rig_1", latency_ms=1), Fault(at_s=2, heal="*")], []),
    ],
)  # fmt: skip
def test_what_is_left_to_heal(faults: list[Fault], left: list[tuple[str, str]]) -> None:
    topology = lab(*faults)
    assert [(one.verb, one.what) for one in healing(topology, actions(topology, seed=1))] == left


@given(faults=FAULTS, seed=SEEDS)
def test_after_healing_nothing_lasts(faults: list[Fault], seed: int) -> None:
    topology = lab(*faults)
    found = actions(topology, seed=seed)
    ended = healing(topology, found)
    assert lasting([*found, *ended]) == set()
    order = [(list(TREE).index(one.target), one.verb in {"restart", "resume"}) for one in ended]
    assert order == sorted(order)
    assert healing(topology, [*found, *ended]) == ()
    for skipped in range(len(ended)):
        assert lasting([*found, *ended[:skipped], *ended[skipped + 1 :]]), "nothing is ended that did not last"


def lasting(done: Sequence[Action]) -> set[tuple[str, str, str]]:
    """What is still broken after these, worked out by a machine for each part."""
    parts: dict[tuple[str, str], set[str]] = {}
    for one in done:
        halves = {"machine": ("station", "program"), "both": ("up", "down")}
        of_machine = one.verb in {"kill", "restart", "pause", "resume"}
        word = one.what if of_machine else one.way
        for half in halves.get(word, (word,)):
            state = parts.setdefault((one.target, half), set())
            state -= {verb for verb, end in ENDS.items() if end == one.verb}
            if one.verb in ENDS and not (one.verb == "pause" and "kill" in state):
                state.add(one.verb)
            if one.verb == "kill":
                state.discard("pause")
    return {(who, half, verb) for (who, half), state in parts.items() for verb in state}
