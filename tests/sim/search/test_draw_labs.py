"""Drawn labs, and drawn parts of labs, are of all kinds, and a file could hold each."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.lab.topology import Topology, graph
from sim.search.draw import draws
from sim.search.strategies import parts, topologies
from tests.sim.search.drawn import A_FEW, check_lab, drawn, every_lab


@settings(A_FEW, max_examples=60, suppress_health_check=list(HealthCheck))
@given(topology=topologies())
def test_a_drawn_lab_is_one_that_a_file_could_hold(topology: Topology, tmp_path: Path) -> None:
    check_lab(topology, tmp_path)


@every_lab
@settings(A_FEW, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_part_of_a_lab_is_one_too_and_small(topology: Topology, tmp_path: Path, data: st.DataObject) -> None:
    part = data.draw(parts(topology, max_machines=4))
    assert 2 <= len(part.machines) <= 4
    assert {machine.id for machine in part.machines} <= {machine.id for machine in topology.machines}
    assert all(machine.program is None for machine in part.machines), "those are on processes only"
    check_lab(part, tmp_path)


def test_labs_are_of_all_kinds() -> None:
    labs = drawn(topologies(), 200)
    assert {len(lab.machines) for lab in labs} == {2, 3, 4, 5, 6}
    assert {int(tree.nodes[name]["depth"]) for tree in map(graph, labs) for name in tree} == {0, 1, 2, 3}
    machines = [machine for lab in labs for machine in lab.machines]
    streams = [stream for machine in machines for stream in machine.streams.values()]
    for facts in (
        {machine.trials is None for machine in machines},
        {machine.link is None for machine in machines},
        {machine.durable for machine in machines},
        {lab.terminal.durable for lab in labs},
        {bool(lab.session.graduate) for lab in labs},
        {stream.reliable for stream in streams},
        {stream.burst is None for stream in streams},
        {stream.to is None for stream in streams},
    ):
        assert facts == {True, False}
    assert {stream.item for stream in streams} == {"array", "fields", "text"}


def test_the_least_lab_is_two_machines_that_do_nothing() -> None:
    [least] = draws(topologies(), seed=0, count=1)
    assert [machine.id for machine in least.machines] == ["T", "rig_1"]
    assert not any(machine.streams or machine.trials or machine.link or machine.durable for machine in least.machines)
