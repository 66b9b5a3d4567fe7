"""What a fault comes to: who is struck, when, and how it ends; what is drawn is drawn by the seed, fault by fault."""

import os
import pickle
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from sim.faults.actions import Action, healing
from sim.faults.compile import actions
from sim.faults.describe import describe
from sim.lab.fault import VERBS, Fault, Link, Several, verb_of
from sim.lab.topology import Machine, Topology, TopologyError, load
from tests import ROOT
from tests.sim.faults.any_faults import FAULTS, SEEDS, any_fault
from tests.sim.faults.small_lab import TREE, done, lab


@pytest.mark.parametrize(
    ("target", "struck"),
    [
        ("rig_1", ["rig_1"]),
        ("T", ["T"]),
        ("rig_?", ["rig_1", "rig_2"]),
        ("*", ["rig_1", "rig_2", "rig_2_cam", "rig_2_wheel", "rig_2_wheel_mic", "box_3"]),
        (("box_3", "rig_2_*", "rig_2_cam"), ["rig_2_cam", "rig_2_wheel", "rig_2_wheel_mic", "box_3"]),
        (Several(depth=1), ["rig_1", "rig_2", "box_3"]),
        (Several(depth=2), ["rig_2_cam", "rig_2_wheel"]),
        (Several(depth=1, of="rig_*"), ["rig_1", "rig_2"]),
        (Several(random=9, of="rig_?"), ["rig_1", "rig_2"]),
        ("RIG_1", []),
        ("nobody", []),
    ],
)
def test_a_target_means_these_machines_in_the_order_of_the_file(target: Any, struck: list[str]) -> None:
    assert [who for _, _, who in done(Fault(at_s=1, kill=target))] == struck


def test_a_machine_may_have_an_id_that_looks_like_a_pattern() -> None:
    machines = (Machine(id="T"), Machine(id="rig[1]", parent="T"), Machine(id="rig1", parent="T"))
    topology = Topology(name="lab", path="lab.yaml", machines=machines, faults=(Fault(at_s=0, kill="rig[1]"),))
    assert [one.target for one in actions(topology, seed=1)] == ["rig[1]", "rig1"]


@pytest.mark.parametrize("verb", sorted(verb for verb, kind in VERBS.items() if kind.on == "link"))
def test_the_terminal_has_no_link_that_could_be_struck(verb: str) -> None:
    keys: dict[str, Any] = {verb: "T"}
    assert done(Fault(at_s=1, **keys)) == []


def test_so_many_are_drawn_and_each_seed_draws_its_own() -> None:
    fault = Fault(at_s=1, kill=Several(random=2, of="*"))
    draws = [{who for _, _, who in done(fault, seed=seed)} for seed in range(40)]
    assert {len(draw) for draw in draws} == {2}
    assert set.union(*draws) == set(TREE) - {"T"}


def test_a_time_is_drawn_from_its_window() -> None:
    times = {done(Fault(between_s=(2, 3), kill="rig_1"), seed=seed)[0][0] for seed in range(20)}
    assert all(2 <= time <= 3 for time in times)
    assert len(times) == 20


def test_what_is_likely_happens_as_often_as_it_should() -> None:
    struck = sum(bool(done(Fault(at_s=1, probability=0.3, kill="rig_1"), seed=seed)) for seed in range(400))
    assert 80 < struck < 160
    assert not done(Fault(at_s=1, probability=0.0, kill="rig_1"))


def test_the_chance_of_a_lost_message_is_the_link_s_to_roll() -> None:
    (action,) = actions(lab(Fault(at_s=1, probability=0.0, drop="rig_1", key="DATA", first=3, way="up")), seed=1)
    assert action == Action(
        at_us=1_000_000, verb="drop", target="rig_1", probability=0.0, key="DATA", first=3, way="up"
    )


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(at_s=1, kill="rig_1", restart_after_s=2), [(1, "kill", "rig_1"), (3, "restart", "rig_1")]),
        (Fault(at_s=1, pause="T", resume_after_s=0.5), [(1, "pause", "T"), (1.5, "resume", "T")]),
        (Fault(at_s=1, cut="rig_1", heal_after_s=2), [(1, "cut", "rig_1"), (3, "heal", "rig_1")]),
        (Fault(at_s=1, hold="rig_1", release_after_s=2), [(1, "hold", "rig_1"), (3, "release", "rig_1")]),
        (Fault(at_s=1, stall="rig_1", heal_after_s=2), [(1, "hold", "rig_1"), (3, "release", "rig_1")]),
        (Fault(at_s=1, slow="rig_1", latency_ms=9, heal_after_s=2), [(1, "shape", "rig_1"), (3, "heal", "rig_1")]),
        (Fault(at_s=1, drop="rig_1", heal_after_s=2), [(1, "drop", "rig_1"), (3, "heal", "rig_1")]),
        (Fault(at_s=1, duplicate="rig_1"), [(1, "duplicate", "rig_1")]),
        (Fault(at_s=1, reset="rig_1"), [(1, "reset", "rig_1")]),
        (Fault(at_s=1, restart="rig_1"), [(1, "restart", "rig_1")]),
        (
            Fault(at_s=1, switch_dies=("box_3", "rig_1"), heal_after_s=2),
            [(1, "cut", "rig_1"), (1, "cut", "box_3"), (3, "heal", "rig_1"), (3, "heal", "box_3")],
        ),
    ],
)
def test_a_fault_and_its_end(fault: Fault, expected: list[Any]) -> None:
    assert done(fault) == expected


def test_the_end_strikes_the_same_half_and_the_same_way() -> None:
    killed = actions(lab(Fault(at_s=1, kill="rig_1", what="program", restart_after_s=1)), seed=1)
    assert [one.what for one in killed] == ["program", "program"]
    cut = actions(lab(Fault(at_s=1, cut="rig_1", way="down", heal_after_s=1)), seed=1)
    assert [one.way for one in cut] == ["down", "down"]
    slow = actions(lab(Fault(at_s=1, slow="rig_1", latency_ms=1, way="up", heal_after_s=1)), seed=1)
    assert [one.way for one in slow] == ["up", "up"]


def test_what_slow_does_not_say_stays_as_the_link_s_own() -> None:
    own = {"rig_1": Link(latency_ms=8, jitter_ms=4, rate_mbit=20)}
    (slow,) = actions(lab(Fault(at_s=1, slow="rig_1", rate_mbit=2), links=own), seed=1)
    assert (slow.latency_ms, slow.jitter_ms, slow.rate_mbit) == (8, 4, 2)


def test_a_power_cut_is_silence_then_death_of_all_below_and_parents_are_back_first() -> None:
    dark = ["rig_2", "rig_2_cam", "rig_2_wheel", "rig_2_wheel_mic"]
    assert done(Fault(at_s=1, power_cut="rig_2", restart_after_s=4)) == [
        *((1, "cut", who) for who in dark),
        *((1, "kill", who) for who in dark),
        *((5, verb, who) for who in dark for verb in ("heal", "restart")),
    ]


def test_a_power_cut_of_the_terminal_takes_the_whole_lab_and_cuts_no_link_of_its_own() -> None:
    struck = done(Fault(at_s=0, power_cut=("T", "rig_2")))
    assert [who for _, verb, who in struck if verb == "kill"] == list(TREE)
    assert [who for _, verb, who in struck if verb == "cut"] == list(TREE)[1:]


def test_a_rolling_reboot_takes_one_after_the_other() -> None:
    assert done(Fault(at_s=1, rolling_reboot=("box_3", "rig_1"))) == [
        (1, "kill", "rig_1"),
        (2, "restart", "rig_1"),
        (2.5, "kill", "box_3"),
        (3.5, "restart", "box_3"),
    ]


@given(for_s=st.floats(0.1, 20), away_s=st.floats(0, 5), seed=st.integers(0, 99))
def test_a_rolling_reboot_is_over_in_time_with_one_away_at_most(for_s: float, away_s: float, seed: int) -> None:
    away: set[str] = set()
    reboots = done(Fault(at_s=0, rolling_reboot="*", for_s=for_s, restart_after_s=away_s), seed=seed)
    for _, verb, who in reboots:
        away = away | {who} if verb == "kill" else away - {who}
        assert len(away) <= 1
    assert reboots[-1][0] <= for_s + 1e-6
    assert len(reboots) == 2 * (len(TREE) - 1)


@given(seed=st.integers(0, 10_000))
def test_a_swizzle_cuts_some_in_the_first_half_and_heals_the_same_in_the_second(seed: int) -> None:
    swizzled = done(Fault(at_s=1, swizzle="*", for_s=4), seed=seed)
    cuts = [(at, who) for at, verb, who in swizzled if verb == "cut"]
    heals = [(at, who) for at, verb, who in swizzled if verb == "heal"]
    assert cuts
    assert {who for _, who in cuts} == {who for _, who in heals}
    assert len(cuts) == len(heals) == len({who for _, who in cuts})
    assert all(1 <= at < 3 for at, _ in cuts)
    assert all(3 < at <= 5 for at, _ in heals)


def test_a_swizzle_has_every_number_of_links_and_every_order() -> None:
    orders = set()
    for seed in range(400):
        swizzled = done(Fault(at_s=0, swizzle=("rig_1", "rig_2")), seed=seed)
        orders.add(tuple(who for _, _, who in swizzled))
    one, two = ("rig_1",), ("rig_2",)
    assert orders == {one * 2, two * 2} | {(a + b) + (c + d) for a, b in [(one, two), (two, one)] for c, d in
                                           [(one, two), (two, one)]}  # fmt: skip


@given(seed=st.integers(0, 10_000), for_s=st.floats(0.05, 15))
def test_bad_wifi_stays_within_its_time_and_ends_whole(seed: int, for_s: float) -> None:
    own = {"rig_1": Link(latency_ms=50, rate_mbit=2)}
    topology = lab(Fault(at_s=2, wifi_bad=("rig_1", "box_3"), for_s=for_s), links=own)
    bad = actions(topology, seed=seed)
    assert {one.target for one in bad} == {"rig_1", "box_3"}
    assert all(2 <= one.at_us / 1e6 <= 2 + for_s + 1e-6 for one in bad)
    assert healing(topology, bad) == ()
    for one in bad:
        if one.verb == "shape":
            assert 20 <= one.latency_ms <= 250
            assert one.rate_mbit is not None
            assert 1 <= one.rate_mbit <= (2 if one.target == "rig_1" else 5)
    waits: dict[str, int] = {}
    for one in bad:
        if one.verb == "hold":
            waits[one.target] = one.at_us
        elif one.verb == "release":
            assert one.at_us - waits.pop(one.target) <= 1_500_001


def test_bad_wifi_has_all_kinds_of_weather_and_a_sky_of_its_own_for_each_link() -> None:
    bad = done(Fault(at_s=0, wifi_bad=("rig_1", "box_3"), for_s=60))
    assert {verb for _, verb, _ in bad} == {"hold", "release", "shape", "heal", "reset"}
    skies = [[at for at, _, who in bad if who == one] for one in ("rig_1", "box_3")]
    assert skies[0] != skies[1]
    alone = done(Fault(at_s=0, wifi_bad="rig_1", for_s=10))
    assert len({round(at, 3) for at, _, _ in alone}) > 8


@given(faults=FAULTS, seed=SEEDS)
def test_actions_are_whole_in_order_and_the_same_again(faults: list[Fault], seed: int) -> None:
    topology = lab(*faults)
    found = actions(topology, seed=seed)
    assert [(one.at_us, one.fault) for one in found] == sorted((one.at_us, one.fault) for one in found)
    for one in found:
        assert type(one.at_us) is int
        assert one.at_us >= 0
        assert one.target in TREE
        assert one.target != "T" or one.verb in {"kill", "restart", "pause", "resume"}
        assert verb_of(faults[one.fault]) in VERBS
        assert " s" in describe(faults[one.fault])
        assert msgspec.json.decode(msgspec.json.encode(one), type=Action) == one
    assert actions(msgspec.json.decode(msgspec.json.encode(topology), type=Topology), seed=seed) == found


@given(fault=any_fault(), seed=SEEDS)
def test_a_fault_that_a_file_may_have_strikes_somebody_if_it_happens(
    fault: Fault, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "lab.yaml"
    children: dict[str, list[Any]] = {id: [] for id in TREE}
    for id, parent in TREE.items():
        if parent is not None:
            children[parent].append({"id": id, "children": children[id]})
    file = {"pilots": children["T"], "faults": [msgspec.to_builtins(fault)], "session": {"duration_s": 31}}
    path.write_text(yaml.safe_dump(file))
    try:
        topology = load(path)
    except TopologyError:
        event("refused")
        return
    event("read")
    assert topology.faults == (fault,)
    assert [machine.id for machine in topology.machines] == list(TREE)
    assert actions(topology, seed=seed) == actions(lab(fault), seed=seed)
    assert fault.probability < 1 or actions(topology, seed=seed)


@given(faults=FAULTS, seed=SEEDS, gone=st.integers(0, 5))
def test_without_one_fault_the_others_strike_as_before(faults: list[Fault], seed: int, gone: int) -> None:
    """Shrinking takes faults away, and must not thereby make others of those that stay."""
    distinct = list(dict.fromkeys(faults))
    gone = min(gone, len(distinct) - 1)
    rest = [fault for n, fault in enumerate(distinct) if n != gone]

    def of_each(faults: list[Fault]) -> dict[Fault, list[Action]]:
        found = actions(lab(*faults), seed=seed)
        return {
            fault: [msgspec.structs.replace(one, fault=0) for one in found if one.fault == n]
            for n, fault in enumerate(faults)
        }

    before, after = of_each(distinct), of_each(rest)
    assert all(after[fault] == before[fault] for fault in rest)


@pytest.mark.parametrize("fault", [Fault(at_s=1, swizzle="*", for_s=8), Fault(between_s=(0, 9), cut=Several(random=2))])
def test_a_fault_draws_the_same_when_it_comes_from_another_process_or_from_a_file(fault: Fault) -> None:
    from_file = msgspec.json.decode(msgspec.json.encode(fault), type=Fault)
    for twin in (pickle.loads(pickle.dumps(fault)), from_file):
        assert twin == fault
        assert done(twin) == done(fault)


def test_the_same_fault_twice_draws_twice() -> None:
    fault = Fault(between_s=(0, 10), kill="rig_1")
    first, second = done(fault, fault)
    assert first != second
    assert done(fault)[0] in (first, second)


def test_a_machine_less_in_the_lab_moves_no_draw_of_those_that_stay() -> None:
    fault = Fault(at_s=1, wifi_bad=Several(random=2, of="*"), for_s=3)
    whole = lab(fault)
    struck = {one.target for one in actions(whole, seed=3)}
    kept = tuple(m for m in whole.machines if m.id in {"T", "rig_2"} | struck)
    assert actions(msgspec.structs.replace(whole, machines=kept), seed=3) == actions(whole, seed=3)


def test_the_draws_are_the_same_under_any_hash_seed() -> None:
    code = (
        "from tests.sim.faults.small_lab import lab; from sim.faults import *; "
        "f = Fault(between_s=(0, 9), swizzle=Several(random=3)), Fault(at_s=1, wifi_bad='*'); "
        "print(actions(lab(*f), seed=5))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().count(b"Action(") > 10


@pytest.mark.parametrize("verbs", [{}, {"kill": "rig_1", "cut": "rig_1"}])
def test_a_fault_has_one_verb(verbs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one verb"):
        actions(lab(Fault(at_s=1, **verbs)), seed=1)
