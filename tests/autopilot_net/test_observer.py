"""What one driver records: each effect that means a loss is counted, and a disk that fails ends no session."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from autopilot_net.durable import Durable
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import (
    Dropped,
    DuplicateId,
    Effect,
    Expired,
    Gap,
    PeerDown,
    PeerUp,
    Silent,
    Transmit,
)
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.protocol.router import AWAY
from autopilot_net.trace_writer import TraceWriter


def observer(*, trace: TraceWriter | None = None, durable: Durable | None = None) -> Observer:
    return Observer("n", trace=trace, durable=durable)


@pytest.mark.parametrize(
    ("effect", "counted"),
    [
        (Expired("n_1", "T", "too late"), {"expired": 1}),
        (Dropped("no room", "s", "T", 3), {"dropped": 3}),
        (Dropped("no room", "s", "T", 3, known=False), {"unknown": 3}),
        (Gap("n_s", 1, 4), {"missing items": 4}),
        (PeerUp("T"), {}),
        (Silent("T", 5.0), {}),
    ],
    ids=str,
)
def test_what_is_lost_is_counted_and_nothing_else(effect: Effect, counted: dict[str, int]) -> None:
    one = observer()
    one.tell(effect)
    assert one.counters == counted


def test_what_was_dropped_is_said_when_it_is_due_and_at_the_end_at_the_latest(caplog: pytest.LogCaptureFixture) -> None:
    one = observer()
    assert one.due() is None
    one.tell(Dropped(AWAY, "rig_1", "", 2))
    one.tell(Dropped("no room", "rig_2", "T"))
    assert one.due() is not None
    assert caplog.messages == []
    one.close()
    assert caplog.messages == [f"n dropped 2 for rig_1: {AWAY}", "n dropped 1 from rig_2: no room: 'T'"]


def test_who_comes_and_goes_is_told_and_twins_are_left_to_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = observer()
    for effect in (PeerUp("T"), PeerDown("T"), PeerUp("x\n"), PeerDown("x\n"), DuplicateId("x", ("a", "b"))):
        one.tell_of_neighbour(effect, upstream="T")
    assert caplog.messages == ["n is connected to T", "n has lost T", "n: x\\n is here", "n: x\\n is gone"]


def test_a_silence_is_told_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = observer()
    one.tell(Silent("T", 9.7))
    one.tell(Silent("T", 0.0))
    assert caplog.messages == ["n: T has not answered for 10 s", "n: T answers again"]


class FullTrace(TraceWriter):
    """A trace for which there is no room."""

    def __init__(self) -> None:
        pass

    def write(self, at: str, life: str, effects: Iterable[Effect]) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    def close(self) -> None:
        pass


def test_what_the_trace_could_not_take_is_counted_without_the_probes(caplog: pytest.LogCaptureFixture) -> None:
    one, endpoint = observer(trace=FullTrace()), Endpoint("n", upstream="T", incarnation="i")
    one.write([(endpoint, PeerUp("T")), (endpoint, Transmit("T", (b"T", b"")))])
    assert one.counters == {"untraced": 1}
    assert "the trace lacks 1 effects" in caplog.text
    one.close()


def test_what_could_not_be_kept_is_counted_and_the_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "no space left")

    durable = Durable(tmp_path / "n.db", "n")
    one = observer(durable=durable)
    with monkeypatch.context() as patched:
        patched.setattr(durable, "flush", full)
        one.keep()
    assert one.counters == {"unkept": 1}
    assert "from here on a restart loses what is sent and handled" in caplog.text
    one.close()


def test_who_keeps_nothing_has_nothing_to_wait_for() -> None:
    one = observer()
    one.keep()
    one.write([])
    one.close()
    assert one.counters == {}
