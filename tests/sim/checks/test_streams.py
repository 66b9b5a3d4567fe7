"""The check `streams`: items that are missing, came twice, or are wrong; and rows of streams."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from sim.checks.registry import check_all
from sim.checks.streams import stream_rows
from sim.emulator.session import item_of, stream_name
from sim.evidence.index import Evidence, Index
from sim.lab.topology import Machine, Stream, Topology
from sim.scenario.payloads import fingerprint
from tests.sim.checks.healthy_run import again, broke, check_of, forget, found, lab, reported, row_of
from tests.sim.journal_builder import SEED, WHEEL, Story


@pytest.mark.parametrize(
    ("lost", "runs", "where"),
    [
        ([3], "3", "not reported as missing"),
        ([1, 2, 7], "1-2, 7", "not reported as missing"),
        ([8, 9], "8-9", "at the end"),
    ],
)
def test_items_that_are_missing_are_told_by_their_numbers(
    run: Evidence, lost: list[int], runs: str, where: str
) -> None:
    for n in lost:
        forget(run, "item_got", stream="rig_1/wheel/0", n=n)
    assert broke(run) == {
        "streams": [f"rig_1 wheel: {len(lost)} of 10 items missing at _T: {runs} ({where})"],
        "expect": [f"rig_1 wheel: items missing: {len(lost)} > 0"],
    }


def test_an_unreliable_stream_may_lose_what_the_receiver_reports(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3))
    assert broke(run) == {}
    row = row_of(run, "camera")
    assert (row.received, row.missing, row.where) == (9, ["3"], "reported as gaps by the receiver")


def test_an_unreliable_stream_may_not_lose_what_nobody_reports(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/camera/0", n=3)
    run.journal.traces.append(reported(1, first=3, sender="_rig_1_camera.1"))  # of another session
    assert broke(run) == {"streams": ["rig_1 camera: 1 of 10 items missing at _T: 3 (not reported as missing)"]}


def test_a_report_excuses_nothing_of_a_reliable_stream(run: Evidence) -> None:
    forget(run, "item_got", stream="rig_1/wheel/0", n=3)
    run.journal.traces.append(reported(1, first=3, sender="_rig_1_wheel.0"))
    assert broke(run)["streams"] == ["rig_1 wheel: 1 of 10 items missing at _T: 3 (not reported as missing)"]


def test_an_item_that_came_twice_is_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1/wheel/0", n=3)
    assert broke(run) == {"streams": ["rig_1 wheel: 1 item came twice to _T"]}


def test_an_item_that_came_after_a_later_one_is_told(run: Evidence) -> None:
    third, fourth = (forget(run, "item_got", stream="rig_1/wheel/0", n=n) for n in (3, 4))
    place = run.journal.entries.index(found(run, "item_got", stream="rig_1/wheel/0", n=5))
    run.journal.entries[place:place] = [fourth, third]
    assert broke(run) == {"streams": ["rig_1 wheel: 1 item came after a later one to _T"]}


@pytest.mark.parametrize("stream", ["rig_1/wheel/0", "rig_1/camera/0", "rig_1.probe#0.3"])
def test_an_item_with_other_bytes_is_told(run: Evidence, stream: str) -> None:
    found(run, "item_got", stream=stream, n=2).print = "another"
    [sentence] = broke(run)["streams"]
    assert sentence.endswith(" with other content than was made")
    assert list(broke(run)) == ["streams"]


def test_an_item_that_nobody_made_is_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1/wheel/0", n=9).n = 99
    assert broke(run) == {"streams": ["rig_1 wheel: 1 item came to _T with other content than was made"]}


def test_an_item_that_nobody_made_does_not_stand_in_for_a_lost_one(run: Evidence) -> None:
    found(run, "item_got", stream="rig_1/wheel/0", n=9).n = 99
    assert broke(run) == {
        "streams": [
            "rig_1 wheel: 1 of 10 items missing at _T: 9 (at the end)",
            "rig_1 wheel: 1 item came to _T with other content than was made",
        ],
        "expect": ["rig_1 wheel: items missing: 1 > 0"],
    }


def test_items_that_came_to_somebody_else_are_told_with_who_it_was(run: Evidence) -> None:
    found(run, "item_got", stream="rig_1.probe#0.3", n=2).by = "rig_1"
    assert broke(run) == {
        "streams": ["rig_1 storm 0.3: 1 of 4 items missing at T: 2 (they came to rig_1)"],
    }


def test_items_that_came_to_somebody_else_too_are_told(run: Evidence) -> None:
    again(run, "item_got", stream="rig_1.probe#0.3", n=2).by = "rig_1"
    assert broke(run) == {"streams": ["rig_1 storm 0.3: items for T went elsewhere too (they came to rig_1)"]}


def test_a_childs_stream_is_expected_where_the_topology_sends_it() -> None:
    """Up by way of its parent to the terminal's program, or to a program above it: never just where it came."""
    to_rig = Stream(bytes=10, rate_hz=5.0, to="rig_1")
    child = Machine("cam", parent="rig_1", streams={"top": to_rig, "up": Stream(bytes=10, rate_hz=5.0)})
    topology = lab(child)
    rows = {}
    for name, at in (("top", "_rig_1"), ("up", "_T")):
        story = Story()
        shown = fingerprint(item_of(SEED, "cam", name, child.streams[name], 0, 0))
        story.item(stream_name("cam", name, 0), 0, by="_cam", to="rig_1", at=at, shown=shown)
        run = Evidence(topology=topology, seed=SEED, journal=story.journal)
        rows[name] = row_of(run, name)
    assert {name: (row.to, row.missing, row.wrong) for name, row in rows.items()} == {
        "top": ("_rig_1", [], 0),
        "up": ("_T", [], 0),
    }


def test_a_row_says_how_fast_a_stream_was(run: Evidence) -> None:
    row = row_of(run, "camera")  # an item every 2 ms, of six numbers of two bytes
    assert (row.items_per_s, row.mb_per_s) == (500.0, 0.006)


@pytest.mark.parametrize("name", ["wheel#2", "#", "a.b"])
def test_a_stream_may_have_any_name_that_a_topology_may_give_it(name: str) -> None:
    topology = lab()
    rig = replace(topology.machines[1], streams={name: WHEEL})
    topology = replace(topology, machines=(topology.machines[0], rig))
    story = Story()
    shown = fingerprint(item_of(SEED, "rig_1", name, WHEEL, 0, 0))
    story.item(stream_name("rig_1", name, 0), 0, by="_rig_1", to="T", at="_T", shown=shown)
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    assert check_of(run, "streams").result == "pass"


def with_own_program(said: Any, *, came: int) -> Evidence:
    """A rig whose program is the lab's own, says `said` of what it sent, and of which `came` items came."""
    topology = Topology(
        name="own",
        path="own.yaml",
        machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T", program="wheelbox:WheelBox")),
    )
    story = Story()
    story.shook("rig_1", "rig_1")
    story.relayed("_T_0", ["_T", "T", "rig_1"], by="_rig_1", key="START")
    story.clock("rig_1", 0.0, 0.001)
    for _ in range(came):
        story.note("item_got", "_T", first_sender="_rig_1_wheel")
    run = Evidence(topology=topology, seed=SEED, journal=story.journal)
    run.expected = {"rig_1": said}
    return run


def test_a_program_of_the_labs_own_says_how_many_items_must_come() -> None:
    assert broke(with_own_program({"streams": {"wheel": 5}}, came=5)) == {}
    assert check_of(with_own_program({"streams": {"wheel": 5}}, came=5), "streams").count == 5


@pytest.mark.parametrize(
    ("came", "sentence"),
    [
        (3, "rig_1 wheel: 2 of 5 items missing at _T: 2 of them (not reported as missing)"),
        (7, "rig_1 wheel: 2 items came twice to _T"),
    ],
)
def test_a_count_that_differs_from_what_the_labs_own_program_says_is_told(came: int, sentence: str) -> None:
    assert broke(with_own_program({"streams": {"wheel": 5}}, came=came)) == {"streams": [sentence]}


def test_a_count_that_is_no_number_is_told() -> None:
    run = with_own_program({"streams": {"wheel": "five"}}, came=5)
    assert broke(run) == {"streams": ["rig_1 says that wheel had 'five' items, which is no number"]}


@pytest.mark.parametrize("said", [None, {}, "many", {"streams": None}])
def test_a_program_of_the_labs_own_that_does_not_say_is_not_checked(said: Any) -> None:
    """The report says so, in the words "not checked"; that is no doubt about the rest."""
    run = with_own_program(said, came=3)
    assert {check.name: check.result for check in check_all(run)} == {
        name: "pass" for name in ("programs", "handshake", "session", "clocks", "confirm", "order")
    }


def test_a_program_of_the_labs_own_may_call_its_fields_as_ours_are_called() -> None:
    run = with_own_program({"streams": {"wheel": 3}}, came=0)
    story = Story()
    for n in range(3):
        story.note("item_got", "_T", first_sender="_rig_1_wheel", stream="left", n=n)
    run.journal.entries += story.journal.entries
    assert broke(run) == {}
    assert [(row.machine, row.stream, row.received) for row in stream_rows(Index(run))] == [("rig_1", "wheel", 3)]
