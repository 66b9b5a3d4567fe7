"""Streams under faults: which items may be missing or come again, and whose fault that must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim.emulator.session import item_of
from sim.evidence.journal import Trace
from sim.scenario.payloads import fingerprint
from sim.verdict import Check
from tests.sim.journal_builder import CAMERA, SEED, WHEEL, Tale, checked

Plot = Callable[[Tale], object]
RATE_S = 0.5


def streamed(name: str, *, lost: tuple[int, ...] = (), count: int = 40, life: int = 0, first: int = 0) -> Tale:
    """Items from second 10 on, two a second, of which some do not come."""
    tale = Tale()
    add(tale, name, range(first, count), lost=lost, life=life)
    return tale


def add(tale: Tale, name: str, numbers: range, *, lost: tuple[int, ...] = (), life: int = 0, since: float = 10) -> None:
    for n in numbers:
        when = since + RATE_S * n
        tale.at(when).note("item_made", "_rig_1", stream=f"rig_1/{name}/0", n=n, to="T", life=life)
        if n not in lost:
            got(tale.at(when + 0.01), name, n)


def got(tale: Tale, name: str, n: int, **facts: object) -> None:
    """An item came to the terminal's program."""
    spec = {"wheel": WHEEL, "camera": CAMERA}[name]
    shown = fingerprint(item_of(SEED, "rig_1", name, spec, 0, n))
    tale.note("item_got", "_T", stream=f"rig_1/{name}/0", n=n, print=shown, first_sender=f"_rig_1_{name}.0", **facts)


def gap(tale: Tale, first: int, missing: int, *, at: float) -> None:
    """The terminal's station reported a gap."""
    trace = Trace(t=int(at * 1e9), at="T", life="a", do="Gap", sender="_rig_1_camera.0", first=first, missing=missing)
    tale.journal.traces.append(trace)


def judged(tale: Tale, *, durable: bool = False) -> Check:
    return checked("streams", tale, durable=durable)


# -- reliable ----------------------------------------------------------------------------------------------------------


def test_a_stream_without_a_fault_has_nothing_to_explain() -> None:
    check = judged(streamed("wheel"))
    assert (check.result, check.count, check.figures, check.explained) == ("pass", 40, "", [])


def killed(tale: Tale, *, since: float = 20.0) -> Tale:
    return tale.struck("kill", "rig_1", since=since, until=since + 10, end="restart", what="program")


def test_items_that_were_under_way_when_their_sender_was_killed_are_explained() -> None:
    tale = killed(streamed("wheel", lost=(18, 19), count=20))
    add(tale, "wheel", range(20, 25), life=1, since=22)
    check = judged(tale)
    assert (check.result, check.figures) == ("pass", "2 items missing, explained by faults")
    assert check.explained == [
        "rig_1 wheel: items 18-19 from _rig_1 to _T were lost: "
        "the program of rig_1 was killed at 20.0 s, back at 30.0 s"
    ]


def missing(runs: str, count: int, made: int = 20) -> list[str]:
    return [f"rig_1 wheel: {count} of {made} items missing at _T: {runs} (not reported as missing)"]


def test_items_that_were_long_confirmed_cannot_have_died_with_their_sender() -> None:
    tale = killed(streamed("wheel", lost=(2, 19), count=20))
    assert judged(tale).violations == missing("2", 1)


def test_items_may_wait_longer_on_a_way_that_was_cut() -> None:
    tale = killed(streamed("wheel", lost=tuple(range(2, 20)), count=20))
    tale.struck("cut", "rig_1", since=11, until=19, end="heal")
    assert judged(tale).violations == []


def test_of_a_durable_stream_only_what_was_in_no_batch_dies_with_its_sender() -> None:
    tale = killed(streamed("wheel", lost=(15, 19), count=20))
    assert judged(tale, durable=True).violations == [], "nobody has opened it again"
    tale.at(31).trace("PeerUp", "_rig_1_wheel.0", peer="rig_1")
    assert judged(tale, durable=True).violations == missing("15", 1)
    assert judged(tale).violations == []


@pytest.mark.parametrize(
    "plot",
    [
        lambda tale: tale.struck("cut", "rig_1", since=15, until=25, end="heal"),
        lambda tale: tale.struck("kill", "T", since=15, until=25, end="restart"),
        lambda tale: tale.struck("kill", "rig_1", since=15, until=25, end="restart", what="station"),
        lambda tale: tale.struck("kill", "rig_2", since=20, until=25, end="restart"),
    ],
    ids=["a cut", "the recipient's death", "a station's death", "another's death"],
)
def test_nothing_else_costs_a_reliable_stream_an_item(plot: Plot) -> None:
    tale = streamed("wheel", lost=(18,))
    plot(tale)
    assert judged(tale).violations == missing("18", 1, 40)


def expired(tale: Tale, *, at: float) -> None:
    """The stream gave a batch up."""
    own = "_rig_1_wheel.0"
    tale.journal.traces.append(Trace(t=int(at * 1e9), at=own, life="a", do="Expired", id=f"{own}_3", to="T"))


def test_a_batch_that_expired_while_its_way_was_cut_is_explained() -> None:
    tale = streamed("wheel", lost=(18,)).struck("cut", "rig_1", since=15, until=40, end="heal")
    expired(tale, at=44)
    assert judged(tale).violations == []
    tale = streamed("wheel", lost=(18,)).struck("cut", "rig_1", since=15, until=25, end="heal")
    expired(tale, at=44)
    assert judged(tale).violations == missing("18", 1, 40), "there was time enough to send it again"


@pytest.mark.parametrize(
    ("plot", "facts", "sentences"),
    [
        (lambda _: None, {}, ["rig_1 wheel: 1 item came twice to _T"]),
        (lambda _: None, {"redelivered": True}, ["rig_1 wheel: 1 item came twice to _T"]),
        (lambda tale: killed_station(tale, "T"), {"redelivered": True}, []),
        (lambda tale: killed_station(tale, "T"), {}, ["rig_1 wheel: 1 item came twice to _T"]),
        (lambda tale: killed_station(tale, "rig_2"), {"redelivered": True}, ["rig_1 wheel: 1 item came twice to _T"]),
        (lambda tale: killed_station(tale, "T"), {"redelivered": True, "life": 1}, []),
        (
            lambda tale: killed_station(tale, "T"),
            {"life": 1},
            ["rig_1 wheel: 1 item came again to a next life of _T, and not marked redelivered"],
        ),
    ],
)
def test_an_item_comes_again_only_from_a_station_that_was_killed_and_marked(
    plot: Plot, facts: dict[str, object], sentences: list[str]
) -> None:
    tale = streamed("wheel")
    got(tale.at(26), "wheel", 18, **facts)
    plot(tale)
    assert judged(tale).violations == sentences


def killed_station(tale: Tale, station: str) -> None:
    tale.struck("kill", station, since=19.2, until=24, end="restart", what="station")


# -- unreliable --------------------------------------------------------------------------------------------------------

LOST = (18, 19)
SILENT = ["rig_1 camera: 2 of 40 items missing at _T: 18-19 (not reported as missing)"]


def cut(tale: Tale, link: str = "rig_1", *, since: float = 18.9) -> Tale:
    return tale.struck("cut", link, since=since, until=since + 1, end="heal")


def test_an_unreliable_stream_may_lose_what_a_fault_explains_and_its_receiver_reports() -> None:
    tale = cut(streamed("camera", lost=LOST))
    gap(tale, 18, 2, at=20.01)
    check = judged(tale)
    assert (check.violations, check.figures) == ([], "2 items missing, explained by faults")
    assert check.explained[0].startswith("rig_1 camera: items 18-19 from _rig_1 to _T were lost: the link from rig_1")


def test_a_gap_that_the_receiver_could_see_and_did_not_report_is_a_violation_though_a_fault_explains_the_loss() -> None:
    assert judged(cut(streamed("camera", lost=LOST))).violations == SILENT


def test_nothing_is_reported_as_missing_that_is_not() -> None:
    tale = streamed("camera", lost=(7,))
    gap(tale, 7, 1, at=15)
    assert judged(tale).result == "pass"
    gap(tale, 20, 3, at=21)
    assert judged(tale).violations == ["rig_1 camera: T reported 4 items as missing, and 1 is"]


def test_the_tail_of_an_unreliable_stream_is_missed_by_nobody() -> None:
    tale = streamed("camera", lost=LOST, count=20)
    assert judged(tale).violations == ["rig_1 camera: 2 of 20 items missing at _T: 18-19 (at the end)"]
    assert judged(cut(tale)).violations == []


def test_what_is_lost_where_items_are_passed_on_is_missed_by_nobody() -> None:
    tale = streamed("camera", lost=LOST)
    tale.struck("kill", "T", since=18.9, until=19.9, end="restart", what="program")
    assert judged(tale).violations == []


def test_a_receiver_that_was_killed_between_cannot_miss_what_its_next_life_did_not_count() -> None:
    tale = streamed("camera", lost=LOST)
    killed_station(tale, "T")
    gap(tale, 0, 20, at=20)  # it counts from 0, which reports nothing
    assert judged(tale).violations == []


def test_what_may_have_been_lost_behind_the_receiver_need_not_be_reported_by_it() -> None:
    tale = cut(streamed("camera", lost=LOST))
    tale.struck("kill", "T", since=18.9, until=19.9, end="restart", what="program")
    assert judged(tale).violations == []


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_receiver_that_was_killed_before_the_next_item_came_cannot_have_missed_one(is_killed: bool) -> None:
    tale = cut(streamed("camera", lost=LOST, count=20))
    add(tale, "camera", range(50, 60))
    if is_killed:
        tale.struck("kill", "T", since=30, until=31, end="restart", what="station")
    silent = ["rig_1 camera: 2 of 30 items missing at _T: 18-19 (not reported as missing)"]
    assert judged(tale).violations == ([] if is_killed else silent)


def test_what_a_new_life_of_the_receiver_takes_for_a_gap_is_no_report() -> None:
    tale = streamed("camera", lost=(5,))
    killed_station(tale, "T")
    gap(tale, 0, 28, at=24.1)
    assert judged(tale).violations == ["rig_1 camera: 1 of 40 items missing at _T: 5 (not reported as missing)"]


@pytest.mark.parametrize(
    "plot",
    [
        lambda tale: cut(tale, "rig_2"),
        lambda tale: cut(tale, since=5),
        lambda tale: cut(tale, since=29),
        lambda tale: cut(tale, "cam"),
        lambda tale: tale.struck("drop", "rig_1", since=18, until=20, end="heal"),
    ],
    ids=["elsewhere", "before", "after", "below it", "a lossy link that took nothing of it"],
)
def test_a_fault_explains_no_item_off_its_way_or_out_of_its_time(plot: Plot) -> None:
    tale = streamed("camera", lost=LOST)
    plot(tale)
    assert judged(tale).violations == SILENT


def test_what_a_lossy_link_took_of_a_stream_is_known_by_the_id_of_its_batch() -> None:
    tale = streamed("camera", lost=LOST).struck("drop", "rig_1", since=18, until=20, end="heal")
    tale.at(19.1).frame("drop", "rig_1", "_rig_1_camera.0_7")
    gap(tale, 18, 2, at=20.01)
    assert judged(tale).violations == []
    assert judged(tale).explained[0].endswith("the link from rig_1 up to T lost messages from 18.0 s to 20.0 s")
