"""What is a number, and what is a count: what a peer says is neither until it was looked at."""

import math
from typing import Any

import pytest

from autopilot_net.protocol.numbers import BEYOND, as_int, is_number


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(0, True), (-2, True), (0.5, True), (True, False), (math.nan, False), (math.inf, False), (10**400, False)],
)
def test_what_a_number_is(value: Any, is_one: bool) -> None:
    assert is_number(value) is is_one


@pytest.mark.parametrize("value", [1.0, "1", None, True, False, [1], -1, BEYOND])
def test_what_is_no_whole_number_in_its_bounds_counts_as_none(value: Any) -> None:
    assert as_int(value) is None


def test_a_whole_number_counts_from_the_lowest_to_below_the_highest() -> None:
    assert [as_int(value, 2, 5) for value in (1, 2, 4, 5)] == [None, 2, 4, None]
    assert as_int(BEYOND - 1) == BEYOND - 1
