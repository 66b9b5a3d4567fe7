"""The quantile that all figures and limits use."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["quantile"]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that a `share` (above 0, at most 1) of them does not exceed. They must be ascending."""
    return values[math.ceil(share * len(values)) - 1]
