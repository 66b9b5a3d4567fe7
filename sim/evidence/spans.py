"""Spans of time, as pairs of nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Span", "merged", "overlap", "touches"]

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not overlap, in the order of time."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def overlap(spans: Sequence[Span], since: int, until: int) -> int:
    """How many nanoseconds of a span are in these, which must be `merged`."""
    return sum(max(0, min(until, end) - max(since, begin)) for begin, end in spans)


def touches(spans: Sequence[Span], since: int, until: int) -> bool:
    """Whether a span has a moment in common with any of these."""
    return any(begin <= until and since <= end for begin, end in spans)
