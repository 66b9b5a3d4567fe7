"""A lab of real processes under each kind of fault, and what must hold after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sim.processes.lab
from sim.evidence.journal import Entry
from sim.faults.actions import Action
from sim.faults.compile import actions
from sim.lab.fault import Fault
from sim.lab.schema import Session, Stream
from sim.lab.topology import Link, Machine, Topology, Trials
from sim.phases import Conducted, conduct, judge
from sim.processes.lab import Lab
from sim.rehearse import _not_proven
from sim.scenario import Example, Flow, Opaque, Scenario, Send, Twice
from sim.world import LabError
from tests.harness import started_by

Play = Callable[..., Conducted]
LONG = 1.6  # seconds of session
PARTS = ("station", "program", "probe")


def a_lab(*faults: Fault, durable: bool = False, link: Link | None = None) -> Topology:
    """A terminal, a rig with trials, and a child of the rig with a wheel."""
    wheel = Stream(fields=("x", "y"), rate_hz=50.0)
    return Topology(
        name="struck",
        path="struck.yaml",
        machines=(
            Machine("T", children=("rig_1",), durable=durable),
            Machine("rig_1", parent="T", children=("cam",), trials=Trials((0.2, 0.2), 2), durable=durable, link=link),
            Machine("cam", parent="rig_1", streams={"wheel": wheel}, durable=durable),
        ),
        session=Session(duration_s=LONG),
        faults=faults,
        repeat_interval_s=0.2,
        ping_interval_s=0.5,
    )


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Play a lab on processes."""

    def play(topology: Topology, *examples: Example, prepare: Callable[[Lab], object] = lambda _: None) -> Conducted:
        lab = Lab(topology, seed=1, folder=tmp_path / "run")
        prepare(lab)
        return conduct(lab, Scenario(topology=topology, seed=1, examples=examples))

    with started_by("forkserver"):
        yield play


def facts(run: Conducted, what: str, **wanted: Any) -> list[Entry]:
    """The journal's entries of a kind that say this."""
    every = run.evidence().journal.of(what)
    return [entry for entry in every if all(getattr(entry, name) == value for name, value in wanted.items())]


def lives(run: Conducted, by: str) -> list[int]:
    return [entry.life for entry in facts(run, "start", by=by)]


def done(run: Conducted) -> list[tuple[str, str]]:
    """What was done to whom, in order; and where the healing began."""
    entries = run.evidence().journal.of("fault", "healed")
    return [(entry.key or entry.what, entry.to) for entry in entries]


def holds(run: Conducted) -> bool:
    """Whether all of it held; what did not is shown."""
    wrong = {check.name: (check.result, check.violations) for check in judge(run.evidence()) if check.result != "pass"}
    assert (run.fell, run.unsettled, run.died, wrong) == ("", [], [], {})
    return True


# -- machines ----------------------------------------------------------------------------------------------------------


def test_a_station_that_is_killed_and_restarted_alone_resumes(play: Play) -> None:
    fault = Fault(kill="rig_1", what="station", at_s=0.5, restart_after_s=0.3)
    run = play(a_lab(fault), Example(ops=(Send(frm="T", to="cam", burst=2), Send(frm="_rig_1", to="T")), at_s=0.6))
    assert done(run) == [("kill", "rig_1"), ("restart", "rig_1"), ("healed", "")]
    assert (lives(run, "rig_1"), lives(run, "_rig_1"), lives(run, "cam")) == ([0, 1], [0], [0])
    killed, restarted = facts(run, "fault")
    assert (killed.by, killed.value) == ("parent", {"what": "station", "way": "both", "fault": 0})
    assert 0.1e9 < restarted.t - killed.t < 2e9, "each at its time, whatever the one before took"
    whole = {entry.by: entry.value for entry in facts(run, "whole")}
    assert set(whole) == {"T", "_T", "rig_1", "_rig_1", "cam", "_cam"}
    assert whole["T"]["known"] == ["cam", "rig_1"]
    assert whole["T"]["routes"]["cam"] == "rig_1"
    assert holds(run)


def test_a_killed_program_resumes_its_session_and_its_part_of_a_storm_is_skipped(play: Play) -> None:
    sent = Example(
        ops=(Send(frm="_rig_1", to="T"), Flow(frm="rig_1.probe", to="T", items=3, batch=1), Send(frm="T", to="cam")),
        at_s=0.6,
    )
    run = play(a_lab(Fault(kill="rig_1", what="program", at_s=0.5, restart_after_s=0.3)), sent)
    assert (lives(run, "rig_1"), lives(run, "_rig_1")) == ([0], [0, 1])
    assert [(entry.n, entry.sender, entry.example) for entry in facts(run, "skipped")] == [
        (0, "_rig_1", 0),
        (1, "rig_1.probe", 0),
    ]
    trials = [entry.value["trial_num"] for entry in facts(run, "made", key="DATA") if isinstance(entry.value, dict)]
    assert trials == sorted(trials)
    assert {entry.life for entry in facts(run, "made", by="_rig_1", key="DATA")} == {0, 1}
    assert {entry.life for entry in facts(run, "shook", first_sender="_rig_1")} == {0}
    assert holds(run)


def test_the_terminal_that_is_killed_for_good_is_restarted_by_the_healing_and_ends_the_session(play: Play) -> None:
    ops = (Twice(at="T", to="rig_1"), Opaque(at="cam", to="T", size=9), Twice(at="cam", to="rig_1"))
    run = play(a_lab(Fault(kill="T", at_s=0.5)), Example(ops=ops, at_s=0.7))
    assert done(run) == [("kill", "T"), ("restart", "T"), ("healed", "")]
    assert facts(run, "healed")[0].t - facts(run, "fault", key="kill")[0].t > 1e9, "the faults last as long as the play"
    assert (lives(run, "T"), lives(run, "_T"), lives(run, "rig_1")) == ([0, 1], [0, 1], [0])
    assert [entry.n for entry in facts(run, "skipped")] == [0, 1], "a raw peer has no station while that is dead"
    assert facts(run, "handled", by="_rig_1", key="STOP"), "the session was ended by the terminal's next life"
    assert holds(run)


def test_a_paused_process_gets_its_orders_when_it_is_resumed(play: Play) -> None:
    fault = Fault(pause="rig_1", at_s=0.4, resume_after_s=0.5)
    run = play(a_lab(fault), Example(ops=(Send(frm="T", to="rig_1"), Send(frm="_rig_1", to="T", burst=2)), at_s=0.6))
    assert done(run) == [("pause", "rig_1"), ("resume", "rig_1"), ("healed", "")]
    stopped, resumed = (entry.t for entry in facts(run, "fault"))
    meanwhile = [e.by for e in run.journal.entries if stopped + 1e7 < e.t < resumed]
    assert not {"rig_1", "_rig_1"} & set(meanwhile)
    assert {"_cam"} & set(meanwhile), "the others do not stand still"
    assert len(facts(run, "made", by="_rig_1", key="STORM")) == 2
    assert lives(run, "rig_1") == [0]
    assert holds(run)


def test_a_durable_machine_loses_nothing_in_a_power_cut(play: Play, tmp_path: Path) -> None:
    fault = Fault(power_cut="rig_1", at_s=0.5, restart_after_s=0.2)
    run = play(a_lab(fault, durable=True))
    kept = {path.name for path in (tmp_path / "run" / "durable").glob("*.sqlite")}
    assert kept == {f"{name}.{part}.sqlite" for name in ("T", "rig_1", "cam") for part in PARTS}
    made = {entry.id for entry in facts(run, "made", key="DATA")}
    came = {entry.first for entry in facts(run, "handled", by="_T", key="DATA")}
    assert made == came
    assert {life for name in ("rig_1", "_rig_1", "cam", "_cam") for life in lives(run, name)} == {0, 1}
    assert holds(run)


# -- links -------------------------------------------------------------------------------------------------------------


def test_links_are_cut_held_slowed_and_reset_and_the_lab_is_whole_after_it(play: Play) -> None:
    faults = (
        Fault(cut="rig_1", at_s=0.3, heal_after_s=0.4),
        Fault(hold="cam", at_s=0.3, release_after_s=0.3),
        Fault(slow="cam", latency_ms=20.0, at_s=0.7),
        Fault(reset="rig_1", at_s=1.0),
    )
    run = play(a_lab(*faults), Example(ops=(Send(frm="T", to="cam", burst=3),), at_s=0.4))
    assert done(run) == [
        *(("cut", "rig_1"), ("hold", "cam"), ("release", "cam"), ("heal", "rig_1"), ("shape", "cam")),
        *(("reset", "rig_1"), ("heal", "cam"), ("healed", "")),
    ]
    [shaped] = facts(run, "fault", key="shape")
    assert (shaped.value["latency_ms"], shaped.value["fault"]) == (20.0, 2)
    relayed = {(entry.key, entry.to) for entry in facts(run, "link")}
    assert {("cut", "rig_1"), ("hold", "cam"), ("reset", "rig_1")} <= relayed
    carried = {entry.to: entry.value for entry in facts(run, "link", key="end")}
    assert all(min(carried[name]["up"], carried[name]["down"]) > 1_000 for name in ("rig_1", "cam")), carried
    assert len(facts(run, "handled", by="cam", key="STORM")) == 3
    assert holds(run)


def test_a_link_with_a_shape_has_a_relay_without_any_fault(play: Play) -> None:
    run = play(a_lab(link=Link(latency_ms=10.0)))
    assert {entry.to for entry in facts(run, "link")} == {"rig_1"}
    assert done(run) == []
    assert holds(run)


def test_verbs_that_tcp_hides_are_left_out_and_listed_as_not_proven(tmp_path: Path) -> None:
    topology = a_lab(Fault(drop="rig_1", key="CONFIRM", at_s=0.1), Fault(duplicate="cam", at_s=0.1))
    lab = Lab(topology, seed=1, folder=tmp_path)
    run = Conducted(scenario=Scenario(topology=topology, seed=1), actions=actions(topology, seed=1))
    said = _not_proven("processes", topology, run)
    assert "drop of CONFIRM on rig_1: TCP hides single losses; run it with --virtual" in said
    assert "duplicate of messages on cam: TCP hides single losses; run it with --virtual" in said
    assert not any("TCP" in what for what in _not_proven("virtual", topology, run))
    assert lab._relayed == set(), "no relay is needed for what is not done"


# -- what is not well --------------------------------------------------------------------------------------------------


def test_a_lab_that_is_not_healed_has_not_converged(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim.processes.lab, "healing", lambda *_: ())

    def hasty(lab: Lab) -> None:
        lab.settle_s = 1.0

    run = play(a_lab(Fault(kill="cam", at_s=0.5)), prepare=hasty)
    doubts = [doubt.text for doubt in run.unsettled]
    assert "whether the lab is ever whole again: cam does not answer" in doubts
    assert "whether the lab is ever whole again: rig_1 has no connection with cam" in doubts
    assert run.died == [], "who was killed has not died"
    assert [check.name for check in judge(run.evidence()) if check.result == "pass" and check.name == "whole"] == []


def test_a_link_without_a_relay_cannot_be_cut(tmp_path: Path) -> None:
    lab = Lab(a_lab(), seed=1, folder=tmp_path)
    with started_by("forkserver"), lab:
        lab.start()
        with pytest.raises(LabError, match="the link of rig_1 has no relay"):
            lab.play([Action(at_us=0, verb="cut", target="rig_1")], {}, session=False)
