"""Drawn storms and scenarios can be played."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from autopilot_net import Message
from sim.emulator.sender import expanded
from sim.lab.topology import Topology
from sim.scenario import Crash, Flow, Opaque, Send, Twice
from sim.scenario.payloads import Payload, build, fingerprint
from sim.search.strategies import examples, messages, parts, payloads, scenarios, storms
from tests.sim.search.drawn import (
    A_FEW,
    FORK,
    LABS,
    check_lab,
    check_send,
    drawn,
    every_lab,
    home,
    is_probe,
    is_program,
)


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
        assert {type(op) for op in example.ops} == {Twice, Opaque}, "raw peers are part of every storm"


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


def test_faults_and_messages_meet() -> None:
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
