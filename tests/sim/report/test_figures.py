"""The report's figures, from a journal of a known run: how long messages took, what happened when, and to whom."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from sim.checks.registry import check_all
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry, Journal, Trace
from sim.evidence.violation import Violation
from sim.lab.topology import Machine, Topology
from sim.report.figures import advice_for, latencies, link_rows, machine_rows, rates, sentence_for, timeline
from sim.verdict import Check, LinkRow
from tests.sim.checks.healthy_run import forget, found, healthy

MS = 10**6
S = 10**9


@pytest.fixture
def run() -> Evidence:
    return healthy()


def lab(*machines: Machine) -> Evidence:
    """A run of these machines below a terminal, of which nothing is written down yet."""
    topology = Topology(name="some", path="some.yaml", machines=(Machine("T"), *machines))
    return Evidence(topology=topology, seed=1, journal=Journal())


def check(
    *texts: str,
    name: str = "hops",
    result: Literal["pass", "fail", "unknown"] = "fail",
    machines: tuple[str, ...] = (),
    messages: tuple[str, ...] = (),
) -> Check:
    found = [Violation(name, machines, messages, text) for text in texts]
    broke, doubts = (found, []) if result == "fail" else ([], found)
    return Check(name=name, looked_at="3 messages", count=3, result=result, broke=broke, doubts=doubts)


# -- latencies -------------------------------------------------------------------------------------------------------


def took(milliseconds: list[float], *, by: str = "T", to: str = "rig_1", key: str = "STORM") -> Index:
    """A run in which these messages were made, one a second, and handled so long afterwards."""
    evidence = lab(Machine("rig_1", parent="T"))
    for n, ms in enumerate(milliseconds):
        evidence.journal.entries.append(Entry(t=n * S, by=by, what="made", id=str(n), key=key, to=to))
        evidence.journal.entries.append(Entry(t=n * S + int(ms * MS), by=to, what="handled", id=str(n), key=key))
    return Index(evidence)


@pytest.mark.parametrize(
    ("count", "p50", "p90", "p99"),
    [(1, 1, 1, 1), (2, 1, 2, 2), (10, 5, 9, 10), (100, 50, 90, 99), (200, 100, 180, 198)],
)
def test_a_quantile_is_a_time_that_a_message_took(count: int, p50: float, p90: float, p99: float) -> None:
    [row] = latencies(took([float(n) for n in range(count, 0, -1)]), [])
    assert (row.count, row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms) == (count, p50, p90, p99, count)


def test_latencies_are_told_apart_by_the_links_that_were_crossed(run: Evidence) -> None:
    """A trial crosses one link more than its path has: the terminal's station hands it to its program."""
    assert [(row.hops, row.count) for row in latencies(Index(run), [])] == [(1, 1), (3, 2 + 3)]


def test_unhandled_messages_have_no_latency() -> None:
    index = took([1.0, 2.0])
    index.handled["0"].clear()
    [row] = latencies(index, [])
    assert (row.count, row.max_ms) == (1, 2.0)


def test_only_storms_and_trials_are_timed(run: Evidence) -> None:
    """An order is handled when all that it set off is done; a crash takes as long as the restart."""
    assert latencies(took([1.0], key="START"), []) == latencies(took([1.0], key="CRASH"), []) == []


@pytest.mark.parametrize(
    ("spans", "flagged"),
    [
        ([], False),
        ([(5 * S, 5 * S + MS)], False),  # one of twenty
        ([(5 * S, 6 * S + MS)], False),  # a tenth
        ([(5 * S, 7 * S + MS)], True),
        ([(1 * S, 1 * S + MS), (3 * S, 3 * S + MS), (19 * S, 30 * S)], True),
        ([(S // 2, S - 1)], False),  # between two
    ],
)
def test_times_are_flagged_when_more_than_a_tenth_was_taken_under_overload(
    spans: list[tuple[int, int]], flagged: bool
) -> None:
    [row] = latencies(took([1.0] * 20), spans)
    assert row.flagged is flagged


# -- over time -------------------------------------------------------------------------------------------------------


def test_messages_are_counted_by_the_second_and_by_key() -> None:
    evidence = lab()
    evidence.journal.entries.append(Entry(t=5 * S, by="T", what="start"))
    for t, do, key in [(5.0, "Deliver", "DATA"), (5.9, "Deliver", "STATE"), (5.99, "Deliver", "DATA")]:
        evidence.journal.traces.append(Trace(t=int(t * S), at="T", life="a", do=do, key=key))
    evidence.journal.traces.append(Trace(t=6 * S, at="T", life="a", do="Transmit", peer="rig_1"))
    evidence.journal.traces.append(Trace(t=8 * S, at="T", life="a", do="Deliver", key="DATA"))
    assert [(rate.second, rate.by_key) for rate in rates(evidence)] == [(0, {"DATA": 2, "STATE": 1}), (3, {"DATA": 1})]


def test_the_timeline_has_what_happened_to_each_machine_in_order(run: Evidence) -> None:
    told = timeline(run)
    assert [event.at_s for event in told] == sorted(event.at_s for event in told)
    assert told[0].at_s == 0.0
    assert [(event.machine, event.what) for event in told] == [
        ("T", "start"),
        ("rig_1", "start"),
        ("rig_1", "handshake"),
        ("rig_1", "handshake"),
        ("rig_1", "START"),
        ("rig_1", "STOP"),
        ("", "storm"),
        ("", "storm"),
        ("rig_1", "kill"),
        ("rig_1", "restart"),
    ]
    assert told[2].note == "by way of rig_1"
    assert [event.note for event in told if event.what == "storm"] == ["storm 0", "storm 1"]


def test_faults_are_in_the_timeline_once() -> None:
    """The fault asks for a kill, and whoever carries it out writes it down too."""
    run = lab(Machine("rig_1", parent="T"))
    happened: list[tuple[float, str, dict[str, Any]]] = [
        (0.0, "start", {}),
        (1.0, "fault", {"key": "kill", "value": {"what": "station", "fault": 0, "at_us": 1}}),
        (1.01, "kill", {}),
        (3.0, "restart", {}),
        (3.01, "fault", {"key": "restart"}),
        (4.0, "fault", {"key": "cut", "value": {"way": "up", "probability": 1.0}}),
        (4.1, "fault", {"key": "cut"}),
        (5.0, "kill", {}),
    ]
    for at_s, what, facts in happened:
        run.journal.entries.append(Entry(t=int(at_s * S), by="parent", what=what, to="rig_1", **facts))
    assert [(event.at_s, event.what, event.machine, event.note) for event in timeline(run)] == [
        (0.0, "start", "rig_1", ""),
        (1.0, "kill", "rig_1", "the station only"),
        (3.0, "restart", "rig_1", ""),
        (4.0, "cut", "rig_1", "up only"),
        (4.1, "cut", "rig_1", ""),
        (5.0, "kill", "rig_1", ""),
    ]


def test_journalled_events_of_relays_are_rows_by_link() -> None:
    run = lab(Machine("rig_1", parent="T"))
    run.journal.entries.append(Entry(t=S, by="T", what="start"))
    value = {"bytes_up": 12345, "ways": ["up"], "why": None}
    run.journal.entries.append(Entry(t=3 * S, by="relay", what="link", key="reset", to="rig_1", value=value))
    run.journal.entries.append(Entry(t=4 * S, by="relay", what="link", key="connected", to="rig_1"))
    assert link_rows(run) == [
        LinkRow(at_s=2.0, link="rig_1", what="reset", facts="bytes_up 12,345, ways ['up']"),
        LinkRow(at_s=3.0, link="rig_1", what="connected"),
    ]


def test_a_graduation_a_death_and_an_exception_stand_in_the_timeline(run: Evidence) -> None:
    found(run, "handled", first="_T_1").value = {"graduation": True}
    raised = {"machine": "rig_1", "exception": "ValueError: no pin 7", "traceback": "Traceback …"}
    end = run.journal.entries[-1].t
    run.journal.entries.append(Entry(t=end + S, by="_T", what="exception", first_sender="_rig_1", value=raised))
    run.journal.entries.append(Entry(t=end + 2 * S, by="_T", what="exception", first_sender="_rig_1", value="stuck"))
    run.journal.entries.append(Entry(t=end + 3 * S, by="parent", what="died", to="_rig_1"))
    told = [(event.machine, event.what, event.note) for event in timeline(run)]
    assert ("rig_1", "graduation", "") in told
    assert ("rig_1", "STOP", "") not in told
    assert told[-3:] == [
        ("rig_1", "exception", "ValueError: no pin 7"),
        ("rig_1", "exception", "stuck"),
        ("rig_1", "died", ""),
    ]


def test_a_run_that_never_began_has_no_figures() -> None:
    evidence = lab(Machine("rig_1", parent="T"))
    assert (rates(evidence), timeline(evidence), latencies(Index(evidence), [])) == ([], [], [])


# -- how each machine fared ------------------------------------------------------------------------------------------


def test_machines_that_no_violation_names_fared_well(run: Evidence) -> None:
    run.journal.traces.append(Trace(t=0, at="rig_1.probe", life="a", do="Deliver", key="STORM"))
    terminal, rig = machine_rows(Index(run), check_all(run))
    assert [(row.id, row.parent, row.depth, row.fared, row.why) for row in (terminal, rig)] == [
        ("T", None, 0, "well", ""),
        ("rig_1", "T", 1, "well", ""),
    ]
    assert (terminal.sent, rig.sent) == (2 + 2, 3 + 2), "its station's, its program's and its probe's"
    assert (terminal.handled, rig.handled) == (0, 1)


FAMILY = (
    Machine("rig_5", parent="T"),
    Machine("rig_5_cam", parent="rig_5"),
    Machine("rig_50", parent="T"),
)
ABOUT = [
    (("rig_5",), (), {"rig_5"}),
    (("rig_5_cam", "T"), (), {"rig_5_cam", "T"}),
    ((), ("rig_50_7",), {"rig_50"}),  # a message of its station
    ((), ("_rig_5_12",), {"rig_5"}),  # of its program
    ((), ("rig_5_cam.probe_3",), {"rig_5_cam"}),
    ((), ("actor.rig_50.a_0.1",), {"rig_50"}),
    ((), ("_rig_5_cam_top",), {"rig_5_cam"}),  # a stream of it: the longest id that fits
    (("rig_500",), (), set[str]()),  # it is not in the lab
    ((), (), set[str]()),
]


@pytest.mark.parametrize(("machines", "messages", "named"), ABOUT)
def test_a_machine_fared_badly_where_a_violation_is_about_it_or_a_message_of_it(
    machines: tuple[str, ...], messages: tuple[str, ...], named: set[str]
) -> None:
    rows = machine_rows(Index(lab(*FAMILY)), [check("it broke", machines=machines, messages=messages)])
    assert {row.id: row.why for row in rows if row.fared == "badly"} == dict.fromkeys(named, "it broke")


def test_the_first_violation_that_names_a_machine_is_the_reason_before_any_doubt() -> None:
    checks = [
        check("whether rig_50 and rig_5 …", result="unknown", machines=("rig_50", "rig_5")),
        check("rig_5: first", "rig_5: second", machines=("rig_5",)),
        check(result="pass"),
    ]
    rows = {row.id: (row.fared, row.why) for row in machine_rows(Index(lab(*FAMILY)), checks)}
    assert rows == {
        "T": ("well", ""),
        "rig_5": ("badly", "rig_5: first"),
        "rig_5_cam": ("well", ""),
        "rig_50": ("unknown", "whether rig_50 and rig_5 …"),
    }


def test_the_machines_of_a_real_violation_are_named(run: Evidence) -> None:
    forget(run, "handled", id="T_5")
    why = "STORM T_5 from T to rig_1 was never handled"
    assert [(row.id, row.why) for row in machine_rows(Index(run), check_all(run))] == [("T", why), ("rig_1", why)]


# -- in words --------------------------------------------------------------------------------------------------------

TRIALS = Check(name="trials", looked_at="9 messages of 1 rig", count=9, result="pass", figures="0 lost, 0 twice")


@pytest.mark.parametrize(
    ("verdict", "checks", "sentence"),
    [
        ("held", [TRIALS], "HELD: 2 machines, 9 messages of 1 rig, 0 lost, 0 twice"),
        ("held", [], "HELD: 2 machines, no trial was asked for"),
        ("broke", [TRIALS, check("a went astray"), check("b", name="order")], "BROKE: hops, order. a went astray"),
        ("broke", [check("p99 ms: 9 > 5; slowest: a (9 ms); b (8 ms)")], "BROKE: hops. p99 ms: 9 > 5"),
        (
            "unsettled",
            [check("p99 ms: 9 > 5; slowest: a (9 ms); b; but the CPUs were full", result="unknown")],
            "NOT DECIDED: p99 ms: 9 > 5; but the CPUs were full",
        ),
        ("interrupted", [TRIALS], "INTERRUPTED: partial results, no verdict"),
        ("unsettled", [TRIALS], "NOT SETTLED: it is not known whether all held"),
        (
            "unsettled",
            [check("of the session", name="session", result="unknown"), check("x", name="confirm", result="unknown")],
            "NOT DECIDED: x",
        ),
    ],
)
def test_the_verdict_is_one_sentence(verdict: str, checks: list[Check], sentence: str) -> None:
    assert sentence_for(verdict, checks, machines=2) == sentence


@pytest.mark.parametrize(
    ("verdict", "checks", "has_exception", "word"),
    [
        ("broke", [check("a")], True, "Begin with the exception"),
        ("broke", [check("a", name="expect")], False, "Raise them"),
        ("broke", [check("a", name="expect"), check("b")], False, "Run it again with the command below"),
        ("unsettled", [check("not known: a", name="settled", result="unknown")], False, "still under way"),
        ("unsettled", [check("the CPUs of this computer were full", result="unknown")], False, "too busy to tell"),
        ("unsettled", [], False, "could not be decided"),
        ("interrupted", [], False, "let it end"),
        ("held", [TRIALS], False, "when the lab's file changes"),
    ],
)
def test_the_advice_says_what_to_do(verdict: str, checks: Any, has_exception: bool, word: str) -> None:
    assert word in advice_for(verdict, checks, has_exception=has_exception)
