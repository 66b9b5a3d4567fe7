"""The check `hops`: storm messages crossed the stations of their path, and no others."""

from __future__ import annotations

import pytest

from sim.checks.registry import check_all
from sim.evidence.index import Evidence
from sim.scenario import Example
from tests.sim.checks.healthy_run import TRIP, again, broke, check_of, crossings, forget, found
from tests.sim.checks.test_message_fates import unsought
from tests.sim.evidence.test_outages import Plot
from tests.sim.journal_builder import Story, Tale, evidence


def test_a_message_that_went_astray_is_told_with_the_wrong_link(run: Evidence) -> None:
    crossings(run, "rig_1.probe_0")[1].peer = "rig_9"
    assert broke(run) == {"hops": ["rig_1.probe_0 from rig_1.probe to T.probe went astray: rig_1 → rig_9"]}


def test_a_message_that_was_opened_on_the_way_went_astray_from_there(run: Evidence) -> None:
    """Who reads it and writes it anew changes its bytes, if only a blank."""
    for trace in crossings(run, "rig_1.probe_0")[1:]:
        trace.digest = "written anew"
    sentence = "rig_1.probe_0 from rig_1.probe to T.probe went astray: rig_1 → T, T → T.probe"
    assert broke(run) == {"hops": [sentence]}


def test_a_message_that_stopped_on_the_way_is_told_with_the_place(run: Evidence) -> None:
    run.journal.traces.remove(crossings(run, "rig_1.probe_1")[-1])
    assert broke(run) == {"hops": ["rig_1.probe_1 from rig_1.probe to T.probe came no further than T"]}


def test_a_message_that_was_never_sent_came_no_further_than_its_sender(run: Evidence) -> None:
    for trace in crossings(run, "T_5"):
        run.journal.traces.remove(trace)
    assert broke(run) == {"hops": ["T_5 from T to rig_1 came no further than T"]}


def test_a_repeat_that_came_half_the_way_is_no_violation(run: Evidence) -> None:
    story = Story()
    story.carry("rig_1.probe_0", *TRIP[:3], sending="again")
    run.journal.traces += story.journal.traces
    assert broke(run) == {}
    assert check_of(run, "confirm").figures == "2 repeated"


def test_a_message_that_another_handled_is_told_with_who_did(run: Evidence) -> None:
    again(run, "handled", id="rig_1.probe_0").by = "T"
    assert broke(run) == {"hops": ["rig_1.probe_0 to T.probe was handled by T"]}


def test_opaque_bytes_that_did_not_arrive_are_told_with_how_far_they_came(run: Evidence) -> None:
    found(run, "opaque").value = False
    run.journal.traces = [trace for trace in run.journal.traces if trace.peer != "actor.T.b"]
    sentence = (
        "bytes that are no message, from a bare peer at rig_1 to one at T, did not arrive as they were sent: "
        "they came as far as T"
    )
    assert broke(run) == {"hops": [sentence]}
    forget(run, "opaque")
    assert broke(run) == {"hops": [sentence]}


def test_opaque_bytes_that_made_a_detour_are_told_with_it(run: Evidence) -> None:
    wrong = next(trace for trace in run.journal.traces if trace.peer == "actor.T.b")
    wrong.peer = "_T"
    [sentence] = broke(run)["hops"]
    assert "from a bare peer at rig_1 to one at T, went" in sentence
    assert "('T', '_T')" in sentence


def test_a_message_that_a_fault_explains_may_stop_anywhere() -> None:
    def violations(tale: Tale) -> list[str]:
        run = evidence(tale)
        run.examples = {0: Example(ops=())}
        return next(check.violations for check in check_all(run) if check.name == "hops")

    tale = unsought()
    tale.at(20).carry("cam.probe_0", "cam.probe", "cam", "rig_1")
    assert violations(tale) == ["cam.probe_0 from cam.probe to T came no further than rig_1"]
    tale.struck("cut", "rig_1", since=19, until=25, end="heal")
    assert violations(tale) == []
    tale.at(20).carry("cam.probe_0", "cam.probe", "cam", "rig_2", sending="astray")
    assert violations(tale) == ["cam.probe_0 from cam.probe to T went astray: cam → rig_2"]


@pytest.mark.parametrize(
    ("plot", "is_explained"),
    [
        (lambda _: None, False),
        (lambda tale: tale.struck("kill", "rig_1", since=15, until=19, end="restart", what="station"), True),
        (lambda tale: tale.struck("cut", "cam", since=12, until=19, end="heal"), True),
        (lambda tale: tale.struck("kill", "rig_1", since=5, until=10, end="restart", what="station"), False),
        (lambda tale: tale.struck("cut", "rig_1", since=15, until=19, end="heal"), False),
    ],
    ids=["no fault", "it was started anew", "its child was gone", "long ago", "another link"],
)
def test_a_station_passes_up_what_is_for_below_it_only_where_a_fault_made_it_forget(
    plot: Plot, is_explained: bool
) -> None:
    tale = Tale()
    tale.at(20).made("_rig_1_0", "_rig_1", "cam")
    tale.carry("_rig_1_0", "_rig_1", "rig_1", "T", sending="first")
    tale.at(25).carry("_rig_1_0", "_rig_1", "rig_1", "cam", sending="again")
    tale.at(25.1).handled("_rig_1_0", "cam")
    tale.settled("_rig_1_0", "_rig_1")
    plot(tale)
    run = evidence(tale)
    run.examples = {0: Example(ops=())}
    check = next(check for check in check_all(run) if check.name == "hops")
    assert check.violations == ([] if is_explained else ["_rig_1_0 from _rig_1 to cam went astray: rig_1 → T"])
    assert bool(check.explained) is is_explained
