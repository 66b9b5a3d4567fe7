"""What counts as a number in a message. JSON's true does not, though Python takes it for 1."""

from __future__ import annotations

from math import isfinite
from typing import Any

__all__ = ["BEYOND", "as_int", "is_number"]

BEYOND = 1 << 53  # nothing is counted so far, and not every store could keep it


def as_int(value: Any, low: int = 0, high: int = BEYOND) -> int | None:
    """`value` if it is a whole number from `low` to below `high`; else None."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if is_whole and low <= value < high else None


def is_number(value: Any) -> bool:
    """Whether `value` is a number, whole or not, that a finite double can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isfinite(value) if isinstance(value, float) else abs(value) < 1 << 1023
