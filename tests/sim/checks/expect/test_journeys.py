"""Where the time of a message went: read from the traces, hop by hop."""

from __future__ import annotations

import pytest

from sim.checks.expect.journeys import Journeys, slowest_rows
from sim.checks.expect.traffic import Transit, messages
from sim.evidence.index import Evidence, Index
from tests.sim.journal_builder import Story, Tale, evidence, small_lab


def sent(tale: Tale, at: float, frm: str, to: str, id: str, origin: str = "") -> None:
    tale.at(at).trace("Transmit", frm, peer=to, id=id, to="T", key="DATA", origin=origin)


def repeated() -> Tale:
    """A trial that waited 0.1 s, was sent again after 5 s, took 0.2 s to T, 0.3 s in T, and 0.1 s to the program."""
    tale = Tale()
    tale.at(10).made("_rig_1_0", "_rig_1", "T", "DATA")
    sent(tale, 10.1, "_rig_1", "rig_1", "_rig_1_0")
    sent(tale, 15.1, "_rig_1", "rig_1", "_rig_1_0")
    sent(tale, 15.1, "rig_1", "T", "_rig_1_0")
    tale.at(15.3).trace("Deliver", "T", id="_rig_1_0", key="DATA")
    sent(tale, 15.6, "T", "_T", "T_9", origin="_rig_1_0")
    tale.at(15.7).handled("T_9", "_T", "DATA", first="_rig_1_0", first_sender="_rig_1")
    return tale


def test_each_leg_has_its_time_and_together_they_are_all_of_it() -> None:
    index = Index(evidence(repeated()))
    (transit,) = messages(index, "trials", index.made, ()).came
    legs = Journeys(index).legs(transit)
    assert {leg.what: round(leg.ms) for leg in legs} == {
        "waiting in _rig_1, sent 2 times": 5100,
        "from rig_1 to T": 200,
        "waiting in T": 300,
        "from T to _T": 100,
    }
    assert sum(leg.ms for leg in legs) == pytest.approx(transit.ms)
    assert Journeys(index).words(transit) == (
        "_rig_1_0 (5,700 ms: 5,100 waiting in _rig_1, sent 2 times, 200 from rig_1 to T, 300 waiting in T)"
    )


def test_the_slowest_come_first_with_their_fault_and_the_load() -> None:
    run = evidence(repeated().struck("cut", "rig_1", since=9.5, until=14.5, end="heal"))
    run.busy = [(int(15.2e9), int(15.4e9))]
    (row,) = slowest_rows(Index(run))
    assert (row.id, row.key, row.frm, row.to, row.took_ms, row.busy) == (
        *("_rig_1_0", "DATA", "_rig_1", "_T"),
        *(5700.0, True),
    )
    assert row.fault.startswith("the link from rig_1 up to T was cut at ")


def test_without_traces_the_whole_time_is_one_leg() -> None:
    story = Story()
    story.message("_rig_1_0", ["_rig_1", "rig_1", "T"])
    story.journal.traces.clear()
    index = Index(Evidence(topology=small_lab(), seed=1, journal=story.journal))
    (transit,) = messages(index, "", index.made, ()).came
    assert [leg.what for leg in Journeys(index).legs(transit)] == ["from _rig_1"]


def test_an_item_waits_for_its_batch_and_crosses_stations() -> None:
    tale = Tale()
    tale.at(10.5).trace("Deliver", "rig_1", id="_cam_wheel.0_2", key="STREAM")
    index = Index(evidence(tale))
    item = Transit(
        item="item 7",
        batch="_cam_wheel.0_2",
        made=10 * 10**9,
        came=10_700_000_000,
        path=("_cam", "_T"),
    )
    legs = Journeys(index).legs(item)
    assert [(leg.what, round(leg.ms)) for leg in legs] == [
        ("in a batch of _cam, and from there to rig_1", 500),
        ("from rig_1 to _T", 200),
    ]
    assert Journeys(index).slowest_words([item]) == (
        "; slowest: item 7 (700 ms: 500 in a batch of _cam, and from there to rig_1, 200 from rig_1 to _T)"
    )
