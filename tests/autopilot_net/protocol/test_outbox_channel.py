"""How much may be under way to each recipient, and what becomes of the bytes of what is settled."""

import pytest

from autopilot_net.protocol.endpoint import Settings
from autopilot_net.protocol.outbox_channel import Window
from tests.autopilot_net.protocol.wire import First, Wire


def small(**window: int) -> Wire:
    wire = Wire({"T": None, "rig_1": "T"}, settings=Settings(window=Window(**window)))
    wire.handles_at_once = False
    return wire


def test_the_window_bounds_how_many_are_under_way() -> None:
    wire = small(messages=3)
    rooms = []
    for n in range(5):
        rooms.append(wire["rig_1"].outbox.room("T"))
        wire.send("rig_1", "T", n)
    wire.run()
    assert rooms == [True, True, True, False, False]
    assert wire.got("T") == [0, 1, 2]
    wire.handle(wire.handlings[0])
    wire.run()
    assert wire.got("T") == [0, 1, 2, 3]


def test_the_window_bounds_how_many_bytes_are_under_way() -> None:
    wire = small(size_bytes=2_500)
    for n in range(4):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert [value[0] for value in wire.got("T")] == ["0", "1", "2"]
    wire.handle_all()
    wire.run()
    assert len(wire.got("T")) == 4


def test_the_bytes_of_what_was_under_way_are_given_back_when_it_is_settled() -> None:
    wire = small(size_bytes=2_500)
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000)
        wire.run()
        wire.handle_all()
        wire.run()
    before = len(wire.got("T"))
    for n in range(3):
        assert wire["rig_1"].outbox.room("T")
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert len(wire.got("T")) == before + 3
    assert not wire["rig_1"].outbox.room("T")


def test_the_bytes_of_what_waited_are_given_back_when_it_is_sent() -> None:
    wire = small(size_bytes=2_500)
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    for _ in range(6):
        wire.run()
        wire.handle_all()
    wire.run()
    wire.send("rig_1", "T", "short")
    assert wire["rig_1"].outbox.room("T")


def test_the_bytes_of_what_waited_are_given_back_when_its_time_is_up() -> None:
    wire = small(size_bytes=2_500)
    wire.cut("rig_1")
    for n in range(6):
        wire.send("rig_1", "T", f"{n}" * 1_000, expires_after=1.0)
    wire.send("rig_1", "T", "short")
    assert not wire["rig_1"].outbox.room("T")
    wire.run(2.0)
    assert len(wire["rig_1"].outbox) == 1
    assert wire["rig_1"].outbox.room("T")


@pytest.mark.parametrize("window", [{"size_bytes": 10}, {"messages": 0}])
def test_one_message_may_always_be_under_way(window: dict[str, int]) -> None:
    wire = small(**window)
    wire.handles_at_once = True
    for n in range(3):
        wire.send("rig_1", "T", f"{n}" * 1_000)
    wire.run()
    assert len(wire.got("T")) == 3


def test_each_recipient_has_a_window_of_its_own() -> None:
    wire = Wire({"T": None, "rig_1": "T", "rig_2": "T"}, settings=Settings(window=Window(messages=1)))
    wire.handles_at_once = False
    for to in ("rig_1", "rig_1", "rig_2"):
        wire.send("T", to, to)
    wire.run()
    assert wire.got("rig_1") + wire.got("rig_2") == ["rig_1", "rig_2"]


def test_what_waits_for_the_window_goes_out_in_order_through_any_storm() -> None:
    wire = small(messages=2)
    wire.handles_at_once = True
    wire.policy = First("rig_1", 7, ())
    for n in range(20):
        wire.send("rig_1", "T", n)
    wire.run(100)
    assert wire.got("T") == list(range(20))
