"""The quantile is always one of the values."""

from __future__ import annotations

import pytest

from sim.evidence.quantile import quantile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([7], 0.5, 7), ([1, 2], 0.5, 1), ([1, 2, 3], 0.5, 2), (list(range(1, 101)), 0.99, 99), ([1, 2, 3], 1.0, 3)],
)
def test_a_quantile_is_the_smallest_value_that_a_share_does_not_exceed(
    values: list[float], share: float, expected: float
) -> None:
    assert quantile(values, share) == expected
