"""The items of a batch are handled one by one, as the messages they would have been alone."""

from __future__ import annotations

import pytest

from autopilot_net import Message
from autopilot_net.batches import handle_items


@pytest.mark.parametrize("is_again", [False, True])
def test_the_items_of_a_batch_that_may_be_known_already_say_so(is_again: bool) -> None:
    """A recipient that was killed in the middle of a batch handles its first items again."""
    value = {"inner_key": "LICK", "headers": {}, "payload": [{"n": 0}, {"n": 1}]}
    batch = Message(id="s_0", to="T", sender="s", key="STREAM", value=value)
    if is_again:
        batch["redelivered"] = True
    came: list[Message] = []
    handle_items(batch, came.append, lambda *_: None, update=True)
    assert [(item.id, item.redelivered) for item in came] == [("s_0.0", is_again), ("s_0.1", is_again)]
