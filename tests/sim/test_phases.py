"""A run is conducted the same way in whatever world: here is one that only writes down what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sim.evidence.journal import Entry, Journal
from sim.evidence.violation import Violation
from sim.faults.actions import Action
from sim.lab.fault import Fault
from sim.lab.topology import Machine, Topology
from sim.phases import Conducted, Progress, conduct
from sim.scenario import Crash, Example, Scenario, Send
from sim.search.draw_storms import draw_storms
from sim.world import LabError
from tests.sim.findings import violation

LAB = Topology(name="two", path="two.yaml", machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T")))
STRUCK = Topology(name="two", path="two.yaml", machines=LAB.machines, faults=(Fault(kill="rig_1", at_s=1.0),))
STORM = Example(ops=(Send(frm="T", to="rig_1"),))
TIMED = Example(ops=(Send(frm="T", to="rig_1"),), at_s=0.5)


class Asked:
    """A world that notes what it was asked, in order, and answers as it was told to."""

    def __init__(self, topology: Topology = LAB, **answers: Any) -> None:
        self.topology = topology
        self.died: list[str] = []
        self.settle_s = 1.0
        self.asked: list[Any] = []
        self.answers = answers

    def _note(self, what: str, *facts: Any, answer: Any = None) -> Any:
        self.asked.append((what, *facts) if facts else what)
        said = self.answers.get(what, answer)
        return said() if callable(said) else said

    def start(self) -> None:
        self._note("start")

    def await_handshakes(self) -> list[str]:
        return list(self._note("handshakes", answer=[]))

    def play(self, actions: Sequence[Action], examples: Mapping[int, Example], *, session: bool) -> bool:
        return bool(self._note("play", [a.verb for a in actions], list(examples), session, answer=True))

    def heal(self) -> list[Violation]:
        return list(self._note("heal", answer=[]))

    def settle(self, token: str) -> list[str]:
        return list(self._note("settle", answer=[]))

    def ask(self) -> None:
        self._note("ask")

    def expected(self) -> dict[str, Any]:
        return dict(self._note("expected", answer={}))

    def storm(self, example: Example, number: int) -> bool:
        return bool(self._note("storm", number, answer=True))

    def signal(self) -> bool:
        return bool(self._note("signal", answer=True))

    def more(self) -> Journal:
        return Journal(entries=[Entry(t=-len(self.asked), by="parent", what="noted")])

    def stop(self) -> None:
        self._note("stop")


def told_by(world: Asked, scenario: Scenario, **options: Any) -> tuple[Conducted, list[Progress]]:
    told: list[Progress] = []
    return conduct(world, scenario, say=told.append, draw=draw_storms, **options), told


def test_a_calm_run_has_its_phases_in_order_and_ends_the_world() -> None:
    world = Asked()
    run, told = told_by(world, Scenario(topology=LAB, seed=1, examples=(STORM, STORM)))
    assert world.asked == [
        *("start", "handshakes", ("play", [], [], True), "settle", "ask", "settle", "expected"),
        *(("storm", 0), ("storm", 1), "signal", "settle", "stop"),
    ]
    assert [one.phase for one in told if one.ended] == ["up", "handshakes", "session", "storms", "signals"]
    assert all(one.ok for one in told)
    assert (run.unsettled, run.fell, run.failure, run.played) == ([], "", None, {0: STORM, 1: STORM})


def test_faults_and_storms_with_a_time_are_played_with_the_session_and_healed_before_it_is_judged() -> None:
    world = Asked(STRUCK)
    run, told = told_by(world, Scenario(topology=STRUCK, seed=1, examples=(STORM, TIMED)))
    assert world.asked[2:5] == [("play", ["kill"], [1], True), "heal", "settle"]
    assert world.asked[-4:] == [("storm", 0), "signal", "settle", "stop"]
    assert run.played == {0: STORM, 1: TIMED}
    assert [one.phase for one in told if one.ended] == ["up", "handshakes", "recovery", "session", "storms", "signals"]


def test_without_a_session_faults_and_timed_storms_are_played_all_the_same() -> None:
    world = Asked(STRUCK)
    told_by(world, Scenario(topology=STRUCK, seed=1, examples=(TIMED,), session=False))
    assert world.asked[2:] == [("play", ["kill"], [0], False), "heal", "settle", "signal", "settle", "stop"]


def test_without_signals_none_is_played() -> None:
    world = Asked()
    told_by(world, Scenario(topology=LAB, seed=1, session=False, signals=False))
    assert world.asked == ["start", "handshakes", "settle", "stop"]


def test_signals_that_are_not_answered_are_shown() -> None:
    _, told = told_by(Asked(signal=False), Scenario(topology=LAB, seed=1))
    assert [one.ok for one in told if one.ended and one.phase == "signals"] == [False]


def test_where_there_is_nothing_to_play_the_handshakes_are_settled_all_the_same() -> None:
    world = Asked()
    told_by(world, Scenario(topology=LAB, seed=1, session=False))
    assert world.asked == ["start", "handshakes", "settle", "signal", "settle", "stop"]


@pytest.mark.parametrize(
    ("answers", "doubt"),
    [
        ({"handshakes": ["rig_1"]}, "whether rig_1 will ever shake hands"),
        ({"play": False}, "how the session ends: it did not come to its end"),
        (
            {"heal": [violation("whole: rig_1 has no route", machines=("rig_1",))]},
            "whether the lab is ever whole again: rig_1 has no route",
        ),
        ({"settle": ["T_1"]}, "what became of T_1"),
    ],
)
def test_what_is_not_known_is_told_once_and_no_storm_is_played_over_it(answers: dict[str, Any], doubt: str) -> None:
    world = Asked(STRUCK, **answers)
    run, told = told_by(world, Scenario(topology=STRUCK, seed=1, examples=(STORM,), draw=1))
    assert [unsettled.text for unsettled in run.unsettled] == [doubt]
    assert not any(one[0] == "storm" for one in world.asked)
    assert any(one.ended and not one.ok for one in told)


def test_a_storm_that_does_not_settle_ends_it() -> None:
    world = Asked(storm=False)
    run, told = told_by(world, Scenario(topology=LAB, seed=1, examples=(STORM, STORM)))
    assert ("storm", 1) not in world.asked
    assert [str(doubt) for doubt in run.unsettled] == ["unsettled: what became of storm 0"]
    assert [one.ok for one in told if one.ended and one.phase == "storms"] == [False]


def test_storms_are_drawn_after_those_that_were_brought_and_then_a_station_is_killed() -> None:
    world = Asked(storm=True)
    timed = Scenario(topology=LAB, seed=1, examples=(TIMED,), draw=1, session=False)
    run, told = told_by(world, timed, crash=True)
    # Nothing of it is in the journal, so the checks find that all of it is missing: then nobody is killed.
    assert run.failure is not None
    assert run.failure.number == 1
    assert [one for one in world.asked if one[0] == "storm"] == [("storm", 1)]
    assert not any(isinstance(op, Crash) for example in run.played.values() for op in example.ops)
    assert told[-1].phase == "storms"


def falls() -> None:
    raise LabError("not ready within 60 s: _rig_1")


def is_interrupted() -> None:
    raise KeyboardInterrupt


def test_a_lab_that_falls_is_ended_and_says_why() -> None:
    world = Asked(start=falls)
    run, _ = told_by(world, Scenario(topology=LAB, seed=1))
    assert run.fell == "not ready within 60 s: _rig_1"
    assert world.asked == ["start", "stop"]


@pytest.mark.parametrize("what", ["start", "play", "settle"])
def test_a_run_that_is_interrupted_ends_the_world_and_keeps_what_there_was(what: str) -> None:
    answers: dict[str, Any] = {what: is_interrupted}
    world = Asked(**answers)
    scenario = Scenario(topology=LAB, seed=1)
    kept = Conducted(scenario=scenario)
    with pytest.raises(KeyboardInterrupt):
        conduct(world, scenario, into=kept)
    assert world.asked[-1] == "stop"
    assert kept.journal.entries


def test_evidence_is_in_the_order_of_time() -> None:
    run, _ = told_by(Asked(), Scenario(topology=LAB, seed=1, examples=(STORM,)))
    times = [entry.t for entry in run.evidence().journal.entries]
    assert times == sorted(times)
    assert len(times) > 1
