"""Streams between two nodes with no station between: what is appended arrives, tail included."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from autopilot_net import Net_Node
from tests.conftest import eventually

DEADLINE_S = 20.0


class Sink:
    """A node that collects the items it gets."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()
        self.node = Net_Node("sink", "nobody", 9, {"ITEM": self._take}, router_port=0)

    def wait_for(self, count: int) -> list[Any]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.items) >= count, DEADLINE_S)
            return list(self.items)

    def _take(self, item: Any) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.node.release()


@pytest.mark.parametrize("reliable", [True, False])
def test_the_tail_of_a_stream_that_ends_at_once_arrives(sink: Sink, reliable: bool) -> None:
    """An end closes the stream's socket, but only when what it sent last has left."""
    with Net_Node("source", "sink", sink.node.router_port or 0) as source:
        source.send("sink", "HELLO", repeat=True).wait(DEADLINE_S)
        expected = 0
        for n in range(60):
            stream = source.get_stream(f"s{n}", "ITEM", min_size=2, reliable=reliable)
            for k in range(3):
                stream.append({"stream": n, "k": k})
            stream.append("END")
            expected += 3
        items = sink.wait_for(expected)
    assert len(items) == expected
    for n in range(60):
        assert [item["k"] for item in items if item["stream"] == n] == [0, 1, 2]


def connections(node: Net_Node) -> int:
    """How many sockets a node's I/O thread looks after."""
    return len(node._core.driver._lines)


@pytest.mark.parametrize("reliable", [True, False])
def test_the_socket_of_a_stream_that_has_ended_is_closed(sink: Sink, reliable: bool) -> None:
    with Net_Node("source", "sink", sink.node.router_port or 0) as source:
        source.send("sink", "HELLO", repeat=True).wait(DEADLINE_S)
        stream = source.get_stream("s", "ITEM", reliable=reliable)
        stream.extend(range(12))
        stream.append("END")
        eventually(lambda: connections(source) == 1)
        assert sink.wait_for(12) == list(range(12))
