"""A journal with nothing wrong in it passes every check; with one thing changed in it, one check says who and what."""

from __future__ import annotations

from msgspec.structs import replace

from sim.checks.registry import CHECKS, check_all, check_storm
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Journal
from sim.lab.topology import Machine, Trials
from sim.scenario import Example
from tests.sim.checks.healthy_run import STORMS, check_of, forget, lab, limited
from tests.sim.journal_builder import SEED


def test_a_healthy_run_passes_every_check_and_each_had_something_to_look_at(run: Evidence) -> None:
    looked = {check.name: (check.result, check.count) for check in check_all(run)}
    assert looked == {
        "programs": ("pass", 4),
        "handshake": ("pass", 1),
        "trials": ("pass", 3),
        "session": ("pass", 2 + 3 + 1),  # orders, states, sessions proven
        "clocks": ("pass", 1),
        "hops": ("pass", 3 + 1),  # messages, opaque bytes
        "confirm": ("pass", 5 + 3 + 1 + 1),
        "order": ("pass", 7),
        "flow": ("pass", 2),
        "streams": ("pass", 10 + 10 + 4),
        "expect": ("pass", 5),
    }
    assert [check.violations for check in check_all(run) if check.violations] == []
    assert check_of(run, "confirm").figures == "1 repeated"


def test_the_table_knows_each_check_by_the_name_that_its_results_have(run: Evidence) -> None:
    index = Index(run)
    rows = [row for row in CHECKS if row.applies(index)]
    assert [row.check(index).name for row in rows] == [row.name for row in rows]


def test_a_healthy_storm_broke_nothing(run: Evidence) -> None:
    for number, example in STORMS.items():
        journal = Journal(entries=run.journal.example(number), traces=run.journal.traces)
        assert check_storm(replace(run, journal=journal, examples={number: example})) == []


def test_a_storm_says_which_check_it_broke(run: Evidence) -> None:
    forget(run, "handled", id="rig_1.probe_1")
    journal = Journal(entries=run.journal.example(0), traces=run.journal.traces)
    found = check_storm(replace(run, journal=journal, examples={0: STORMS[0]}))
    assert [(broken.machines, broken.messages) for broken in found] == [(("rig_1", "T"), ("rig_1.probe_1",))]
    assert [str(broken) for broken in found] == [
        "confirm: STORM rig_1.probe_1 from rig_1.probe to T.probe was confirmed, and never handled"
    ]


def test_a_lab_without_limits_has_no_such_check(run: Evidence) -> None:
    assert "expect" not in {check.name for check in check_all(limited(run))}


def test_a_check_that_finds_nothing_to_look_at_has_not_passed() -> None:
    topology = lab()
    run = Evidence(topology=topology, seed=SEED, journal=Journal())
    assert {check.name: check.result for check in check_all(run)} == {
        "programs": "pass",  # it was told of no end of a process
        "handshake": "fail",
        "trials": "unknown",
        "session": "fail",  # nothing was proven
        "clocks": "unknown",
        "confirm": "unknown",
        "order": "unknown",
        "streams": "unknown",
    }
    assert check_of(run, "order").violations == ["there was nothing to look at"]


def test_storms_that_left_no_trace_are_unknown() -> None:
    topology = lab()
    examples = {0: Example(ops=())}
    run = Evidence(topology=topology, seed=SEED, journal=Journal(), examples=examples)
    assert check_of(run, "hops").result == "unknown"


def test_a_rig_that_made_no_trial_is_named_though_others_did(run: Evidence) -> None:
    idle = Machine("rig_2", parent="T", trials=Trials())
    run.topology = replace(run.topology, machines=(*run.topology.machines, idle))
    check = check_of(run, "trials")
    assert (check.result, check.violations) == ("unknown", ["not known: whether trials of rig_2 arrive: it made none"])


def test_a_stream_that_made_no_item_is_named_though_others_did(run: Evidence) -> None:
    run.journal.entries = [entry for entry in run.journal.entries if entry.stream != "rig_1/wheel/0"]
    check = check_of(run, "streams")
    assert check.result == "unknown"
    assert check.violations == ["not known: whether items of rig_1 wheel arrive: it made none"]


def test_storms_alone_are_not_asked_about_a_session(run: Evidence) -> None:
    run.journal.entries = [entry for entry in run.journal.entries if entry.example >= 0 or entry.what == "shook"]
    run.session = False
    results = {check.name: check.result for check in check_all(limited(run))}
    assert results == dict.fromkeys(["programs", "handshake", "hops", "confirm", "order", "flow", "streams"], "pass")
