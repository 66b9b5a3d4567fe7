"""Orders: a change reaches its program as PARAM, with its value, and not before its START; a STOPALL stops all."""

from __future__ import annotations

from sim.checks.content.orders import unstopped, wrong_parameters
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry
from sim.lab.fault import Fault
from sim.lab.topology import Machine
from tests.sim.checks.healthy_run import lab
from tests.sim.journal_builder import SEED, Tale

START_S, LATE_S = 2.0, 4.0


def said(*came: float, key: str = "PARAM", paused: bool = False, **facts: object) -> list[str]:
    """What is said of a PARAM and a CHANGE that came at those times, where the START of that rig came at `START_S`."""
    topology = lab(faults=(Fault(at_s=1.5, pause="rig_1", resume_after_s=1.0),) if paused else ())
    tale = Tale()
    tale.at(1).made("_T_1", "_T", "rig_1", "START")
    tale.made("_T_2", "_T", "rig_1", "PARAM")
    tale.made("_T_3", "_T", "T", "CHANGE", value={"pilot": "rig_1"})
    if paused:
        tale.struck("pause", "rig_1", since=1.5, until=2.5, end="resume")
    own = {"by": "_rig_1", "what": "handled", "life": 0}
    entries = [Entry(t=int(START_S * 1e9), key="START", id="rig_1_1", first="_T_1", **own)]  # type: ignore[arg-type]
    for n, t in enumerate(came, start=2):
        shown = {"print": f"of _T_{n}", **facts}
        entries.append(Entry(t=int(t * 1e9), key=key, id=f"rig_1_{n}", first=f"_T_{n}", **own, **shown))  # type: ignore[arg-type]
    tale.journal.entries += entries
    index = Index(Evidence(topology=topology, seed=SEED, journal=tale.journal))
    return [wrong.text for wrong in wrong_parameters(index)]


def test_changes_that_come_after_the_start_are_right_and_one_by_the_terminals_station_may_come_before_it() -> None:
    assert said(START_S + 0.1, LATE_S) == []
    assert said(START_S + 0.1, START_S - 0.1) == []


def test_a_change_that_overtook_its_start_is_wrong_unless_something_on_its_path_was_out() -> None:
    assert said(START_S - 0.1) == ["PARAM _T_2 from _T to rig_1 came to _rig_1 before the START that it follows"]
    assert said(START_S - 0.1, paused=True) == []


def test_a_change_that_came_as_something_else_is_wrong() -> None:
    assert "came to _rig_1 as START, and not as PARAM" in said(LATE_S, LATE_S, key="START")[1]
    assert "came to _rig_1 with another value" in said(LATE_S, print="of another")[0]


def test_a_change_whose_start_never_came_is_the_business_of_another_check() -> None:
    tale = Tale()
    tale.made("_T_1", "_T", "rig_1", "START")
    tale.made("_T_2", "_T", "rig_1", "PARAM")
    tale.handled("_T_2", "_rig_1", "PARAM", first="_T_2")
    assert list(wrong_parameters(Index(Evidence(topology=lab(), seed=SEED, journal=tale.journal)))) == []


def unstopped_by(*stopped: str, confirmed: bool = True, known: bool = True) -> list[str]:
    """What is said of a STOPALL of a lab of two rigs, of which these got a STOP by it."""
    tale = Tale()
    if known:
        tale.shook("rig_1", "rig_1")
        tale.shook("rig_2", "rig_2")
    tale.at(1).made("_T_1", "_T", "T", "STOPALL")
    for machine in stopped:
        tale.note("handled", "_" + machine, id=f"{machine}_1", key="STOP", first="T_1", first_sender="T")
    tale.at(2).note("settled", "_T", id="_T_1", key="STOPALL", value="confirmed" if confirmed else "no way")
    topology = lab(Machine("rig_2", parent="T"))
    return [wrong.text for wrong in unstopped(Index(Evidence(topology=topology, seed=SEED, journal=tale.journal)))]


def test_a_confirmed_stopall_has_stopped_every_machine_that_the_terminal_knew() -> None:
    assert unstopped_by("rig_1", "rig_2") == []
    text = "STOPALL _T_1 from _T to T was confirmed, and the program of rig_2 got no STOP"
    assert unstopped_by("rig_1") == [text]
    assert unstopped_by("rig_1", confirmed=False) == unstopped_by(known=False) == []
