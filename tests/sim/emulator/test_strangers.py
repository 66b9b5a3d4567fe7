"""Strangers: what they say, in which order, and how the ERROR about twins is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from sim.emulator.strangers import HELLO, OUTSIDE, Strangers, twin_told
from tests.sim.emulator.made_up_lab import Journal, lab


class Stranger:
    """A connection that remembers what was said by it, and confirms it at once."""

    answer: ClassVar[dict[str, Any]] = {"error": "it leads out of the file folder"}  # to whoever asks for a file
    answers_times = 2

    def __init__(self, name: str, at: str, *, answers: bool) -> None:
        self.name = name
        self.at = at
        self.confirmed: set[str] = set()
        self.came: list[tuple[bytes, ...]] = []
        self.said: list[dict[str, Any]] = []
        self._answers = answers

    def say(self, *frames: bytes) -> None:
        assert frames[:2] == (self.at.encode(), self.at.encode())
        self.said.append(json.loads(frames[2]))
        if self._answers and self.said[-1]["key"] == "FILE":
            answer = {"id": "T_1", "inc": "life", "seq": 1, "key": "FILE", "value": {"path": OUTSIDE, **self.answer}}
            self.came += [(b"", json.dumps(answer).encode())] * self.answers_times
        if self._answers and "NOREPEAT" not in self.said[-1]["flags"]:
            self.confirmed.add(self.said[-1]["id"])


class World:
    """A world in which no time passes."""

    topology = lab()

    def __init__(self, *, deaf: str = "", dead: str = "") -> None:
        self.journal = Journal()
        self.reports = {("twin told", "actor.T.twin", "_T")}
        self.made: list[Stranger] = []
        self._deaf = deaf
        self._dead = dead

    def stranger(self, machine: str, name: str) -> Stranger:
        self.made.append(Stranger(name, machine, answers=machine != self._deaf))
        return self.made[-1]

    def is_alive(self, machine: str) -> bool:
        return machine != self._dead

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        assert seconds > 0
        return condition()


def played() -> World:
    """A world in which all strangers have played, and were answered."""
    world = World()
    strangers = Strangers(world)
    assert strangers.deceive()
    assert strangers.play()
    return world


def test_a_kill_is_said_in_the_names_of_those_who_may_and_then_in_its_own() -> None:
    world = played()
    [killer] = [one for one in world.made if one.name == "actor.rig_1.kill"]
    assert [(one["key"], one["sender"]) for one in killer.said] == [
        ("KILL", "_rig_1"),
        ("KILL", "_T"),
        ("KILL", "actor.rig_1.kill"),
    ]


def test_twins_come_in_turn_to_each_station_that_has_machines_below() -> None:
    world = played()
    twins = [one for one in world.made if one.name.endswith(".twin")]
    assert [(one.name, one.said[0]["inc"][-1], one.said[0]["seq"]) for one in twins] == [
        ("actor.T.twin", "a", 1),
        ("actor.T.twin", "b", 1),
        ("actor.T.twin", "a", 2),
    ]


def test_a_reboot_is_a_second_connection_of_another_life_while_the_first_is_open() -> None:
    world = played()
    lives = [one.said[0]["inc"] for one in world.made if one.name == "actor.rig_2.reboot"]
    assert lives == ["actor.rig_2.reboot.a", "actor.rig_2.reboot.b"]


def test_what_was_not_answered_is_journalled() -> None:
    world = World(deaf="rig_1")
    strangers = Strangers(world)
    assert strangers.deceive() is False
    assert not strangers.play()
    no = [facts["id"] for what, facts in world.journal.lines if what == "stranger answered" and not facts["value"]]
    assert no == ["actor.rig_1.liar.own", "actor.rig_1.reboot.a1", "actor.rig_1.kill.own", "actor.rig_1.reboot.b1"]


def test_a_liar_below_a_station_speaks_in_the_name_of_the_terminal_and_then_in_its_own() -> None:
    world = World()
    assert Strangers(world).deceive()
    liars = [one for one in world.made if one.name.endswith(".liar")]
    assert [one.at for one in liars] == ["rig_1", "rig_2", "rig_3"]
    assert [(one["key"], one["sender"]) for one in liars[0].said] == [(HELLO, "T"), (HELLO, "actor.rig_1.liar")]


def test_a_double_comes_to_each_station_under_the_id_of_that() -> None:
    world = World()
    Strangers(world).deceive()
    doubles = [one for one in world.made if one.name == one.at]
    assert [(one.at, one.said[0]["sender"]) for one in doubles] == [(id, id) for id in ("T", "rig_1", "rig_2", "rig_3")]


@pytest.mark.parametrize(("answer", "told"), [({"error": "no"}, "refused"), ({"data": "c2VjcmV0"}, "gave it")])
def test_a_thief_confirms_what_the_terminal_answers_and_that_is_journalled(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(Stranger, "answer", answer)
    world = World()
    assert Strangers(world).deceive()
    [thief] = [one for one in world.made if one.name.endswith(".thief")]
    assert [(one["key"], one["value"], one["re"]) for one in thief.said[1:]] == [("CONFIRM", "T_1", ["not life", 1])]
    assert thief.said[0]["value"]["path"] == OUTSIDE
    [facts] = [facts for what, facts in world.journal.lines if what == "stranger answered" and "thief" in facts["by"]]
    assert facts["value"] == told


@pytest.mark.parametrize("times", [1, 2])
def test_a_thief_waits_for_the_answer_to_come_again_and_then_confirms_it(
    monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(Stranger, "answers_times", times)
    world = World()
    strangers = Strangers(world)
    strangers.deceive()
    assert strangers.play() == (times == 2)
    [thief] = [one for one in world.made if one.name.endswith(".thief")]
    assert thief.said[-1]["re"] == ["life", 1]
    [facts] = [facts for what, facts in world.journal.lines if facts["id"].endswith("again") and "value" in facts]
    assert facts["value"] == (times == 2)


def test_a_thief_that_nobody_answers_is_journalled() -> None:
    world = World(deaf="T")
    assert not Strangers(world).deceive()
    assert world.journal.lines[-1][1]["value"] is False


@pytest.mark.parametrize(
    ("error", "name"),
    [
        ({"machine": "actor.T.twin", "exception": "two that run are both actor.T.twin, …"}, "actor.T.twin"),
        ({"machine": "rig_1", "exception": "two that run are both rig_1, …"}, ""),
        ({"machine": "actor.T.twin", "exception": "OSError"}, ""),
        (None, ""),
    ],
)
def test_only_the_twins_of_the_rehearsal_are_taken_for_such(error: Any, name: str) -> None:
    assert twin_told(error) == name
