"""The driver at work: stations and nodes in this process, on loopback, with real sockets and threads."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter, defaultdict
from typing import Any

import pytest
import zmq

from autopilot_net import AutopilotNetError, BadMessage, Delivery, DeliveryExpired, Message, Window, WindowFull
from autopilot_net.protocol.effects import Traffic, Transmit
from tests.autopilot_net.posts import (
    LOCAL,
    LONG_S,
    Lab,
    Post,
    concurrent,
    messages,
    nothing,
    one,
    probe_binds,
    read,
    waits_for,
)
from tests.conftest import Context, eventually
from tests.patience import DEADLINE_S

# -- what cannot be sent, and what is called when it was ---------------------------------------------------------------


def test_what_json_cannot_carry_is_told_to_the_caller_and_leaves_nothing_behind(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    node = lab.node("n", post)
    for repeat in (True, False):
        with pytest.raises(BadMessage, match=r"message n_\d .* set that stands at value\.a"):
            node.send(key="K", value={"a": {1}}, repeat=repeat)
    assert node.outbox == {}
    assert node.send(key="K", value={"a": [1]}, repeat=True).wait(DEADLINE_S)
    assert post.values("K") == [{"a": [1]}]


# -- the window --------------------------------------------------------------------------------------------------------


def test_beyond_the_window_send_refuses_or_waits_by_choice(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post(listens={"K": waits_for(gate)})
    node = lab.node("n", post, window=Window(messages=2))
    assert node.send(key="HELLO", repeat=True).wait(DEADLINE_S)
    within = [node.send(key="K", value=value, repeat=True) for value in range(2)]
    with pytest.raises(WindowFull, match="2 messages await confirmation; message n_3 was not sent"):
        node.send(key="K", value="refused", repeat=True, wait=False)
    beyond: list[Delivery] = []
    waiting = threading.Thread(target=lambda: beyond.append(node.send(key="K", value=2, repeat=True)))
    waiting.start()
    assert not within[0].wait(0.05)
    assert beyond == []
    gate.set()
    waiting.join(DEADLINE_S)
    assert beyond[0].wait(DEADLINE_S)
    assert post.values("K") == [0, 1, 2]


def test_what_seeks_no_confirmation_waits_for_no_room(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post(listens={"K": waits_for(gate)})
    node = lab.node("n", post, window=Window(messages=1))
    node.send(key="K", repeat=True)
    for value in range(5):
        node.send(key="N", value=value)
    gate.set()
    eventually(lambda: post.values("N") == list(range(5)))


def test_many_threads_share_a_small_window_and_all_get_through(lab: Lab) -> None:
    """Each send waits for room that another thread's confirmation makes: one lost wake-up, and it stands still."""
    post = lab.post(listens={"K": nothing})
    node = lab.node("n", post, window=Window(messages=2))
    sent: list[Delivery] = []
    threads = [
        threading.Thread(target=lambda: sent.extend(node.send(key="K", repeat=True) for _ in range(100)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(sent) == 400
    assert all(delivery.wait(DEADLINE_S) for delivery in sent)
    assert Counter(message.id for message in post.handled) == Counter(delivery.id for delivery in sent)


def test_a_sender_that_waits_for_room_is_told_when_its_node_is_released(lab: Lab) -> None:
    _, port = lab.raw_upstream()
    node = lab.node("n", ("T", port), window=Window(messages=1))
    first = node.send(key="K", repeat=True)
    said: list[str] = []

    def send() -> None:
        try:
            node.send(key="K", repeat=True)
        except AutopilotNetError as error:
            said.append(str(error))

    waiting = threading.Thread(target=send)
    waiting.start()
    node.release()
    waiting.join(DEADLINE_S)
    assert said == ["n is closed, and sends nothing"]
    assert first.expired


def test_while_the_station_is_away_a_program_may_send_a_window_full(lab: Lab, port: int) -> None:
    node = lab.node("n", ("T", port))
    sent = [node.send(key="K", value=value, repeat=True, wait=False) for value in range(10)]
    post = lab.post(port=port, listens={"K": nothing})
    assert all(delivery.wait(DEADLINE_S) for delivery in sent)
    assert post.values("K") == list(range(10))


# -- the path ----------------------------------------------------------------------------------------------------------


def test_what_was_sent_before_the_upstream_is_there_arrives_in_order_when_it_is(lab: Lab, port: int) -> None:
    rig = lab.post("rig_1", upstream=("T", port))
    sent = [rig.send("T", "K", value) for value in range(5)]
    for value in range(5):
        rig.send("T", "N", value, repeat=False)
    post = lab.post(port=port, listens={"K": nothing, "N": nothing})
    assert all(delivery.wait(DEADLINE_S) for delivery in sent)
    eventually(lambda: len(post.values("N")) == 5)
    assert post.values("K") == post.values("N") == list(range(5))


def test_what_is_unconfirmed_is_repeated_at_once_to_an_upstream_that_restarts(lab: Lab, port: int) -> None:
    former, _ = lab.raw_upstream(port)
    node = lab.node("n", ("T", port), repeat_interval=LONG_S)
    sent = [node.send(key="K", value=value, repeat=True) for value in range(3)]
    assert [message.value for message in itertools.islice(messages(former), 3)] == [0, 1, 2]
    former.close()
    began = time.monotonic()
    eventually(lambda: probe_binds(port))
    post = lab.post(port=port, listens={"K": nothing})
    assert all(delivery.wait(DEADLINE_S) for delivery in sent)
    assert time.monotonic() - began < LONG_S
    assert post.values("K") == [0, 1, 2]
    assert all(message.get("redelivered") for message in post.handled)
    assert [message.ttl for message in post.handled] == [5, 5, 5]  # a meeting costs no patience


def test_a_connection_that_has_gone_deaf_is_told_and_much_later_made_anew(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    upstream, port = lab.raw_upstream()
    rig = lab.post("rig_1", upstream=("T", port), liveness_s=0.05)

    assert read(upstream) == [b"rig_1", b""]  # as it connects
    upstream.send_multipart([b"rig_1", b""])  # it answers once, is told who asks, and then goes deaf
    for _ in range(2):
        assert read(upstream)[-1] == b""
    eventually(lambda: "T has not answered for" in caplog.text)
    assert rig.neighbours == [("T", True)]
    eventually(lambda: rig.neighbours == [("T", True), ("T", False), ("T", True)])
    assert "T answers no probe; connecting anew" in caplog.text
    eventually(lambda: len(rig.neighbours) == 5)
    while upstream.poll(250):  # one that answers nothing, however often it is connected to, is left alone
        assert read(upstream)[-1] == b""
    assert len(rig.neighbours) == 5
    upstream.send_multipart([b"rig_1", b""])
    assert read(upstream)[-1] == b""


def test_of_two_under_one_id_neither_stays_deaf(lab: Lab) -> None:
    """zmq hands the id over to whoever came last, and leaves the other connected and unaware."""
    post = lab.post(listens={"K": nothing})
    twins = [lab.post("rig_1", upstream=("T", post.port), liveness_s=0.05)]
    assert twins[0].send("T", "K").wait(DEADLINE_S)
    twins.append(lab.post("rig_1", upstream=("T", post.port), liveness_s=0.05))
    for twin in (*twins, *twins):
        assert twin.send("T", "K").wait(DEADLINE_S)
    eventually(lambda: post.twins == [("rig_1", (LOCAL, LOCAL))])
    for twin in (*twins, *twins):
        assert twin.send("T", "K").wait(DEADLINE_S)
    assert post.twins == [("rig_1", (LOCAL, LOCAL))]  # once, though they go on
    assert post.counters["twins"] == 1


def test_a_station_that_restarts_however_often_is_no_twin_of_its_former_lives(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    for _ in range(5):
        rig = lab.post("rig_1", upstream=("T", post.port), liveness_s=0.05)
        assert rig.send("T", "K").wait(DEADLINE_S)
        rig.stop()
    assert post.twins == []


def test_a_node_that_listens_itself_tells_its_station_of_twins(lab: Lab) -> None:
    post = lab.post(listens={"ERROR": nothing})
    hub = lab.node("hub", post, {"K": nothing}, router_port=0)
    assert hub.router_port is not None
    twins = [lab.post("n", upstream=("hub", hub.router_port), liveness_s=0.05) for _ in range(2)]
    for twin in (*twins, *twins):
        assert twin.send("hub", "K").wait(DEADLINE_S)
    eventually(lambda: post.values("ERROR"))
    assert post.values("ERROR")[0]["machine"] == "n"
    assert post.values("ERROR")[0]["exception"].startswith(f"two that run are both n, both at {LOCAL}: hub hears")


def test_a_program_that_only_says_one_thing_and_goes_is_no_ghost(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    for number in range(20):
        with lab.raw(f"p{number}", post.port) as program:
            program.setsockopt(zmq.LINGER, 1_000)
            program.send_multipart([b"T", b"T", one("K", f"p{number}")])
    eventually(lambda: len(post.handled) == 20 and not post.below)
    eventually(lambda: len(post.neighbours) == 40)
    assert sorted(post.neighbours) == sorted((f"p{n}", there) for n in range(20) for there in (True, False))


def test_what_nobody_misses_is_not_told_when_its_neighbour_has_gone(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that says one thing and ends has asked for the time; that it got no answer is no news."""
    post = lab.post()
    kinds = {b"": Traffic.DATA, b"the time": Traffic.CONTROL, b"repeated": Traffic.PROMISE, b"a frame": Traffic.DATA}
    answers = [Transmit("gone", (frame,), kind) for frame, kind in kinds.items()]
    post.core.driver.run(post.core.attachment, lambda _: [*answers])
    eventually(lambda: [one for one in caplog.records if "dropped" in one.getMessage()])
    assert post.counters["dropped"] == 1
    assert len([one for one in caplog.records if "dropped" in one.getMessage()]) == 1


# -- the end -----------------------------------------------------------------------------------------------------------


def test_stopping_leaves_no_thread_and_no_port_and_once_more_is_harmless(lab: Lab) -> None:
    before = set(threading.enumerate())
    post = lab.post(listens={"K": nothing, "BESIDE": concurrent(nothing)})
    node = lab.node("n", post, router_port=0)
    stream = node.get_stream("s", "ITEM")
    stream.append(1)
    assert all(node.send(key=key, repeat=True).wait(DEADLINE_S) for key in ("K", "BESIDE"))
    ports = [post.port, node.router_port or 0]
    for _ in range(2):
        node.release()
        post.stop()
    eventually(lambda: set(threading.enumerate()) <= before)
    for port in ports:
        eventually(lambda port=port: probe_binds(port))  # type: ignore[misc]
    with pytest.raises(AutopilotNetError, match="n is closed, and sends nothing"):
        node.send(key="K")
    with pytest.raises(AutopilotNetError, match="closed"):
        node.get_stream("t", "ITEM")


def test_what_is_in_its_handler_when_the_station_stops_is_confirmed(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post(listens={"K": waits_for(gate)})
    node = lab.node("n", post, repeat_interval=LONG_S)
    handled, waiting = node.send(key="K", value=1, repeat=True), node.send(key="K", value=2, repeat=True)
    eventually(lambda: post.handled)
    stopping = threading.Thread(target=post.stop)
    stopping.start()
    assert not handled.wait(0.05)
    gate.set()
    stopping.join(DEADLINE_S)
    assert handled.wait(DEADLINE_S)
    assert not waiting.settled  # it is for the station's next life
    assert post.values("K") == [1]


def test_what_a_handler_relays_while_the_station_stops_still_goes_out(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post()

    def relay(message: Message) -> Delivery:
        assert gate.wait(DEADLINE_S)
        return post.send("b", "K", message.value)

    post.listens["PASS"] = relay
    got: list[Any] = []
    lab.node("b", post, {"K": got.append})
    eventually(lambda: "b" in post.below)
    lab.node("a", post).send(key="PASS", value=3, repeat=True)
    eventually(lambda: post.handled)
    stopping = threading.Thread(target=post.stop)
    stopping.start()
    gate.set()
    stopping.join(DEADLINE_S)
    eventually(lambda: got == [3])
    assert post.raised == []


def test_whoever_waits_for_a_delivery_is_told_when_the_node_is_released(lab: Lab) -> None:
    _, port = lab.raw_upstream()
    post = lab.post("rig_1", upstream=("T", port))
    node = lab.node("n", ("T", port))
    sent = [post.send("T", "K"), node.send(key="K", repeat=True)]
    said: dict[str, list[str]] = defaultdict(list)

    def wait(delivery: Delivery) -> None:
        try:
            delivery.wait()
        except DeliveryExpired as error:
            said[delivery.id].append(str(error))

    waiting = [threading.Thread(target=wait, args=(delivery,)) for delivery in sent]
    for thread in waiting:
        thread.start()
    post.stop()
    node.release()
    for thread in waiting:
        thread.join(DEADLINE_S)
    assert said == {
        "rig_1_0": [
            "message rig_1_0 to T is not known to have been handled: rig_1 was released before a confirmation came"
        ],
        "n_0": ["message n_0 to T is not known to have been handled: n was released before a confirmation came"],
    }


@pytest.mark.parametrize("where", ["a handler", "a callback"])
def test_a_node_may_be_released_from_its_own_threads(lab: Lab, where: str) -> None:
    post = lab.post(listens={"K": nothing})
    node = lab.node("n", post, {"BYE": lambda _: node.release()})
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("n ")]
    assert len(threads) == 2
    eventually(lambda: "n" in post.below)
    if where == "a handler":
        post.send("n", "BYE")
    else:
        node.send(key="K", repeat=True).then(lambda _: node.release())
    eventually(lambda: not any(thread.is_alive() for thread in threads))
    eventually(lambda: "n" not in post.below)


def test_a_context_that_ends_under_a_driver_ends_it_and_says_so(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    context: Context = zmq.Context()
    post = Post(context, "T")
    context.term()  # which returns only when the sockets are closed
    eventually(lambda: not post.core.driver.io_thread.is_alive())
    assert "T: its zmq context was terminated while it was still open" in caplog.text
    with pytest.raises(AutopilotNetError, match="T is closed"):
        post.send("n", "K")
    post.stop()


def test_a_port_that_is_taken_leaves_nothing_behind(lab: Lab) -> None:
    post = lab.post()
    before = set(threading.enumerate())
    with pytest.raises(AutopilotNetError, match=f"n cannot listen at {LOCAL}:{post.port}"):
        lab.node("n", post, router_port=post.port)
    eventually(lambda: set(threading.enumerate()) <= before)


def test_log_records_of_all_this_come_under_one_name(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert lab.node("n", lab.post()).send(key="TYPO", repeat=True).wait(DEADLINE_S)
    assert {record.name for record in caplog.records} == {"autopilot_net"}
