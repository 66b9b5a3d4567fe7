"""What is a number, and what is a count: what a peer says is neither until it was looked at."""

import math
from typing import Any

import pytest

from autopilot_net.protocol.numbers import is_number


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(0, True), (-2, True), (0.5, True), (True, False), (math.nan, False), (math.inf, False), (10**400, False)],
)
def test_what_a_number_is(value: Any, is_one: bool) -> None:
    assert is_number(value) is is_one
