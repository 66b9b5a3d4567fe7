"""Whatever storm is drawn over a lab can be played on it: between participants there are, along links there are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autopilot_net import Message
from sim.payloads import Payload, build, fingerprint
from sim.scenario import Crash, Example, Flow, Opaque, Scenario, Send, Twice, load_scenario, save_scenario
from sim.speaker import expanded
from sim.strategies import examples, payloads
from sim.topology import Machine, Topology, load

LABS = {
    name: load(Path(__file__).parent.parent / "topologies" / f"{name}.yaml")
    for name in ("pair", "lab", "boxroom", "chain", "campus")
}
FORK = Topology(
    name="fork",
    path="fork.yaml",
    machines=(
        Machine("T", children=("rig_1", "rig_2")),
        Machine("rig_1", parent="T", children=("cam",)),
        Machine("cam", parent="rig_1"),
        Machine("rig_2", parent="T"),
    ),
)
A_FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
every_lab = pytest.mark.parametrize("topology", LABS.values(), ids=LABS)


def home(topology: Topology, participant: str) -> str:
    """The machine a participant is on: stations have its name, programs and probes one made of it."""
    [found] = [m.id for m in topology.machines if participant in (m.id, "_" + m.id, m.id + ".probe")]
    return found


def are_neighbours(topology: Topology, one: str, other: str) -> bool:
    """Stations are neighbours of their parents and children, and of the nodes on their own machine."""
    parents = {machine.id: machine.parent for machine in topology.machines}
    if one in parents and other in parents:
        return one == parents[other] or other == parents[one]
    return home(topology, one) == home(topology, other) and (one in parents or other in parents)


def is_program(name: str) -> bool:
    return name.startswith("_")


def is_probe(name: str) -> bool:
    return name.endswith(".probe")


def check_send(topology: Topology, send: Send) -> None:
    here, there = home(topology, send.frm), home(topology, send.to)
    assert send.frm != send.to
    assert send.burst >= 1
    assert not (is_program(send.to) and send.frm == here == there), "its station's own handler would get it"
    if is_probe(send.to) and here != there:
        assert send.hops, "a node elsewhere is found along hops only"
    if send.hops:
        assert send.hops[-1] == send.to
        way = [send.frm, *send.hops]
        assert len(set(way)) == len(way), "on a tree, that makes it the one shortest way"
        for one, other in zip(way, send.hops, strict=False):
            assert are_neighbours(topology, one, other), f"{one} has no link to {other}"


@every_lab
@A_FEW
@given(data=st.data())
def test_a_storm_is_runnable(topology: Topology, data: st.DataObject) -> None:
    example = data.draw(examples(topology))
    machines = {machine.id for machine in topology.machines}
    for op in example.ops:
        assert not isinstance(op, Crash), "a storm is not told apart by a crash: that is a phase of its own"
        if isinstance(op, Send):
            check_send(topology, op)
        elif isinstance(op, Flow):
            assert (op.to in machines, is_program(op.frm) or is_probe(op.frm)) == (True, True)
            assert home(topology, op.frm) in machines
            assert (op.items >= 0, op.batch >= 1) == (True, True)
        else:
            assert {op.at, op.to} <= machines
    assert sum(op.burst if isinstance(op, Send) else op.items if isinstance(op, Flow) else 0 for op in example.ops) <= (
        topology.storm.messages
    )
    assert Counter(type(op).__name__ for op in example.ops if isinstance(op, Twice | Opaque)) == {
        "Twice": 2,
        "Opaque": 1,
    }
    assert all(op.at != op.to for op in example.ops if isinstance(op, Opaque)), "it crosses a link"
    assert all(op.times >= 2 for op in example.ops if isinstance(op, Twice))


@settings(A_FEW)
@given(data=st.data(), messages=st.integers(0, 8))
def test_a_storm_of_few_messages_keeps_to_them(data: st.DataObject, messages: int) -> None:
    example = data.draw(examples(LABS["pair"], messages))
    assert sum(op.burst if isinstance(op, Send) else op.items if isinstance(op, Flow) else 0 for op in example.ops) <= (
        messages
    )
    if not messages:
        assert {type(op) for op in example.ops} == {Twice, Opaque}, "the bare actors are part of every storm"


def drawn(topology: Topology) -> list[Example]:
    """Many storms, the same ones each time."""
    found: list[Example] = []

    @settings(max_examples=50, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(examples(topology))
    def collect(example: Example) -> None:
        found.append(example)

    collect()
    return found


def test_storms_go_up_down_and_across_by_id_and_by_hops_confirmed_and_not() -> None:
    """What the strategies can draw, they do: else a storm would prove less than it says."""
    topology = FORK
    ops = [op for example in drawn(topology) for op in example.ops]
    sends = [op for op in ops if isinstance(op, Send)]
    depth = {"T": 0, "rig_1": 1, "rig_2": 1, "cam": 2}
    trips = [(home(topology, op.frm), home(topology, op.to)) for op in sends]
    assert {depth[there] - depth[here] for here, there in trips} == {-2, -1, 0, 1, 2}
    assert [trip for trip in trips if depth[trip[0]] == depth[trip[1]] and trip[0] != trip[1]], "across"
    assert {bool(op.hops) for op in sends} == {op.sought for op in sends} == {True, False}
    assert {op.burst > 1 for op in sends} == {True, False}
    assert {"_" * is_program(op.to) or "." * is_probe(op.to) for op in sends} == {"", "_", "."}
    assert {op.payload.array is not None for op in sends} == {True, False}
    assert {op.items % op.batch == 0 for op in ops if isinstance(op, Flow)} == {True, False}
    assert {op.numbered for op in ops if isinstance(op, Twice)} == {True, False}


@given(payloads())
def test_every_payload_can_be_sent_and_comes_back_bit_for_bit(payload: Payload) -> None:
    """Else a storm would blame the network for what no message can carry."""
    value = build(payload)
    message = Message(id="T_1", to="rig_1", sender="T", key="STORM", value={"payload": value})
    raw = message.serialize()
    assert fingerprint(expanded(Message(raw).value)["payload"]) == fingerprint(value)


@given(payloads())
def test_a_payload_is_data(payload: Payload) -> None:
    assert msgspec.json.decode(msgspec.json.encode(payload), type=Payload) == payload
    assert msgspec.json.decode(msgspec.json.encode(payload.text), type=str) == payload.text
    json.loads(payload.text)


@every_lab
@settings(A_FEW, suppress_health_check=list(HealthCheck), max_examples=5)
@given(data=st.data())
def test_a_scenario_is_the_same_after_it_was_written_and_read(
    topology: Topology, tmp_path: Path, data: st.DataObject
) -> None:
    storms = data.draw(st.lists(examples(topology), max_size=3).map(tuple))
    crash = Example(ops=(Crash(frm="T", to="rig_1"),))
    scenario = Scenario(topology=topology, seed=4, examples=(*storms, crash), session=False, why="it did not settle")
    save_scenario(scenario, tmp_path / "smallest.json")
    assert load_scenario(tmp_path / "smallest.json") == scenario


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"topology": 1, "seed": 2}'])
def test_what_is_no_scenario_is_refused(tmp_path: Path, raw: Any) -> None:
    (tmp_path / "smallest.json").write_bytes(raw)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        load_scenario(tmp_path / "smallest.json")
