"""Cheap drawing with hypothesis: small choices inside strategies, and many values by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

__all__ = ["chance", "draws", "pick", "some"]

T = TypeVar("T")


def pick(draw: st.DrawFn, items: Sequence[T]) -> T:
    """One of `items`; shrinks towards the first. It is cheaper than `sampled_from`, which makes a strategy each time.
    """
    return items[draw(st.integers(0, len(items) - 1))] if len(items) > 1 else items[0]


def chance(draw: st.DrawFn, one_in: int) -> bool:
    """True once in `one_in` draws; shrinks towards False."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def some(draw: st.DrawFn, items: Sequence[T], most: int) -> list[T]:
    """From one to `most` of `items`, in their own order."""
    left = list(range(len(items)))
    taken = [left.pop(draw(st.integers(0, len(left) - 1))) for _ in range(draw(st.integers(1, min(most, len(left)))))]
    return [items[n] for n in sorted(taken)]


def draws(strategy: st.SearchStrategy[T], *, seed: int, count: int) -> list[T]:
    """At most `count` values, the same for the same seed. The first is the smallest there is.

    Up to ten values differ from one another. With more, hypothesis makes most of them by copying parts of others.
    """
    found: list[T] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # nothing is tested here, so a health check would mean nothing
        verbosity=Verbosity.quiet,
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found
