"""The quantile of all figures and limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["quantile"]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least a `share` of them (0 < share <= 1) do not exceed.

    `values` must be ascending and not empty.
    """
    return values[math.ceil(share * len(values)) - 1]
