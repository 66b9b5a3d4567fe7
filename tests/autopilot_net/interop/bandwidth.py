"""What a pilot's program does when the terminal tests the bandwidth: for Autopilot's node and ours."""

from __future__ import annotations

from typing import Any

import numpy as np

ITEMS = 128  # of eight bytes: a payload of a kilobyte
KEY = "BANDWIDTH_MSG"
TO = "bandwidth"  # the node on the terminal's station that counts


def burst(
    node: Any, message: type[Any], *, count: int, confirm: bool, blosc: bool, random: bool, preserialized: bool
) -> None:
    """Send `count` messages as fast as can be, and one that says that it was the last.

    With `preserialized` one message, prepared once and from nobody that there is, is sent that often.
    """
    payload = np.random.default_rng(1).random(ITEMS) if random else np.zeros(ITEMS)
    value = {"pilot": "rig", "n_msg": 0, "payload": payload}
    flags = {"MINPRINT": True}
    about = {"id": "test_message", "sender": "test_sender"}
    prepared = message(to=TO, key=KEY, value=value, repeat=confirm, flags=dict(flags), blosc=blosc, **about)
    prepared.serialize()
    for number in range(count):
        if preserialized:
            node.send(to=TO, msg=prepared)
        else:
            node.send(to=TO, key=KEY, value={**value, "n_msg": number}, repeat=confirm, flags=dict(flags), blosc=blosc)
    node.send(to=TO, key=KEY, value={"pilot": "rig", "test_end": True}, flags=dict(flags))
