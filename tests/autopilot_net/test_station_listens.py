"""What a station does with what it hears: a batch is handled item by item, each on its own."""

from __future__ import annotations

from typing import Any

import pytest

from autopilot_net import BadMessage, Delivery, Message, Station
from tests.harness import message


class Batched(Station):
    """Calls its listens in this process, and notes what they raise."""

    def __init__(self) -> None:
        super().__init__("s", listen_port=0, listens={"ITEM": self.item})
        self.items: list[Any] = []
        self.raised: list[str] = []

    def item(self, message: Message) -> Delivery:
        self.items.append((message.value, message.get("pilot")))
        if message.value == "bad":
            raise ValueError(message.id)
        return Delivery(message.id, "T")

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        self.raised.append(str(error))


def test_one_bad_item_does_not_cost_those_that_came_along_with_it() -> None:
    station = Batched()
    headers = {"pilot": "rig_1", "subject": "m1"}
    batch = {"inner_key": "ITEM", "headers": headers, "payload": [{"x": 1, "pilot": "?"}, "bad", 3]}
    handles = station.l_stream(message("rig_1_wheel", "STREAM", batch))
    assert station.items == [({"x": 1, **headers}, "rig_1"), ("bad", "rig_1"), (3, "rig_1")]
    assert station.raised == ["rig_1_wheel_STREAM.1"]
    assert [handle.id for handle in handles] == ["rig_1_wheel_STREAM.0", "rig_1_wheel_STREAM.2"]


@pytest.mark.parametrize("value", [None, [], {"payload": []}, {"inner_key": "ITEM", "payload": 1}, {"inner_key": "X"}])
def test_a_stream_message_without_a_batch_is_refused(value: object) -> None:
    with pytest.raises(BadMessage, match="rig_1_wheel_STREAM from rig_1_wheel holds no batch"):
        Batched().l_stream(message("rig_1_wheel", "STREAM", value))
