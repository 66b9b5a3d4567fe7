"""The wall clock is set while programs run, as on a Pi that learns the time from the network after it has booted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zmq

from autopilot_net import Net_Node
from autopilot_net.core import timestamp
from autopilot_net.wallclock import epoch
from tests.conftest import Context, eventually, plain

DAY_S = 86_400.0


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the wall clock, by so many seconds from the true time."""
    true = time.time

    def set_by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: true() + seconds)

    return set_by


@pytest.fixture
def node(context: Context) -> Iterator[Net_Node]:
    upstream = plain(context, zmq.ROUTER)
    upstream.bind("tcp://127.0.0.1:*")
    with Net_Node("n", "s", int(upstream.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])) as made:
        yield made


def is_about(stamp: str, seconds: float) -> bool:
    """Whether `stamp` is that far from the true time, give or take a minute."""
    return abs(datetime.fromisoformat(stamp) - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(minutes=1)


def test_what_is_sent_after_the_clock_was_set_bears_the_new_time(
    set_clock: Callable[[float], None], node: Net_Node
) -> None:
    assert is_about(node.prepare_message("s", "K", None).timestamp, 0)
    set_clock(DAY_S)
    assert is_about(node.prepare_message("s", "K", None).timestamp, DAY_S)
    assert is_about(timestamp(time.monotonic() - 3_600), DAY_S - 3_600)


def test_the_core_learns_that_the_clock_was_set(set_clock: Callable[[float], None], node: Net_Node) -> None:
    core: Any = node._core
    before = core.endpoint.epoch
    set_clock(DAY_S)
    core.driver.run(core.attachment, lambda _now: [])
    node.send("s", "K")  # whatever makes the I/O thread take its turn
    eventually(lambda: abs(core.endpoint.epoch - before - DAY_S) < 60)


def test_a_reading_that_took_long_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine half a second may pass between two clocks that are read one after the other."""
    monkeypatch.setattr(time, "monotonic", iter([10.0, 10.5]).__next__)
    monkeypatch.setattr(time, "time", lambda: 1_010.1)
    assert epoch(1_000.0) == 1_000.0


@pytest.mark.parametrize(("wall", "found"), [(2_010.1, 2_000.0), (510.1, 500.1)], ids=["forward", "back"])
def test_a_reading_that_proves_a_step_moves_no_further_than_it_proves(
    monkeypatch: pytest.MonkeyPatch, wall: float, found: float
) -> None:
    monkeypatch.setattr(time, "monotonic", iter([10.0, 10.1]).__next__)
    monkeypatch.setattr(time, "time", lambda: wall)
    assert epoch(1_000.0) == pytest.approx(found)


def test_of_the_first_readings_the_one_that_took_the_least_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", iter([0.0, 5.0, 10.0, 10.5, *range(11, 17)]).__next__)
    monkeypatch.setattr(time, "time", lambda: 1_010.25)
    assert epoch() == 1_000.0
