"""What fails is made as small as can be, the same way each time; and whatever is tried on the way can be played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.evidence.violation import Violation
from sim.faults.compile import actions
from sim.lab.fault import Fault, Several, verb_of
from sim.lab.topology import Link, Machine, Session, Stream, Topology, Trials, load
from sim.scenario import Example, Flow, Scenario, Send, Twice
from sim.scenario.payloads import Payload
from sim.search.draw import draws
from sim.search.shrink import alike, kinds, shrink, steps
from sim.search.strategies import parts, scenarios
from tests import ROOT
from tests.sim.findings import violation
from tests.sim.search.drawn import check_lab, check_send

LAB = load(ROOT / "topologies" / "lab.yaml")
DEEP = Topology(
    name="deep",
    path="deep.yaml",
    machines=(
        Machine("T", children=("a", "z")),
        Machine("a", parent="T", children=("b",), durable=True, trials=Trials(every_s=(1.0, 1.0))),
        Machine("b", parent="a", children=("c",), link=Link(latency_ms=5.0)),
        Machine("c", parent="b", streams={"s": Stream(fields=("x",), rate_hz=5.0, to="a")}),
        Machine("z", parent="T"),
    ),
    session=Session(duration_s=4.0),
)


def storm(*ops: Send | Flow | Twice, at_s: float | None = 1.3) -> Example:
    return Example(ops=ops, at_s=at_s)


def scenario(*examples: Example, faults: tuple[Fault, ...] = (), session: bool = False, seed: int = 7) -> Scenario:
    return Scenario(topology=replace(DEEP, faults=faults), seed=seed, examples=examples, session=session)


def verbs(scenario: Scenario) -> list[str]:
    return [verb_of(fault) for fault in scenario.topology.faults]


def ops(scenario: Scenario) -> list[object]:
    return [op for example in scenario.examples for op in example.ops]


def ids(scenario: Scenario) -> list[str]:
    return [machine.id for machine in scenario.topology.machines]


def test_steps_are_messages_faults_and_the_session() -> None:
    sent = storm(Send(frm="T", to="a", burst=9), Send(frm="T", to="b"))
    whole = scenario(sent, faults=(Fault(at_s=1.0, kill="a"),), session=True)
    assert steps(whole) == 4
    assert steps(replace(whole, session=False)) == 3


def test_everything_that_the_failure_does_not_need_is_taken_away() -> None:
    """A failure that takes a message from z and a kill of a: nobody else is left, nothing that they did, no session."""
    big = scenario(
        storm(Send(frm="T", to="a", burst=4), Send(frm="z", to="T", burst=8, hops=("T",), payload=Payload(text="[1]"))),
        storm(Flow(frm="_c", to="T", items=9, batch=3), Twice(at="b", to="c"), at_s=2.0),
        faults=(
            Fault(at_s=1.234, kill="a", restart_after_s=0.317),
            Fault(at_s=0.5, cut="c"),
            Fault(between_s=(1.0, 2.0), drop="b", key="STORM"),
        ),
        session=True,
    )

    def fails(one: Scenario) -> bool:
        return "kill" in verbs(one) and any(isinstance(op, Send) and op.frm == "z" for op in ops(one))

    least = shrink(big, fails)
    assert steps(least) == 2
    assert ids(least) == ["T", "a", "z"]
    assert ops(least) == [Send(frm="z", to="T")]
    assert least.topology.faults == (Fault(at_s=0.0, kill="a"),)
    assert [example.at_s for example in least.examples] == [0.0]
    assert all(machine == Machine(machine.id, parent=machine.parent) for machine in least.topology.machines[1:])
    assert (least.session, least.seed) == (False, 0)


def test_a_machine_between_is_taken_out_and_its_children_move_up() -> None:
    far = Send(frm="T", to="c.probe", hops=("a", "b", "c", "c.probe"))
    least = shrink(scenario(storm(far)), lambda one: any(op.to == "c.probe" for op in ops(one)))  # type: ignore[attr-defined]
    assert [(machine.id, machine.parent) for machine in least.topology.machines] == [("T", None), ("c", "T")]
    assert ops(least) == [Send(frm="T", to="c.probe", hops=("c", "c.probe"))]
    check_send(least.topology, least.examples[0].ops[0])  # type: ignore[arg-type]


def test_everything_that_the_failure_needs_is_kept() -> None:
    def fails(one: Scenario) -> bool:
        deep = len(ids(one)) >= 3 and any(m.durable for m in one.topology.machines)
        return deep and any(isinstance(op, Send) and op.burst >= 3 for op in ops(one))

    least = shrink(scenario(storm(Send(frm="c", to="T", burst=13)), session=True), fails)
    assert [op.burst for op in ops(least)] == [3]  # type: ignore[attr-defined]
    assert len(ids(least)) == 3
    assert [machine.id for machine in least.topology.machines if machine.durable] == ["a"]


@pytest.mark.parametrize("target", ["*", ("a", "z"), Several(random=2)])
def test_of_several_targets_the_one_that_matters_is_left(target: str | tuple[str, ...] | Several) -> None:
    whole = scenario(faults=(Fault(at_s=2.0, kill=target, probability=1.0),), session=True)
    struck = [action.target for action in actions(whole.topology, seed=whole.seed)]

    def fails(one: Scenario) -> bool:
        return struck[-1] in [action.target for action in actions(one.topology, seed=one.seed)]

    least = shrink(whole, fails)
    assert least.topology.faults == (Fault(at_s=0.0, kill=struck[-1]),)


@pytest.mark.parametrize("verb", ["wifi_bad", "swizzle", "rolling_reboot", "power_cut", "switch_dies"])
def test_a_storm_of_faults_becomes_the_one_of_them_that_matters(verb: str) -> None:
    whole = scenario(storm(Send(frm="T", to="c")), faults=(Fault(at_s=0.5, **{verb: "b"}),))  # type: ignore[arg-type]
    begun = actions(whole.topology, seed=whole.seed)
    matters = next(action for action in reversed(begun) if action.verb not in {"heal", "release", "restart"})

    def fails(one: Scenario) -> bool:
        done = actions(one.topology, seed=one.seed)
        return any((action.verb, action.target) == (matters.verb, matters.target) for action in done)

    least = shrink(whole, fails)
    [fault] = least.topology.faults
    assert verb_of(fault) in {"kill", "cut", "hold", "reset", "slow"}, "plain, and not a storm any more"
    assert steps(least) == 1


def test_a_flow_that_need_not_be_one_is_a_message() -> None:
    least = shrink(scenario(storm(Flow(frm="_a", to="T", items=20, batch=4))), lambda one: bool(ops(one)))
    assert ops(least) == [Send(frm="_a", to="T")]
    flows = shrink(
        scenario(storm(Flow(frm="_a", to="T", items=20, batch=4))),
        lambda one: any(isinstance(op, Flow) and op.items > 4 for op in ops(one)),
    )
    assert ops(flows) == [Flow(frm="_a", to="T", items=5, batch=1)]


def test_the_smallest_scenario_fails_the_same_check() -> None:
    """A smaller scenario that breaks something else is another bug: this one is looked for on."""

    order, lost = violation("order: two changed places"), violation("confirm: lost")

    def run(one: Scenario) -> list[Violation]:
        many = len(ops(one))
        return [order, lost] if many >= 2 else [lost] if many else []

    big = scenario(storm(*[Send(frm="T", to="a")] * 5))
    least = shrink(big, alike(run, run(big)))
    assert len(ops(least)) == 2
    assert kinds(run(least)) == ["order", "confirm"]


def test_shrinking_ends_when_told_and_keeps_the_smallest_so_far() -> None:
    tried = []

    def fails(one: Scenario) -> bool:
        tried.append(one)
        return bool(ops(one))

    big = scenario(storm(*[Send(frm="T", to="a", burst=9)] * 8), session=True)
    least = shrink(big, fails, enough=lambda: len(tried) >= 3)
    assert len(tried) == 3
    assert steps(least) < steps(big)
    assert fails(least)


def test_a_scenario_that_does_not_fail_again_is_unchanged() -> None:
    big = scenario(storm(Send(frm="T", to="a", burst=9)), session=True)
    assert shrink(big, lambda _: False) is big


def by_digits(scenario: Scenario) -> bool:
    """A failure of no rhyme or reason, which keeps the search from running straight down."""
    return sum(repr(scenario).encode()) % 3 != 0


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), over=st.booleans())
def test_every_candidate_can_be_played_and_shrinking_is_deterministic(
    seed: int, over: bool, tmp_path: Path
) -> None:
    [*_, drawn] = draws(scenarios(parts(LAB)) if over else scenarios(), seed=seed, count=3)

    def watching(tried: list[Scenario]) -> Callable[[Scenario], bool]:
        def fails(one: Scenario) -> bool:
            tried.append(one)
            return by_digits(one)

        return fails

    first: list[Scenario] = []
    second: list[Scenario] = []
    least = shrink(drawn, watching(first))
    assert least == shrink(drawn, watching(second))
    assert first == second
    assert steps(least) <= steps(drawn)
    for one in first:
        machines = set(ids(one))
        for op in ops(one):
            if isinstance(op, Send):
                check_send(one.topology, op)
            else:
                assert {getattr(op, "at", "T"), op.to} <= machines  # type: ignore[attr-defined]
    check_lab(replace(least.topology, faults=()), tmp_path)  # a fault may strike nobody, and is harmless then
