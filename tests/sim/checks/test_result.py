"""The result of a check: a violation fails it, a doubt leaves it unknown, and so does nothing to look at."""

from __future__ import annotations

import pytest

from sim.checks.result import about_machine, for_people, many, result_of
from tests.sim.findings import violation

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


def test_sentences_for_people_name_no_probe() -> None:
    found = violation("hops: T_1 from rig_1.probe to T came no further than rig_1")
    check = result_of("hops", "1 message", 1, [found], unknown=[found], explained=["rig_1.probe was down"])
    words = for_people(check)
    assert words.broke[0].text == "T_1 from the test client on rig_1 to T came no further than rig_1"
    assert words.explained == ["the test client on rig_1 was down"]
    assert (words.doubts[0].text, words.result) == (f"not known: {words.broke[0].text}", "fail")
