"""The bounds grow, and each lab says its own."""

from __future__ import annotations

from sim.exhaustive.small_labs import BOUNDS
from tests.sim.exhaustive.planted import DURABLE, PAIR


def test_a_lab_says_its_bound() -> None:
    assert PAIR.words == "pair: 2 stations, 2 messages, 1 fault, 0 early timers, 3 repeats"
    assert DURABLE.words.endswith("3 repeats, T and rig durable")


def test_every_station_of_a_bound_is_known_and_its_parent_stands_before_it() -> None:
    for lab in (lab for labs in BOUNDS.values() for lab in labs):
        names = list(lab.parents)
        assert all(parent is None or names.index(parent) < names.index(name) for name, parent in lab.parents.items())
        assert {name for send in lab.sends for name in (send.frm, send.to)} <= set(names)
