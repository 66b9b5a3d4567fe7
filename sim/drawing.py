"""Small choices in composite strategies, cheaply: a hunt makes a hundred of them for each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["chance", "pick", "some"]

T = TypeVar("T")


def pick(draw: st.DrawFn, items: Sequence[T]) -> T:
    """One of them; shrinks towards the first. Unlike `sampled_from`, it makes no strategy of each list anew."""
    return items[draw(st.integers(0, len(items) - 1))] if len(items) > 1 else items[0]


def chance(draw: st.DrawFn, one_in: int) -> bool:
    """Whether it happens; shrinks towards no."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def some(draw: st.DrawFn, items: Sequence[T], most: int) -> list[T]:
    """Some of them, one at least and at most so many, in their own order."""
    left = list(range(len(items)))
    taken = [left.pop(draw(st.integers(0, len(left) - 1))) for _ in range(draw(st.integers(1, min(most, len(left)))))]
    return [items[n] for n in sorted(taken)]
