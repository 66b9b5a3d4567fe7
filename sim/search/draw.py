"""Drawing by hypothesis, many times and cheaply: small choices in strategies, and values by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

__all__ = ["chance", "draws", "pick", "some"]

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


def draws(strategy: st.SearchStrategy[T], *, seed: int, count: int) -> list[T]:
    """At most so many values, the same ones for the same seed. The first is the least there is.

    Up to ten at a time are all unlike each other: of more, hypothesis makes most by copying a part of one onto another.
    """
    found: list[T] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # nothing is tested here, and that is slow for nobody
        verbosity=Verbosity.quiet,
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found
