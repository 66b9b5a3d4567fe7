"""After the faults: how soon what was struck worked again, and whether the lab is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.checks.registry import check_all
from sim.lab.topology import Expect
from tests.sim.journal_builder import Tale, checked, evidence

Plot = Callable[[Tale], object]


def struck(verb: str = "cut", target: str = "rig_1", *, end: str = "heal", **facts: Any) -> Tale:
    return Tale().struck(verb, target, since=10, until=20, end=end, **facts)


def came(tale: Tale, made: float, came: float, frm: str = "_rig_1", to: str = "T", by: str = "_T") -> Tale:
    """A trial, of that second, came at that."""
    id = f"{frm}_{made}"
    tale.at(made).made(id, frm, to, "DATA")
    tale.at(came).handled(id, by, "DATA", first=id, first_sender=frm)
    tale.at(came + 0.1).settled(id, frm, key="DATA")
    return tale


# -- how soon ----------------------------------------------------------------------------------------------------------


def figures(tale: Tale) -> str:
    check = checked("recovery", tale)
    assert check.result == "pass"
    return check.figures


def test_a_link_works_again_when_something_has_crossed_it() -> None:
    assert figures(came(struck(), 22, 23.2)) == "1 cut; slowest rig_1 after 3.2 s"


def test_what_was_held_up_by_the_fault_shows_it_too() -> None:
    assert figures(came(struck(), 15, 21.5)) == "1 cut; slowest rig_1 after 1.5 s"


@pytest.mark.parametrize(
    "plot",
    [
        lambda tale: came(tale, 5, 21),  # it had crossed the link before, and waited elsewhere
        lambda tale: came(tale, 22, 23, "_rig_2"),
        lambda tale: came(tale, 22, 23, "_cam", "rig_1", "_rig_1"),
    ],
    ids=["from before it", "elsewhere", "below it"],
)
def test_what_did_not_cross_it_shows_nothing(plot: Plot) -> None:
    tale = struck()
    plot(tale)
    check = checked("recovery", tale)
    assert check.result == "unknown"
    assert check.violations == [
        "not known: whether rig_1 works again: the link from rig_1 up to T was cut at 10.0 s, whole again at 20.0 s"
    ]


def test_a_machine_that_was_killed_is_back_when_both_its_processes_are() -> None:
    tale = struck("kill", end="restart")
    tale.at(20.5).begin_life("rig_1", "_rig_1")
    came(tale, 21, 22.5, "_cam")
    assert checked("recovery", tale).result == "unknown", "its station passes things on, its program did nothing yet"
    tale.at(24.4).shook("rig_1", "rig_1")
    assert figures(tale) == "1 kill; slowest rig_1 after 3.9 s"


def test_what_was_struck_again_meanwhile_counts_from_the_end_of_that() -> None:
    tale = came(struck(), 31, 32)
    tale.struck("pause", "T", since=15, until=30, end="resume")
    assert figures(tale) == "1 cut, 1 pause; slowest rig_1 after 2.0 s"


def test_what_was_struck_elsewhere_meanwhile_counts_from_its_own_end() -> None:
    tale = came(struck(), 31, 32)
    came(tale, 31, 31.5, "_rig_2")
    tale.struck("cut", "rig_2", since=15, until=30, end="heal")
    assert figures(tale) == "2 cuts; slowest rig_1 after 12.0 s"


def test_what_is_only_slow_or_lossy_need_not_recover() -> None:
    tale = struck("shape").struck("drop", "rig_2", since=10, until=20, end="heal")
    assert figures(tale) == "1 slow link, 1 lossy link"


def test_a_lab_without_faults_has_no_such_checks() -> None:
    names = {check.name for check in check_all(evidence(came(Tale(), 1, 2), faults=()))}
    assert not {"recovery", "whole"} & names


# -- the limit ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "broke"), [(15.0, []), (10.0, ["rig_1 back after 14.2 s > 10 s"])])
def test_the_limit_of_recovery_is_told_with_machine_and_figure(limit: float, broke: list[str]) -> None:
    tale = came(struck(), 22, 34.2)
    check = checked("expect", tale, expect=Expect(recovered_within_s=limit))
    assert (check.violations, check.count) == (broke, 1)


def test_the_limit_of_recovery_is_unknown_where_nothing_was_struck_or_nothing_shows_it() -> None:
    for tale in (Tale(), struck()):
        assert checked("expect", tale, expect=Expect(recovered_within_s=10.0)).result == "unknown"


# -- whole -------------------------------------------------------------------------------------------------------------


def whole() -> dict[str, dict[str, Any]]:
    """What each participant of a lab that is whole says."""
    said: dict[str, dict[str, Any]] = {
        "T": {
            "neighbours": ["rig_1", "rig_2", "_T", "T.probe"],
            "routes": {"cam": "rig_1", "_cam": "rig_1", "rig_1": "rig_1", "_rig_1_wheel.0": "rig_1"},
            "known": ["rig_1", "rig_2", "cam"],
        },
        "rig_1": {"neighbours": ["T", "cam", "_rig_1"], "routes": {"cam": "cam", "rig_2": "T"}},
        "rig_2": {"neighbours": ["T", "_rig_2"], "routes": {}},
        "cam": {"neighbours": ["rig_1", "_cam"], "routes": {}},
    }
    said |= {f"_{name}": {"neighbours": [name], "routes": {}} for name in list(said)}
    return {name: {"outbox": [], **facts} for name, facts in said.items()}


def violations(said: dict[str, dict[str, Any]]) -> list[str]:
    tale = came(struck(), 22, 23)
    tale.at(30).note("healed", "parent")
    for name, value in said.items():
        tale.at(40).note("whole", name, value=value)
    check = checked("whole", tale)
    assert check.count == 8
    return check.violations


def test_a_lab_that_has_healed_is_whole() -> None:
    assert violations(whole()) == []


def test_nothing_is_left_in_an_outbox() -> None:
    said = whole()
    said["_rig_1"]["outbox"] = [f"_rig_1_{n}" for n in range(7)]
    said["T"]["outbox"] = ["T_3"]
    assert violations(said) == [
        "1 in the outbox (T_3) of T",
        "7 in the outbox (_rig_1_0, _rig_1_1, _rig_1_2, _rig_1_3, _rig_1_4 …) of _rig_1",
    ]


def test_every_machine_is_known_to_the_terminal() -> None:
    said = whole()
    said["T"]["known"] = ["rig_1", "rig_2"]
    assert violations(said) == ["T does not know cam"]


@pytest.mark.parametrize(
    ("station", "name", "neighbour", "right"),
    [("T", "cam", "rig_2", "rig_1"), ("T", "_cam", "rig_2", "rig_1"), ("rig_1", "rig_2", "cam", "T")],
)
def test_a_route_that_the_graph_has_not_is_told(station: str, name: str, neighbour: str, right: str) -> None:
    said = whole()
    said[station]["routes"][name] = neighbour
    assert violations(said) == [f"{station} has the route by {neighbour} to {name}, which is behind {right}"]


def test_a_station_knows_a_way_to_all_below_it() -> None:
    said = whole()
    del said["T"]["routes"]["cam"]
    assert violations(said) == ["T has no route to cam, which is behind rig_1"]


@pytest.mark.parametrize(("station", "lost"), [("T", "rig_2"), ("cam", "rig_1"), ("cam", "_cam")])
def test_a_station_has_beside_it_what_the_graph_puts_there(station: str, lost: str) -> None:
    said = whole()
    said[station]["neighbours"].remove(lost)
    assert f"{station} has no connection with {lost}" in violations(said)


def test_who_does_not_say_whether_he_is_whole_leaves_it_unknown() -> None:
    said = whole()
    del said["_cam"]
    assert violations(said) == ["not known: whether _cam is whole again: it did not say"]
