"""How many messages and handles are alive in this process."""

from __future__ import annotations

import gc

from autopilot_net import Message
from autopilot_net.delivery import Delivery
from sim.processes.watch.held import held_messages


def test_messages_and_handles_count_as_long_as_somebody_holds_them() -> None:
    gc.collect()  # of what other tests left in circles
    before = held_messages()
    messages = [Message(id=f"m{n}", to="T", sender="a", key="K", value=[n]) for n in range(300)]
    handles = [Delivery(f"m{n}", "T") for n in range(250)]
    during = held_messages()
    assert (during["messages"] - before["messages"], during["handles"] - before["handles"]) == (300, 250)
    messages.append(messages)  # type: ignore[arg-type]  # a circle, which nobody but the collector ends
    del messages, handles
    after = held_messages()
    assert after["messages"] - before["messages"] < 100
    assert after["handles"] - before["handles"] < 100
