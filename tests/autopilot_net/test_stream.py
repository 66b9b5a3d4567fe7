"""Streams between two nodes with no station between: what is appended arrives, tail included."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from autopilot_net import AutopilotNetError, Message, Net_Node, WindowFull
from autopilot_net.socket_options import LINGER_MS
from tests.conftest import Context, eventually, plain

DEADLINE_S = 20.0


class Sink:
    """A node that collects the items it gets."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()
        self.node = Net_Node("sink", "nobody", 9, {"ITEM": self._take, "HELLO": print}, router_port=0)

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


@pytest.mark.parametrize("answers", [True, False])
def test_the_tail_of_an_unreliable_stream_arrives_over_a_link_that_stands_still_for_a_while(
    context: Context, answers: bool
) -> None:
    """Longer than a socket that is closed lingers. An upstream that answers no probe is waited for within a bound."""
    upstream = plain(context, zmq.ROUTER, RCVHWM=1, RCVBUF=4096)
    port = upstream.bind_to_random_port("tcp://127.0.0.1")
    with Net_Node("source", "sink", port) as source:
        stream = source.get_stream("s", "ITEM", min_size=1, reliable=False, q_size=300)
        stream.extend(["x" * 50_000] * 300)
        stream.append("END")
        threading.Event().wait(3 * LINGER_MS / 1_000)
        assert connections(source) == 2
        came = 0
        while came < 300:
            assert upstream.poll(10_000), f"{came} came"
            *address, payload = upstream.recv_multipart()
            came += bool(payload) and Message(payload).key == "ITEM"
            if answers and not payload:
                upstream.send_multipart([*address, payload])
        while answers and connections(source) == 2:
            if upstream.poll(10):
                upstream.send_multipart(upstream.recv_multipart())
        assert stream.wait(DEADLINE_S)
        assert connections(source) == 1


def connections(node: Net_Node) -> int:
    """How many sockets a node's I/O thread looks after."""
    return len(node._core.driver.queue.attachments)


@pytest.mark.parametrize("reliable", [True, False])
def test_the_socket_of_a_stream_that_has_ended_is_closed(sink: Sink, reliable: bool) -> None:
    with Net_Node("source", "sink", sink.node.router_port or 0) as source:
        source.send("sink", "HELLO", repeat=True).wait(DEADLINE_S)
        stream = source.get_stream("s", "ITEM", reliable=reliable)
        stream.extend(range(12))
        stream.append("END")
        eventually(lambda: connections(source) == 1)
        assert sink.wait_for(12) == list(range(12))


# -- as those treat it who had a queue, or a process, in its place -----------------------------------------------------


def test_a_stream_tells_how_full_it_is_and_takes_what_there_is_room_for() -> None:
    with Net_Node("source", "nobody", 9) as source:
        stream = source.get_stream("s", "ITEM", min_size=2, q_size=3, reliable=False)
        assert (stream.empty(), stream.full(), stream.qsize(), len(stream)) == (True, False, 0, 0)
        for n in range(3):
            stream.put_nowait(n)
        assert (stream.empty(), stream.full(), stream.qsize()) == (False, True, 3)
        with pytest.raises(queue.Full, match="stream source_s holds 3 items, and takes no more for now"):
            stream.put_nowait(3)
        with pytest.raises(WindowFull):
            stream.put_nowait(3)
        stream.put_nowait("END")
        with pytest.raises(AutopilotNetError, match="has ended"):
            stream.put_nowait(3)


def test_a_stream_that_drops_its_oldest_takes_everything_at_once() -> None:
    with Net_Node("source", "nobody", 9) as source:
        stream = source.get_stream("s", "ITEM", min_size=2, q_size=3, reliable=False, drop_oldest=True)
        for n in range(5):
            stream.put_nowait(n)
        assert (stream.qsize(), stream.dropped) == (3, 2)


def test_a_stream_is_alive_until_it_has_ended_and_all_is_sent(sink: Sink) -> None:
    with Net_Node("source", "sink", sink.node.router_port or 0) as source:
        stream = source.get_stream("s", "ITEM")
        stream.put(1)
        assert stream.is_alive()
        stream.close()
        stream.join(DEADLINE_S)
        assert not stream.is_alive()
        assert sink.wait_for(1) == [1]
        other = source.get_stream("other", "ITEM", upstream="nobody", port=9)
        other.extend([1, "END"])
        other.join(timeout=0)
        assert other.is_alive()
    assert not other.is_alive()


@pytest.mark.parametrize(
    "name",
    [
        *("get", "get_nowait", "pop", "popleft", "popitem", "task_done", "appendleft", "insert", "clear", "maxlen"),
        *("start", "run", "terminate", "kill", "release", "stop", "cancel_join_thread", "join_thread", "send"),
    ],
)
def test_what_a_stream_is_not_says_what_to_do(name: str) -> None:
    with Net_Node("source", "nobody", 9) as source:
        stream = source.get_stream("s", "ITEM")
        assert not hasattr(stream, name)
        with pytest.raises(AttributeError, match=f"Stream has no '{name}': .{{20,}}"):
            getattr(stream, name)
        with pytest.raises(AttributeError, match="'Stream' object has no attribute 'nothing'"):
            _ = stream.nothing
