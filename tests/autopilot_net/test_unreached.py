"""Who cannot reach its upstream has it found out why, beside everything else, and once for each address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from autopilot_net import unreached
from autopilot_net.attachment import Attachment
from autopilot_net.diagnosis import FIRST_S, TELL_S, Watch
from autopilot_net.observer import Observer
from autopilot_net.protocol.effects import Effect
from autopilot_net.protocol.endpoint import Endpoint
from autopilot_net.sockets import Sockets
from autopilot_net.unreached import UnreachedWatch
from tests.conftest import Context
from tests.patience import DEADLINE_S


class Rig:
    """Attachments of one driver, and a watch over them that looks at no network."""

    def __init__(self, context: Context, monkeypatch: pytest.MonkeyPatch, *, only_v6: str = "") -> None:
        self.looked: list[tuple[str, int]] = []
        self.ran: list[Attachment] = []
        self.watch = UnreachedWatch("n", Observer("n", trace=None, durable=None), self.run)
        self.attachments: list[Attachment] = []
        self._context = context
        self._only_v6 = only_v6
        monkeypatch.setattr(unreached, "look", self.look)

    def look(self, host: str, port: int) -> tuple[str, str]:
        self.looked.append((host, port))
        return "the machine is off", self._only_v6

    def run(self, attachment: Attachment, act: Callable[[float], list[Effect]]) -> None:
        act(7.0)
        self.ran.append(attachment)

    def add(self, id: str, port: int) -> Attachment:
        one = Attachment(Endpoint(id, upstream="T", incarnation="i"), Sockets(self._context, id))
        one.sockets.host, one.sockets.port = "192.0.2.1", port
        self.attachments.append(one)
        return one

    def mind(self, attachment: Attachment, *, since_s: float, reached: bool = False) -> None:
        """Look after it, `since_s` after it was not reached for the first time."""
        attachment.watch = Watch()
        began = time.monotonic() - since_s
        for now in (began, began + since_s):
            self.watch.mind(attachment, self.attachments, reached=reached, now=now)
        for thread in threading.enumerate():
            if thread.name == "n looks":
                thread.join(DEADLINE_S)


@pytest.fixture
def rig(context: Context, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(context, monkeypatch)


def test_who_is_reached_is_not_looked_after(rig: Rig) -> None:
    rig.mind(rig.add("n", 1), since_s=10 * TELL_S, reached=True)
    assert rig.looked == []


def test_who_is_not_reached_is_looked_after_soon_and_nothing_is_said_yet(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    one = rig.add("n", 1)
    rig.mind(one, since_s=FIRST_S - 0.1)
    assert rig.looked == []
    rig.mind(one, since_s=FIRST_S)
    assert rig.looked == [("192.0.2.1", 1)]
    assert caplog.messages == []


def test_who_is_not_reached_for_long_is_told_with_the_reason(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.mind(rig.add("n", 1), since_s=2 * TELL_S)
    assert caplog.messages == ["n: T at 192.0.2.1:1 has not been reached for 10 s: the machine is off"]


def test_of_those_with_one_address_the_first_alone_looks(rig: Rig) -> None:
    first, second, elsewhere = rig.add("n", 1), rig.add("n_s", 1), rig.add("m", 2)
    for one in (first, second, elsewhere):
        rig.mind(one, since_s=FIRST_S)
    assert rig.looked == [("192.0.2.1", 1), ("192.0.2.1", 2)]


def test_a_name_that_has_addresses_of_ipv6_alone_is_tried_by_such_a_one(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(context, monkeypatch, only_v6="2001:db8::1")
    one = rig.add("n", 1)
    rig.mind(one, since_s=FIRST_S)
    assert rig.ran == [one]
    assert one.reconnect_at == 7.0
    assert one.sockets._address == "tcp://[2001:db8::1]:1"


def test_a_station_of_another_id_at_the_port_is_told_without_a_look(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    one = rig.add("n", 1)
    one.endpoint.meet("T", now=0)
    one.endpoint._connections.upstream_is = "rig_2"
    rig.mind(one, since_s=2 * TELL_S)
    assert rig.looked == []
    assert "the station there is 'rig_2'; is this its port, and 'T' its id?" in caplog.text


def test_nothing_is_said_once_it_is_over(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.watch.is_over = True
    rig.mind(rig.add("n", 1), since_s=10 * TELL_S)
    assert caplog.messages == []
