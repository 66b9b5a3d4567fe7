"""The count and the digest of a session tell whether two ends have the same messages in the same order."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import Ledger


@pytest.mark.parametrize(
    "other",
    [
        [("a_0", {"x": 2}), ("a_1", {"x": 2})],
        [("a_1", {"x": 2}), ("a_0", {"x": 1})],
        [("a_0", {"x": 1}), ("a_2", {"x": 2})],
        [("a_0", {"x": 1})],
    ],
)
def test_a_ledger_tells_apart_what_differs_in_a_value_an_id_or_the_order(other: list[tuple[str, Any]]) -> None:
    one, another = Ledger(), Ledger()
    for id, value in [("a_0", {"x": 1}), ("a_1", {"x": 2})]:
        one.record(id, value)
    for id, value in other:
        another.record(id, value)
    assert one.answer({})["digest"] != another.answer({})["digest"]


@pytest.mark.parametrize("bounds", [[True, 2], [0, True], [0.0, 1.0], [-1, 2], [0], [0, 1, 2], "01", None])
def test_a_range_that_is_none_is_answered_without_ids(bounds: Any) -> None:
    ledger = Ledger()
    ledger.record("a_0", {"x": 1})
    assert "ids" not in ledger.answer({"range": bounds})
    assert ledger.answer({"range": [0, 5]})["ids"] == ["a_0"]
