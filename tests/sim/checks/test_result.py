"""The result of a check: a violation fails it, a doubt leaves it unknown, and so does nothing to look at."""

from __future__ import annotations

import pytest

from sim.checks.result import about_machine, many, result_of

BROKE = about_machine("rig_1", "rig_1 is lost")
DOUBT = about_machine("rig_1", "whether rig_1 is back")


def test_findings_are_named_after_the_check_and_doubts_say_that_they_are_doubts() -> None:
    check = result_of("hops", "2 messages", 2, [BROKE], unknown=[DOUBT])
    assert check.result == "fail"
    assert [str(found) for found in (*check.broke, *check.doubts)] == [
        "hops: rig_1 is lost",
        "hops: not known: whether rig_1 is back",
    ]


def test_a_doubt_alone_is_unknown() -> None:
    assert result_of("hops", "2 messages", 2, [], unknown=[DOUBT]).result == "unknown"


@pytest.mark.parametrize(
    ("count", "explained", "result"), [(0, [], "unknown"), (0, ["a fault"], "pass"), (1, [], "pass")]
)
def test_a_check_must_have_looked_at_something(count: int, explained: list[str], result: str) -> None:
    assert result_of("hops", "", count, [], explained=explained).result == result


def test_counts_are_words() -> None:
    assert [many(1, "rig"), many(1204, "item")] == ["1 rig", "1,204 items"]
