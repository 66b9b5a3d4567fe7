"""A virtual lab where a pipe or a window is full, or a handler slow: nothing is lost or reordered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sim.lab.fault import Fault
from sim.lab.topology import Topology
from sim.scenario import Bounds, Example, Flow, Send
from sim.scenario.payloads import Payload
from tests.sim.virtual.virtual_run import Run, up

LARGE = Payload(text=f'"{"x" * 1_000}"')
TINY = Bounds(window_messages=16, window_bytes=6_000, pipe_bytes=600)


def test_a_burst_that_fills_window_and_pipe_arrives_in_order(topology: Topology) -> None:
    large = Example(ops=(Send(frm="rig_1", to="T", payload=LARGE, burst=60),), at_s=0.1)
    run = Run(topology, storms=(large,), bounds=TINY)
    assert (run.broke, run.numbers()) == ([], list(range(60)))


def test_a_pipe_is_full_while_a_link_is_held_and_takes_the_rest_when_it_is_released(topology: Topology) -> None:
    run = Run(topology, Fault(at_s=0.1, hold="rig_1", release_after_s=0.5), storms=(up(0.2, 60),), bounds=TINY)
    assert (run.broke, run.numbers()) == ([], list(range(60)))
    assert min(run.times()) > 0.4


def test_less_is_under_way_by_a_small_pipe(topology: Topology) -> None:
    """Else the two tests above would prove nothing."""
    held = Fault(at_s=0.1, hold="rig_1", release_after_s=0.5)

    def before_the_release(bounds: Bounds) -> int:
        run = Run(topology, held, storms=(up(0.2, 60),), bounds=bounds)
        return sum(at < 0.4 for at in run.traces("Transmit", "rig_1"))

    assert before_the_release(Bounds(pipe_bytes=600)) < before_the_release(Bounds()) - 40


def test_a_stream_through_a_small_pipe_is_whole(topology: Topology) -> None:
    flow = Flow(frm="_rig_1", to="T", items=40, batch=1, payload=LARGE)
    assert Run(topology, storms=(Example(ops=(flow,), at_s=0.1),), bounds=TINY).broke == []


@pytest.mark.parametrize("interval_s", [0.2, 1.0])
def test_a_handler_slower_than_a_senders_patience_handles_each_once(topology: Topology, interval_s: float) -> None:
    slow = Send(frm="rig_1", to="T", burst=2, takes_ms=round(8_000 * interval_s))
    run = Run(replace(topology, repeat_interval_s=interval_s), storms=(Example(ops=(slow,), at_s=0.1),))
    assert (run.broke, run.numbers(), run.settled()) == ([], [0, 1], {"confirmed": 2})
