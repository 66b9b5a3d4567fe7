"""Strangers: what they say, in which order, and how the ERROR about twins is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sim.emulator.strangers import Strangers, twin_told
from tests.sim.emulator.made_up_lab import Journal, lab


class Stranger:
    """A connection that remembers what was said by it, and confirms it at once."""

    def __init__(self, name: str, at: str, *, answers: bool) -> None:
        self.name = name
        self.at = at
        self.confirmed: set[str] = set()
        self.said: list[dict[str, Any]] = []
        self._answers = answers

    def say(self, *frames: bytes) -> None:
        assert frames[:2] == (self.at.encode(), self.at.encode())
        self.said.append(json.loads(frames[2]))
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

    def stranger(self, machine: str, suffix: str) -> Stranger:
        self.made.append(Stranger(f"actor.{machine}.{suffix}", machine, answers=machine != self._deaf))
        return self.made[-1]

    def is_alive(self, machine: str) -> bool:
        return machine != self._dead

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        assert seconds > 0
        return condition()


def test_a_kill_is_said_in_the_names_of_those_who_may_and_then_in_its_own() -> None:
    world = World()
    assert Strangers(world).play()
    [killer] = [one for one in world.made if one.name == "actor.rig_1.kill"]
    assert [(one["key"], one["sender"]) for one in killer.said] == [
        ("KILL", "_rig_1"),
        ("KILL", "_T"),
        ("KILL", "actor.rig_1.kill"),
    ]


def test_twins_come_in_turn_to_each_station_that_has_machines_below() -> None:
    world = World()
    Strangers(world).play()
    twins = [one for one in world.made if one.name.endswith(".twin")]
    assert [(one.name, one.said[0]["inc"][-1], one.said[0]["seq"]) for one in twins] == [
        ("actor.T.twin", "a", 1),
        ("actor.T.twin", "b", 1),
        ("actor.T.twin", "a", 2),
    ]


def test_a_reboot_is_a_second_connection_of_another_life_while_the_first_is_open() -> None:
    world = World()
    Strangers(world).play()
    lives = [one.said[0]["inc"] for one in world.made if one.name == "actor.rig_2.reboot"]
    assert lives == ["actor.rig_2.reboot.a", "actor.rig_2.reboot.b"]


def test_what_was_not_answered_is_journalled() -> None:
    world = World(deaf="rig_1")
    assert not Strangers(world).play()
    no = [facts["id"] for what, facts in world.journal.lines if what == "stranger answered" and not facts["value"]]
    assert no == ["actor.rig_1.reboot.a1", "actor.rig_1.kill.own", "actor.rig_1.reboot.b1"]


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
