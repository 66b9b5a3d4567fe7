"""Streams, with and without a station between: what is appended arrives, tail included."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from autopilot_net import AutopilotNetError, Message, Net_Node, Window, WindowFull
from autopilot_net.socket_options import LINGER_MS
from tests.autopilot_net.posts import Lab, nothing
from tests.conftest import Context, eventually, plain
from tests.patience import DEADLINE_S


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


# -- by way of a station -----------------------------------------------------------------------------------------------


class LabSink:
    """A node that listens at a port of its own, and collects the items of streams."""

    def __init__(self, lab: Lab, *, router_port: int = 0, gate: threading.Event | None = None) -> None:
        self.items: list[Any] = []
        self._gate = gate
        self.node = lab.node("sink", ("nobody", 9), {"ITEM": self._take}, router_port=router_port)
        self.at = ("sink", self.node.router_port or 0)

    def _take(self, item: Any) -> None:
        assert self._gate is None or self._gate.wait(DEADLINE_S)
        self.items.append(item)


def test_items_of_all_kinds_arrive_in_order_with_the_tail(lab: Lab) -> None:
    sink = LabSink(lab)
    stream = lab.node("n", sink.at).get_stream("s", "ITEM", min_size=4)
    items = [{"n": 1}, 2, "three", None, [5], 6.5, {"seven": [7]}]
    stream.extend(items)
    stream.append(np.arange(8))
    stream.append(9)
    stream.append("END")
    assert stream.wait(DEADLINE_S)
    assert sink.items[:7] == items
    np.testing.assert_array_equal(sink.items[7], np.arange(8))
    assert sink.items[8:] == [9]


def test_a_burst_of_camera_frames_arrives_whole(lab: Lab) -> None:
    sink = LabSink(lab)
    stream = lab.node("n", sink.at).get_stream("camera", "ITEM", reliable=False)
    for number in range(300):
        stream.append({"n": number, "frame": np.full((60, 80), number % 256, np.uint8)})
    stream.close()
    eventually(lambda: len(sink.items) == 300)
    assert [item["n"] for item in sink.items] == list(range(300))
    assert all((item["frame"] == item["n"] % 256).all() for item in sink.items)
    assert sink.node.counters.get("missing items", 0) == 0


def test_a_batch_goes_when_its_oldest_item_is_old_enough(lab: Lab) -> None:
    sink = LabSink(lab)
    stream = lab.node("n", sink.at).get_stream("s", "ITEM", min_size=100, max_delay=0.05)
    for number in range(3):
        began = time.monotonic()
        stream.append(number)
        eventually(lambda number=number: sink.items == list(range(number + 1)))  # type: ignore[misc]
        assert time.monotonic() - began >= 0.05


def test_a_stream_of_single_items_sends_ordinary_messages(lab: Lab) -> None:
    post = lab.post("rig_1", listens={"ITEM": nothing})
    stream = lab.node("_rig_1", post).get_stream("s", "ITEM", min_size=1, subject="m1")
    stream.extend([{"a": 1}, 2])
    assert stream.wait(DEADLINE_S)
    assert [(m.key, m.value, m.sender) for m in post.handled] == [
        ("ITEM", {"a": 1}, "_rig_1_s"),
        ("ITEM", 2, "_rig_1_s"),
    ]
    assert {(m.subject, m.pilot, m.continuous) for m in post.handled} == {("m1", "rig_1", True)}


def test_a_full_queue_blocks_the_producer_until_there_is_room(lab: Lab) -> None:
    gate = lab.gate()
    sink = LabSink(lab, gate=gate)
    node = lab.node("n", sink.at, window=Window(messages=1))
    stream = node.get_stream("s", "ITEM", min_size=1, q_size=5)
    appended: list[int] = []

    def produce() -> None:
        for number in range(20):
            stream.append(number)
            appended.append(number)

    producer = threading.Thread(target=produce)
    producer.start()
    eventually(lambda: len(stream) == 5)
    producer.join(0.05)
    assert len(appended) == 6  # one is under way, five wait
    gate.set()
    producer.join(DEADLINE_S)
    assert stream.wait(DEADLINE_S)
    assert sink.items == list(range(20))
    assert stream.dropped == 0


def test_a_full_queue_may_drop_its_oldest_item_and_counts_it(lab: Lab) -> None:
    gate = lab.gate()
    sink = LabSink(lab, gate=gate)
    node = lab.node("n", sink.at, window=Window(messages=1))
    stream = node.get_stream("s", "ITEM", min_size=1, q_size=5, drop_oldest=True)
    stream.extend(range(20))
    assert stream.dropped == 14
    gate.set()
    stream.close()
    assert stream.wait(DEADLINE_S)
    assert sink.items == [0, *range(15, 20)]


def test_an_unreliable_stream_waits_in_its_queue_for_its_upstream_even_when_it_has_ended(lab: Lab, port: int) -> None:
    stream = lab.node("n", ("sink", port)).get_stream("s", "ITEM", reliable=False)
    stream.extend(range(12))
    stream.append("END")
    assert not stream.wait(0.05)
    sink = LabSink(lab, router_port=port)
    assert stream.wait(DEADLINE_S)
    eventually(lambda: sink.items == list(range(12)))


def test_every_gap_of_an_unreliable_stream_is_told_in_items(
    lab: Lab, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    node = lab.node("n", ("sink", port))
    stream = node.get_stream("s", "ITEM", min_size=2, q_size=4, reliable=False, drop_oldest=True)
    stream.extend(range(10))
    assert stream.dropped == 6
    sink = LabSink(lab, router_port=port)
    eventually(lambda: sink.items == [6, 7, 8, 9])
    assert sink.node.counters["missing items"] == 6
    assert "6 items of stream n_s never came" in caplog.text
    stream.extend([10, {11}, 12, 13])  # the set cannot travel
    eventually(lambda: sink.items == [6, 7, 8, 9, 10, 12, 13])
    assert sink.node.counters["missing items"] == 7
    assert node.counters["dropped"] == 7


def deep(levels: int) -> Any:
    return [deep(levels - 1)] if levels else 0


@pytest.mark.parametrize("reliable", [True, False])
@pytest.mark.parametrize("min_size", [1, 4])
def test_an_item_that_json_cannot_carry_is_dropped_and_counted_and_the_others_arrive(
    lab: Lab, min_size: int, reliable: bool
) -> None:
    sink = LabSink(lab)
    node = lab.node("n", sink.at)
    stream = node.get_stream("s", "ITEM", min_size=min_size, reliable=reliable)
    items: list[Any] = list(range(12))
    items[2], items[5], items[6] = {2}, b"5", np.array([object()])
    stream.extend(items)
    stream.append("END")
    assert stream.wait(DEADLINE_S)
    eventually(lambda: sink.items == [0, 1, 3, 4, 7, 8, 9, 10, 11])
    eventually(lambda: node.counters["dropped"] == 3)


def test_items_that_can_travel_alone_and_not_in_a_batch_are_counted_too(lab: Lab) -> None:
    sink = LabSink(lab)
    node = lab.node("n", sink.at)
    stream = node.get_stream("s", "ITEM", min_size=2)
    stream.extend([deep(199), {1}, deep(199), 2, 3, 4])
    stream.append("END")
    assert stream.wait(DEADLINE_S)
    assert sink.items == [3, 4]
    eventually(lambda: node.counters["dropped"] == 4)


def test_a_program_that_changes_what_it_appended_harms_only_that(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    class Changing(dict[str, int]):
        def __iter__(self) -> Iterator[str]:
            raise RuntimeError("dictionary changed size during iteration")

        keys = __iter__  # type: ignore[assignment]

    sink = LabSink(lab)
    node = lab.node("n", sink.at)
    stream = node.get_stream("s", "ITEM", min_size=3, max_delay=0.02)
    stream.append(Changing(a=1))
    eventually(lambda: "while handling an item of its stream" in caplog.text)
    assert node.counters["broken"] == 1
    stream.extend([1, 2, 3])
    stream.append("END")
    assert stream.wait(DEADLINE_S)
    assert sink.items == [1, 2, 3]


def test_a_stream_that_has_ended_or_whose_node_has_takes_no_more(lab: Lab) -> None:
    sink = LabSink(lab)
    node = lab.node("n", sink.at)
    ended, cut = node.get_stream("s", "ITEM"), node.get_stream("t", "ITEM")
    ended.append("END")
    with pytest.raises(AutopilotNetError, match="stream n_s has ended; open another"):
        ended.append(1)
    assert ended.wait(DEADLINE_S)
    cut.append(1)
    node.release()
    with pytest.raises(AutopilotNetError, match="stream n_t takes no item, for n is closed"):
        cut.append(2)
    ended.close()
    cut.close()


def test_who_waits_at_a_full_queue_is_told_when_the_node_is_released(lab: Lab, port: int) -> None:
    node = lab.node("n", ("nobody", port), window=Window(messages=1))
    stream = node.get_stream("s", "ITEM", min_size=1, q_size=1)
    stream.extend([1, 2])  # one is under way, one waits
    said: list[str] = []

    def append() -> None:
        try:
            stream.append(3)
        except AutopilotNetError as error:
            said.append(str(error))

    waiting = threading.Thread(target=append)
    waiting.start()
    node.release()
    waiting.join(DEADLINE_S)
    assert said in (["stream n_s has ended; open another"], ["stream n_s takes no item, for n is closed"])
    assert not stream.wait()  # nor does it claim that all was sent
