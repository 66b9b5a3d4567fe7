"""The virtual world: the same to the byte, every fault does what it says, and an hour does not take an hour."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.lab.fault import Fault, Several
from sim.lab.topology import Topology, load
from sim.phases import conduct
from sim.scenario import Scenario
from sim.search.determinism import digest_of, digests
from sim.virtual.lab import VirtualLab
from sim.world import LabError
from tests.sim.virtual.virtual_run import up

EVERYTHING = (
    Fault(between_s=(0.2, 0.6), wifi_bad="rig_1", for_s=1),
    Fault(at_s=0.5, drop="rig_2", probability=0.4, heal_after_s=1),
    Fault(at_s=0.7, swizzle=Several(random=2), for_s=1),
    Fault(at_s=1, duplicate="box", heal_after_s=0.5),
    Fault(at_s=1.5, rolling_reboot="rig_?", restart_after_s=0.3),
    Fault(at_s=2, pause="T", resume_after_s=0.5),
)


def scenario_of(topology: Topology, seed: int) -> Scenario:
    lab = replace(topology, faults=EVERYTHING, storm=replace(topology.storm, load=False))
    return Scenario(topology=lab, seed=seed, examples=(up(0.8, 5),), draw=1)


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


def test_the_handlers_of_a_long_storm_are_quick_enough_for_any_patience(topology: Topology) -> None:
    impatient = replace(topology, repeat_interval_s=0.2)
    many = replace(up(0.0, 1_100), at_s=None)
    lab = VirtualLab(impatient, seed=1, storm_us=20_000)
    conducted = conduct(lab, Scenario(topology=impatient, seed=1, examples=(many,), session=False, signals=False))
    assert conducted.unsettled == []
