"""The processes of a measurement: they are heard and told, one that fails is told of, and none is left."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import psutil
import pytest

from sim.bench.stage import BenchError, Stage


def answering(wire: Connection, times: int) -> None:
    wire.send(os.getpid())
    wire.send(times * wire.recv())
    wire.recv()


def failing(wire: Connection) -> None:
    os._exit(3)


def waiting(wire: Connection) -> None:
    wire.recv()


def test_a_process_is_told_and_heard_and_has_ended_when_the_stage_is_left() -> None:
    with Stage() as stage:
        part = stage.start(answering, 3)
        pid = part.hear()
        part.tell(14)
        assert part.hear() == 42
    assert not psutil.pid_exists(pid)


def test_whoever_waits_hears_that_another_process_has_failed() -> None:
    with Stage() as stage:
        part = stage.start(waiting)
        stage.start(failing)
        with pytest.raises(BenchError, match=r"test_stage\.failing ended with exit code 3; see stderr"):
            part.hear()
    assert not part.process.is_alive()


def test_one_that_says_nothing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.bench.stage.SAYS_S", 0.0)
    with Stage() as stage:
        part = stage.start(waiting)
        with pytest.raises(BenchError, match=r"waiting has said nothing for 0 s"):
            part.hear()
