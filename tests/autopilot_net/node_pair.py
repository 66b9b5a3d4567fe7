"""Two nodes and no station between, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from autopilot_net import Net_Node
from tests.harness import Heard
from tests.patience import DEADLINE_S

ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)


class Pair:
    """The node `hub`, which listens, and nodes that connect to it. What each hears is in `heard`."""

    def __init__(self) -> None:
        self.heard: dict[str, Heard] = {}
        self.nodes: list[Net_Node] = []
        self.hub = self.add("hub", router_port=0)

    def add(self, id: str, *keys: str, **settings: Any) -> Net_Node:
        """A node that hears `keys`, and what `settings` name."""
        self.heard[id] = Heard()
        listens = {**self.heard[id].listens("X", "DATA", "ERROR", *keys), **settings.pop("listens", {})}
        port = 1 if not self.nodes else int(self.nodes[0].router_port or 0)  # nobody listens at port 1
        node = Net_Node(id, "nobody" if not self.nodes else "hub", port, listens, **settings)
        self.nodes.append(node)
        return node

    def both(self, *keys: str, **settings: Any) -> Net_Node:
        """The node `leaf`, which the hub has met."""
        leaf = self.add("leaf", *keys, **settings)
        assert leaf.send("hub", "X", repeat=True).wait(DEADLINE_S)
        return leaf

    def reaches(self, key: str, value: Any, **options: Any) -> None:
        """The hub sends to the leaf, and is confirmed."""
        assert self.hub.send("leaf", key, value, repeat=True, **options).wait(DEADLINE_S)


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread
