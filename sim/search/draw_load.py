"""Hypothesis strategies for load: windows and pipes that a few messages fill, long bursts, and slow handlers.

A hunt plays thousands of scenarios, so the windows and pipes are made small, and not the bursts long.
"""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec.structs import replace

from sim.scenario import Bounds, Send
from sim.scenario.payloads import Payload
from sim.search.draw import chance, pick

__all__ = ["load", "small_bounds"]

MESSAGES = (16, 40, 1_000)  # fewer could not hold an order and what it needs on the same path, such as its files
SIZES = (8 << 20, 6_000, 20_000)
PIPES = (2_000, None, 600, 6_000)
LARGE = Payload(text=f'"{"x" * 1_000}"')  # a few fill the smaller windows, and two the smaller pipes
PATIENCE = 7  # times the repeat interval after which a sender that hears nothing has given up


@st.composite
def small_bounds(draw: st.DrawFn) -> Bounds:
    """A window of a few messages or bytes, pipes of a few bytes, or both."""
    return Bounds(
        window_messages=pick(draw, MESSAGES), window_bytes=pick(draw, SIZES), pipe_bytes=pick(draw, PIPES)
    )


@st.composite
def load(draw: st.DrawFn, op: Send, repeat_interval_s: float) -> Send:
    """`op` as a burst that fills small bounds, or with a handler that is slow: slower even than a sender's patience."""
    if chance(draw, 3):
        takes_ms = pick(draw, (200, round(PATIENCE * repeat_interval_s * 1e3), 1_500))
        return replace(op, burst=draw(st.integers(1, 3)), takes_ms=takes_ms)
    return replace(op, burst=draw(st.integers(5, 40)), payload=LARGE if chance(draw, 2) else op.payload)
