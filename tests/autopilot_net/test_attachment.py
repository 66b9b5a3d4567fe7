"""An endpoint with its sockets: when it next needs the I/O thread, and how often a full pipe is tried again."""

from __future__ import annotations

import pytest

from autopilot_net.attachment import RETRY_S, Attachment, Stuck
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import Sockets
from tests.conftest import Context


class Alarm:
    """A source that has something to do at one time, or never."""

    def __init__(self, at: float | None) -> None:
        self.at = at

    def pump(self, now: float) -> list[Effect]:
        return []

    def next_timer(self) -> float | None:
        return self.at


def attachment(context: Context, *, upstream: str | None = None, source: Alarm | None = None) -> Attachment:
    endpoint = Endpoint("n", upstream=upstream, forwards=upstream is None, incarnation="i")
    return Attachment(endpoint, Sockets(context, "n"), source)


def test_who_has_nothing_to_do_needs_no_thread(context: Context) -> None:
    assert list(attachment(context).due()) == []
    assert list(attachment(context, source=Alarm(None)).due()) == []


def test_all_that_is_due_is_told(context: Context) -> None:
    one = attachment(context, source=Alarm(3.0))
    one.reconnect_at, one.watch.at = 2.0, 5.0
    assert sorted(one.due()) == [2.0, 3.0, 5.0]


@pytest.mark.parametrize(("upstream", "is_reached"), [(None, True), ("T", False)])
def test_who_has_nobody_above_has_reached_it(context: Context, upstream: str | None, is_reached: bool) -> None:
    assert attachment(context, upstream=upstream).is_reached is is_reached


def test_a_full_pipe_is_tried_again_ever_more_rarely_and_soon_where_only_large_messages_are_late() -> None:
    stuck, waits = Stuck(), []
    for _ in range(10):
        stuck.postpone(100.0, late=False)
        waits.append(stuck.retry_at - 100.0)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == pytest.approx(RETRY_S)
    stuck.postpone(100.0, late=True)
    assert stuck.retry_at - 100.0 == pytest.approx(RETRY_S[0])
