"""Situations that have the same future have one key, and no others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sim.exhaustive import play
from sim.exhaustive.canonical import key_of
from sim.exhaustive.play import after, begin
from sim.exhaustive.situation import SmallStep, steps_from
from tests.sim.exhaustive.planted import ONE, PAIR


def test_the_time_of_day_is_not_in_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> list[bytes]:
        at, found = begin(PAIR), []
        for _ in range(12):
            at = after(PAIR, at, steps_from(PAIR, at)[0])
            found.append(key_of(at))
        return found

    before = keys()
    monkeypatch.setattr(play, "BEGIN", 2 * play.BEGIN)
    assert keys() == before


def test_each_difference_that_matters_is_in_a_key() -> None:
    at = begin(ONE)
    sent = after(ONE, at, SmallStep("send", "rig"))
    lost = after(ONE, sent, SmallStep("drop", "rig", "up"))
    keys = {key_of(one) for one in (at, sent, lost, replace(lost, faults=1), replace(lost, early=1))}
    assert len(keys) == 5


def test_what_is_done_in_another_order_is_the_same() -> None:
    at = after(PAIR, begin(PAIR), SmallStep("send", "rig"))
    one = after(PAIR, after(PAIR, at, SmallStep("send", "rig")), SmallStep("deliver", "rig", "up"))
    other = after(PAIR, after(PAIR, at, SmallStep("deliver", "rig", "up")), SmallStep("send", "rig"))
    assert key_of(one) == key_of(other)
