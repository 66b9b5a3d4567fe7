"""Whatever storm is drawn over a lab can be played on it: between participants there are, along links there are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from autopilot_net import Message
from sim.emulator.sender import expanded
from sim.lab.fault import VERBS, Several
from sim.lab.topology import Machine, Topology, graph, load
from sim.scenario import Crash, Example, Flow, Opaque, Scenario, Send, Twice, load_scenario, save_scenario
from sim.scenario.payloads import Payload, build, fingerprint
from sim.search.draw import draws
from sim.search.strategies import examples, faults, messages, parts, payloads, scenarios, storms, topologies
from tests import ROOT

LABS = {
    name: load(ROOT / "topologies" / f"{name}.yaml")
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
T = TypeVar("T")
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


def drawn(strategy: st.SearchStrategy[T], count: int = 50) -> list[T]:
    """Many values, the same ones each time."""
    return [value for n in range(count // 10) for value in draws(strategy, seed=n, count=10)]


def test_storms_go_up_down_and_across_by_id_and_by_hops_confirmed_and_not() -> None:
    """What the strategies can draw, they do: else a storm would prove less than it says."""
    topology = FORK
    ops = [op for example in drawn(examples(topology)) for op in example.ops]
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


def as_yaml(topology: Topology) -> str:
    """The file that a person would have written for this lab."""

    def plain(struct: Any, *without: str) -> dict[str, Any]:
        values = msgspec.to_builtins(struct)
        defaults = {
            field.name: msgspec.to_builtins(field.default)
            for field in msgspec.structs.fields(struct)
            if field.default is not msgspec.NODEFAULT
        }
        return {
            key: value
            for key, value in values.items()
            if key not in without and value is not None and value != defaults.get(key, ...)
        }

    def entry(machine: Machine) -> dict[str, Any]:
        keys = plain(machine, "parent", "children", "streams")
        keys["streams"] = {name: plain(stream) for name, stream in machine.streams.items()}
        return keys | {"children": [entry(topology.machine(child)) for child in machine.children]}

    top = plain(topology, "path", "machines", "faults", "expect", "name")
    own = ("id", "host", "port", "durable")
    terminal = {key: value for key, value in entry(topology.terminal).items() if key in own}
    faults = [plain(fault) for fault in topology.faults]
    pilots = [entry(pilot) for pilot in topology.pilots]
    kinds: dict[str, Any] = {machine.kind: {} for machine in topology.machines if machine.kind}
    lab = {"name": topology.name, **top, "terminal": terminal, "kinds": kinds, "pilots": pilots, "faults": faults}
    return yaml.safe_dump(lab, sort_keys=False)


def check_lab(topology: Topology, folder: Path) -> None:
    """`load` would have made it of a file: so it keeps to all that is demanded of one."""
    path = folder / "drawn.yaml"
    path.write_text(as_yaml(topology))
    assert load(path) == replace(topology, path=path.as_posix(), expect=load(path).expect)


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


@settings(A_FEW, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data(), virtual=st.booleans())
def test_a_fault_of_a_lab_is_one_that_its_file_could_hold(data: st.DataObject, virtual: bool, tmp_path: Path) -> None:
    lab = data.draw(topologies())
    check_lab(replace(lab, faults=(data.draw(faults(lab, virtual=virtual)),)), tmp_path)


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


def test_faults_are_of_every_verb_and_those_that_tcp_hides_are_for_virtual_time() -> None:
    verbs = {name for fault in drawn(faults(FORK), 400) for name in VERBS if getattr(fault, name) is not None}
    assert verbs == set(VERBS) - {"restart", "resume", "heal", "release"}, "what ends others is drawn with them"
    ends = {
        name
        for scenario in drawn(scenarios(FORK), 600)
        for fault in scenario.topology.faults
        for name in ("restart", "resume", "heal", "release")
        if getattr(fault, name) is not None
    }
    assert ends == {"restart", "resume", "heal", "release"}
    real = drawn(faults(FORK, virtual=False), 400)
    assert not any(fault.drop or fault.duplicate for fault in real)
    assert any(fault.kill for fault in real)


def test_faults_strike_one_some_and_patterns_at_a_time_or_about_it() -> None:
    found = drawn(faults(FORK, around_s=1.5), 400)
    targets = [next(t for v in VERBS if (t := getattr(fault, v)) is not None) for fault in found]
    assert {type(target) for target in targets} == {str, tuple, Several}
    assert "*" in targets
    assert "T" in targets
    assert {fault.at_s is None for fault in found} == {fault.between_s is None for fault in found} == {True, False}
    begun = [fault.between_s[0] if fault.between_s else fault.at_s or 0.0 for fault in found]
    assert (min(begun), max(begun)) == (1.0, 2.5)


def test_what_strikes_meets_what_is_sent() -> None:
    """Storms and faults are within the same second, else hardly any message would ever meet a fault."""
    found = drawn(scenarios(), 200)
    both = [scenario for scenario in found if scenario.examples and scenario.topology.faults]
    near = 0
    for scenario in both:
        sent = [example.at_s for example in scenario.examples if example.at_s is not None]
        struck = [fault.at_s or (fault.between_s or (0.0,))[0] for fault in scenario.topology.faults]
        near += min(abs(a - b) for a in sent for b in struck) <= 0.1
    assert len(both) > 100
    assert near > len(both) * 0.7
    assert {scenario.session for scenario in found} == {True, False}
    assert all(scenario.session or scenario.examples for scenario in found), "something is always played"


@every_lab
@settings(A_FEW, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_scenario_over_parts_of_a_lab_is_whole(topology: Topology, tmp_path: Path, data: st.DataObject) -> None:
    scenario = data.draw(scenarios(parts(topology)))
    check_lab(scenario.topology, tmp_path)
    for example in scenario.examples:
        assert example.at_s is not None
        for op in example.ops:
            if isinstance(op, Send):
                check_send(scenario.topology, op)


@A_FEW
@given(data=st.data())
def test_a_scenario_for_processes_has_nothing_that_they_cannot_do(data: st.DataObject) -> None:
    scenario = data.draw(scenarios(FORK, virtual=False))
    assert replace(scenario.topology, faults=()) == FORK
    assert not any(fault.drop or fault.duplicate for fault in scenario.topology.faults)


@A_FEW
@given(data=st.data())
def test_a_message_is_one_that_a_storm_could_hold(data: st.DataObject) -> None:
    check_send(FORK, data.draw(messages(FORK)))
    light = data.draw(messages(FORK, most=2, light=True))
    assert light.burst <= 2
    assert light.payload.array is None


def test_storms_are_what_examples_were() -> None:
    assert storms is examples
