"""A burst is sent as far as its window allows: judged by journals that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.checks.load.flow import check_flow
from sim.evidence.index import Evidence, Index
from sim.evidence.journal import Entry, Journal, Trace
from sim.lab.topology import Machine, Topology
from sim.scenario import Bounds, Example, Send
from sim.verdict import Check

LAB = Topology(
    name="two", path="two.yaml", machines=(Machine("T", children=("rig_1",)), Machine("rig_1", parent="T"))
)
COUNT = 40
MS = 10**6


def judged(
    steps: Sequence[tuple[int, str, int]],
    *,
    takes_ms: int = 0,
    gap: int = 0,
    busy: bool = False,
    bounds: Bounds | None = None,
    settled: int = COUNT,
    size: int = 100,
) -> Check:
    """The result for a burst of rig_1 to T. `steps` are (ms, "sent" or "over", number); messages are made `gap` apart.
    """
    facts: dict[str, Any] = {"key": "STORM", "by": "rig_1", "to": "T", "example": 0}
    entries = [Entry(t=n * gap, what="made", id=f"m{n}", sought=True, **facts) for n in range(COUNT)]
    entries += [
        Entry(t=10**9, what="settled", id=f"m{n}", value="confirmed", **facts) for n in range(settled)
    ]
    do = {"sent": "Transmit", "over": "Confirmed", "probe": "Transmit"}
    traces = [
        Trace(t=t * MS, at="rig_1", life="a", do=do[what], id=f"m{n}" if what != "probe" else "p", size=size)
        for t, what, n in steps
    ]
    example = Example(ops=(Send(frm="rig_1", to="T", burst=COUNT, takes_ms=takes_ms),))
    evidence = Evidence(
        topology=LAB,
        seed=1,
        journal=Journal(entries=entries, traces=traces),
        examples={0: example},
        bounds=bounds or Bounds(),
        busy=[(0, 10**12)] if busy else [],
    )
    return check_flow(Index(evidence))


def together() -> list[tuple[int, str, int]]:
    return [(1, "sent", n) for n in range(COUNT)] + [(2 + n, "over", n) for n in range(COUNT)]


def one_by_one() -> list[tuple[int, str, int]]:
    return [step for n in range(COUNT) for step in ((n, "sent", n), (n, "over", n))]


def test_a_burst_that_is_under_way_together_is_well() -> None:
    assert (judged(together()).result, judged(together()).count) == ("pass", COUNT)


def test_a_burst_made_at_once_and_sent_one_by_one_is_not() -> None:
    check = judged(one_by_one())
    assert check.result == "fail"
    assert check.violations == [
        "40 messages from rig_1 to T: at the end, at most 1 were under way at once; the window has room for 40"
    ]


def test_a_sender_that_is_slower_than_its_recipient_may_have_one_under_way() -> None:
    """On processes a message may be confirmed before the next one is made."""
    assert judged(one_by_one(), gap=1).result == "pass"


def test_but_not_where_the_handler_is_slow() -> None:
    assert judged(one_by_one(), gap=1, takes_ms=20).result == "fail"


def test_nor_where_one_by_one_begins_once_the_window_was_full() -> None:
    steps = [step for step in one_by_one() if step[2] >= COUNT // 2]
    full = [(0, what, n) for what in ("sent", "over") for n in range(COUNT // 2)]
    assert judged([*full, *steps], gap=1, takes_ms=20).result == "fail"


def test_where_the_cpus_were_full_that_is_not_known() -> None:
    assert judged(one_by_one(), gap=1, takes_ms=20, busy=True).result == "unknown"


def test_a_small_pipe_may_hold_back_more_than_the_window() -> None:
    assert judged(one_by_one(), bounds=Bounds(pipe_bytes=600)).result == "pass"


def test_more_messages_under_way_than_the_window_has_are_told() -> None:
    check = judged(together(), bounds=Bounds(window_messages=39))
    assert check.violations == ["40 messages from rig_1 to T: 40 were under way at once, and the window is 39"]


def test_more_bytes_under_way_than_the_window_has_are_told() -> None:
    check = judged(together(), bounds=Bounds(window_bytes=20_000), size=5_000)
    assert check.violations == [
        "40 messages from rig_1 to T: 200,000 bytes were under way at once, and the window is 20,000"
    ]


def test_what_is_neither_settled_nor_sent_again_stands_still() -> None:
    steps = [(n, "sent", n) for n in range(10)] + [(n, "over", n) for n in range(10)]
    check = judged([*steps, (60_000, "probe", 0)], settled=10)
    assert check.result == "fail"
    assert "30 of them stand still, and none was sent for 60 s" in check.violations[0]


def test_what_was_sent_a_moment_ago_does_not_stand_still() -> None:
    assert judged([(1, "sent", 0), (2_000, "probe", 0)], settled=0).result == "pass"


def test_what_is_sent_again_does_not_stand_still() -> None:
    assert judged([(1, "sent", 0), (58_000, "sent", 0), (60_000, "probe", 0)], settled=0).result == "pass"
