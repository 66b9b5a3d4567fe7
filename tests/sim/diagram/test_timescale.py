"""Idle time is cut out of the axis, and labelled."""

from __future__ import annotations

from itertools import pairwise

from sim.diagram.model import Cut, Diagram
from tests.sim.diagram.tape import S, Tape, made, trial


def waited(gap_ms: float) -> Diagram:
    """A message that is sent again after `gap_ms`."""
    tape = Tape()
    made(tape)
    for at in (2, 2 + gap_ms):
        tape.sent(at, "_rig_1", "rig_1", trial(), bytes_=f"at {at}")
        tape.sent(at + 1, "rig_1", "T", trial(), bytes_=f"at {at}")
    return tape.diagram()


def test_time_in_which_nothing_happens_is_cut_out_and_labelled() -> None:
    short, long = waited(5 * S), waited(500 * S)
    assert short.cuts == [Cut(x0=2.0, x1=4.4, seconds=4.999, at_s=5.002)]
    assert long.cuts == [Cut(x0=2.0, x1=4.4, seconds=499.999, at_s=500.002)]
    assert short.width == long.width
    assert [arrow.x0 for arrow in short.arrows] == [arrow.x0 for arrow in long.arrows] == [1.0, 2.0, 4.4, 5.4]


def test_a_gap_that_is_short_beside_what_frames_take_is_not_cut_out() -> None:
    tape = Tape()
    made(tape)
    for n, (at, peer) in enumerate(pairwise(["_rig_5_cam", "rig_5_cam", "rig_5", "T", "rig_1"])):
        tape.sent(100 * n, at, peer, trial())
    diagram = tape.diagram()
    assert (len(diagram.arrows), diagram.cuts) == (4, [])
    assert diagram.arrows[1].x0 == 3.0, "100 ms are two steps"
