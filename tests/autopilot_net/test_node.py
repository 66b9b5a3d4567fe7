"""A node: how a program hears and speaks. Two nodes and no station between, where none is needed."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import zmq

from autopilot_net import (
    AutopilotNetError,
    BadMessage,
    Delivery,
    DeliveryExpired,
    Message,
    Net_Node,
    Window,
    WindowFull,
)
from tests.autopilot_net.node_pair import Pair, in_thread
from tests.autopilot_net.posts import Lab, nothing
from tests.harness import Heard
from tests.patience import DEADLINE_S


@pytest.fixture
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), thread


# -- speaking ----------------------------------------------------------------------------------------------------------


def test_two_nodes_talk_with_no_station_between(pair: Pair) -> None:
    leaf = pair.both()
    assert leaf.send("hub", "X", 1, repeat=True).wait(DEADLINE_S)
    pair.reaches("X", 2)
    assert [one.value for one in pair.heard["hub"].of("X")] == [None, 1]
    assert [one.value for one in pair.heard["leaf"].of("X")] == [2]
    assert list(pair.hub.senders) == ["leaf"]
    assert pair.hub.router == pair.hub.router_port


def test_a_message_is_for_the_upstream_unless_it_says_for_whom(pair: Pair) -> None:
    leaf = pair.both()
    assert leaf.send(key="X", value=1, repeat=True).wait(DEADLINE_S)
    assert pair.heard["hub"].of("X")[-1].value == 1


def test_a_message_without_repeat_seeks_no_confirmation_and_waiting_for_one_is_an_error(pair: Pair) -> None:
    delivery = pair.both().send("hub", "X", 1)
    assert pair.heard["hub"].until("X", lambda one: one.value == 1).flags == {"NOREPEAT": True}
    assert not delivery.sought
    with pytest.raises(AutopilotNetError, match="send with repeat=True"):
        delivery.wait()


def test_what_awaits_its_confirmation_is_in_the_outbox(pair: Pair) -> None:
    handle = Delivery("promise", "somebody")
    leaf = pair.both()
    pair.hub.listens["Y"] = lambda _: handle
    delivery = leaf.send("hub", "Y", 1, repeat=True)
    assert [(id, one.key) for id, one in leaf.outbox.items()] == [(delivery.id, "Y")]
    handle.settle(confirmed=True)
    assert delivery.wait(DEADLINE_S)
    assert leaf.outbox == {}


def test_a_prepared_message_can_be_changed_before_it_is_sent(pair: Pair) -> None:
    leaf = pair.both()
    message = leaf.prepare_message("hub", "X", 1, repeat=True)
    message.value = 2
    message["extra"] = "kept"
    delivery = leaf.send(msg=message)
    assert delivery.id == message.id
    assert delivery.wait(DEADLINE_S)
    came = pair.heard["hub"].of("X")[-1]
    assert (came.id, came.value, came.extra) == (delivery.id, 2, "kept")


@pytest.mark.parametrize(
    ("prepared", "sent", "sought"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False), (False, False, False)],
)
def test_a_prepared_message_is_repeated_if_its_sending_says_so_or_else_its_preparation(
    pair: Pair, prepared: bool, sent: bool | None, sought: bool
) -> None:
    leaf = pair.both()
    assert leaf.send(msg=leaf.prepare_message("hub", "X", 1, repeat=prepared), repeat=sent).sought is sought


@pytest.mark.parametrize("sender", ["leaf", "test_sender"])
def test_one_message_may_be_sent_many_times_unconfirmed(pair: Pair, sender: str) -> None:
    """As Autopilot's test of the bandwidth does, under one id and from nobody that there is."""
    leaf = pair.both()
    made = Message(to="hub", key="X", value="many", repeat=False, flags={"MINPRINT": True}, id="test", sender=sender)
    handles = [leaf.send(to="hub", msg=made) for _ in range(1_500)]
    assert not any(handle.sought for handle in handles)
    prepared = leaf.prepare_message("hub", "X", "many", repeat=True)
    assert not any(leaf.send(msg=prepared, repeat=False).sought for _ in range(10))
    assert leaf.send("hub", "X", repeat=True).wait(DEADLINE_S)
    assert [one.value for one in pair.heard["hub"].of("X")].count("many") == 1_510


@pytest.mark.parametrize("window", [Window(messages=2), None])
def test_a_message_that_names_another_sender_is_sent_unconfirmed_and_that_is_said_once(
    pair: Pair, caplog: pytest.LogCaptureFixture, window: Window | None
) -> None:
    """Whoever it names would get its confirmation, and what awaits one for ever blocks who sends."""
    leaf = pair.both(window=window)
    for n in range(5):
        made = Message(id=f"made_{n}", to="hub", sender="somebody", key="X", value="foreign")
        assert not leaf.send(msg=made, repeat=True).sought
    assert leaf.send("hub", "X", repeat=True).wait(DEADLINE_S)
    assert [one.value for one in pair.heard["hub"].of("X")].count("foreign") == 5
    (told,) = [one.getMessage() for one in caplog.records if "somebody" in one.getMessage()]
    assert told.startswith("leaf: message made_0 (X to hub) names somebody as its sender")


def test_a_prepared_message_goes_to_whom_it_is_sent(pair: Pair) -> None:
    leaf = pair.both()
    message = leaf.prepare_message("nobody", "X", 1, repeat=True)
    assert leaf.send("hub", msg=message).wait(DEADLINE_S)
    assert leaf.send(["hub"], msg=leaf.prepare_message(["nobody", "else"], "X", 2, repeat=True)).wait(DEADLINE_S)
    assert [one.value for one in pair.heard["hub"].of("X")] == [None, 1, 2]


def test_force_to_insists_on_a_connection_to_our_own_router(pair: Pair) -> None:
    pair.both()
    pair.reaches("X", 1, force_to=True)
    with pytest.raises(AutopilotNetError, match="stranger is not connected to the router of hub"):
        pair.hub.send("stranger", "X", force_to=True)


@pytest.mark.parametrize(("to", "key"), [("hub", None), ("hub", ""), (None, None)])
def test_a_message_without_a_key_is_refused(pair: Pair, to: str | None, key: str | None) -> None:
    with pytest.raises(AutopilotNetError, match=r"to (hub|nobody) without a key"):
        pair.hub.send(to, key)


@pytest.mark.parametrize("to", [["hub", 4], ["hub", ""]])
def test_a_recipient_that_is_no_id_is_refused(pair: Pair, to: Any) -> None:
    with pytest.raises(BadMessage, match="a recipient is an id"):
        pair.hub.send(to, "X")


@pytest.mark.parametrize("key", ["X", "DATA"])
def test_a_value_that_json_cannot_carry_is_refused_by_name(pair: Pair, key: str) -> None:
    with pytest.raises(BadMessage, match=rf"message hub_\d+ \({key} to leaf\): JSON .* the object.* value\.a"):
        pair.hub.send("leaf", key, {"a": object()})


def test_what_is_not_there_in_time_is_not_known_to_be_handled(pair: Pair) -> None:
    delivery = pair.hub.send("nobody", "X", repeat=True, expires_after=0.05)
    with pytest.raises(DeliveryExpired, match=f"message {delivery.id} to nobody is not known to have been handled"):
        delivery.wait(DEADLINE_S)
    assert pair.hub.counters["expired"] == 1


def test_beyond_the_window_sending_is_refused_or_waits_by_choice(pair: Pair) -> None:
    handle = Delivery("promise", "somebody")
    leaf = pair.both(window=Window(messages=1))
    pair.hub.listens["Y"] = lambda _: handle
    leaf.send("hub", "Y", repeat=True)
    for key in ("X", "DATA"):
        with pytest.raises(WindowFull, match="1 messages await confirmation"):
            leaf.send("hub", key, repeat=True, wait=False)
    patient = [in_thread(partial(leaf.send, "hub", key, "late", repeat=True)) for key in ("X", "DATA")]
    assert not [one for one in pair.heard["hub"].messages if one.value == "late"]
    handle.settle(confirmed=True)
    for key, thread in zip(("X", "DATA"), patient, strict=True):
        pair.heard["hub"].until(key, lambda one: bool(one.value == "late"))
        thread.join(DEADLINE_S)
    assert leaf.ledger.answer({})["count"] == 1  # and not what was refused


def test_what_seeks_no_confirmation_waits_for_no_room(pair: Pair) -> None:
    leaf = pair.both(window=Window(messages=1))
    pair.hub.listens["Y"] = lambda _: Delivery("promise", "somebody")
    leaf.send("hub", "Y", repeat=True)
    for key in ("X", "DATA"):
        leaf.send("hub", key, "at once")
        pair.heard["hub"].until(key, lambda one: bool(one.value == "at once"))


def test_beyond_the_window_a_listen_queues(pair: Pair) -> None:
    def many(_: Any) -> list[Delivery]:
        return [pair.nodes[1].send("hub", key, n, repeat=True) for n in range(5) for key in ("X", "DATA")]

    pair.both(listens={"Y": many}, window=Window(messages=1))
    pair.reaches("Y", None)
    assert [one.value for one in pair.heard["hub"].of("DATA")] == list(range(5))


# -- names -------------------------------------------------------------------------------------------------------------


def test_the_names_that_autopilots_programs_use_are_there(pair: Pair) -> None:
    leaf = pair.both(repeat_interval=2.5)
    assert (leaf.id, leaf.upstream, leaf.port) == ("leaf", "hub", pair.hub.router_port)
    assert {"X", "STREAM", "COHERE"} <= set(leaf.listens)
    assert (leaf.repeat_interval, leaf.streams, leaf.daemon, leaf.router) == (2.5, {}, True, None)
    assert leaf.loop_thread.is_alive()
    assert leaf.loop_thread.daemon
    socket.inet_aton(leaf.ip)
    leaf.l_confirm(Message())
    assert not leaf.closing.is_set()
    leaf.release()
    assert leaf.closing.is_set()


# -- contexts, beginning and ending ------------------------------------------------------------------------------------


def test_nodes_of_one_process_share_a_context_that_outlives_each_of_them(pair: Pair) -> None:
    leaf = pair.both()
    other = pair.add("other")
    assert leaf.context is other.context is zmq.Context.instance()
    other.release()
    pair.reaches("X", 1)
    assert not zmq.Context.instance().closed


def test_a_node_can_have_a_context_of_its_own_which_ends_with_it(pair: Pair) -> None:
    leaf = pair.both(instance=False)
    assert leaf.context is not zmq.Context.instance()
    pair.reaches("X", 1)
    leaf.release()
    assert leaf.context.closed


@pytest.mark.usefixtures("_no_thread_stays")
@pytest.mark.parametrize("instance", [True, False])
def test_a_node_is_released_by_its_context_manager_and_once_is_enough(instance: bool) -> None:
    with Net_Node("a", "nobody", 1, instance=instance, router_port=0) as node:
        stream = node.get_stream("s", "X")
        stream.append(1)
        assert node.loop_thread.is_alive()
    node.release()
    node.release()
    assert node.closing.is_set()


@pytest.mark.usefixtures("_no_thread_stays")
def test_a_node_can_be_released_by_its_own_listen(pair: Pair) -> None:
    leaf = pair.both(listens={"QUIT": lambda _: pair.nodes[1].release()})
    pair.hub.send("leaf", "QUIT")
    leaf.loop_thread.join(DEADLINE_S)
    assert not leaf.loop_thread.is_alive()


def test_whoever_waits_for_a_delivery_is_told_when_its_node_is_released(pair: Pair) -> None:
    leaf = pair.both()
    pair.hub.listens["Y"] = lambda _: Delivery("promise", "somebody")
    delivery = leaf.send("hub", "Y", repeat=True)
    leaf.release()
    with pytest.raises(DeliveryExpired, match="leaf was released before a confirmation came"):
        delivery.wait(DEADLINE_S)


def test_a_released_node_sends_nothing_and_opens_no_stream(pair: Pair) -> None:
    leaf = pair.both()
    leaf.release()
    with pytest.raises(AutopilotNetError, match="leaf is closed"):
        leaf.send("hub", "X")
    with pytest.raises(AutopilotNetError, match="leaf is closed, and opens no stream leaf_s"):
        leaf.get_stream("s", "X")


@pytest.mark.usefixtures("_no_thread_stays")
@pytest.mark.parametrize("instance", [True, False])
def test_a_router_port_that_is_taken_is_an_error_and_leaves_nothing_behind(instance: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AutopilotNetError, match=f"a cannot listen at 127.0.0.1:{port}"):
            Net_Node("a", "nobody", 1, router_port=port, instance=instance)


def test_closing_a_nodes_sockets_before_it_is_released_does_no_harm(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """As the `end` of many a task does: they are closed when it is released."""
    leaf, router = pair.both(), pair.hub.router
    assert router is not None
    with caplog.at_level(logging.INFO, "autopilot_net"):
        router.close()
        pair.hub.sock.close()
        leaf.sock.close(linger=0)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{name}: release() closes its sockets; close() did nothing" for name in ("hub", "hub", "leaf")]
    assert leaf.router is None
    pair.reaches("X", "still here")
    assert (router, isinstance(router, int), f"{router}") == (pair.hub.router_port, True, str(pair.hub.router_port))
    with pytest.raises(AttributeError, match=r"a node's sock has no 'send_multipart': .* `send` and listens"):
        leaf.sock.send_multipart([b""])
    leaf.release()
    leaf.sock.close()


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_can_be_opened_again_after_its_end_and_every_item_of_both_arrives_in_order(pair: Pair) -> None:
    leaf = pair.both()
    for begin in (0, 7):
        stream = leaf.get_stream("s", "X", subject="m1", pilot="rig_1")
        stream.extend([*range(begin, begin + 7), "END"])
        assert leaf.streams["s"] is stream
    assert stream.wait(DEADLINE_S)
    items = [one for one in pair.heard["hub"].of("X") if one.sender == "leaf_s"]
    assert [one.value for one in items] == list(range(14))
    assert {(one.subject, one.pilot, one.continuous) for one in items} == {("m1", "rig_1", True)}


def test_a_stream_that_is_open_is_not_opened_again(pair: Pair) -> None:
    leaf = pair.both()
    leaf.get_stream("s", "X")
    with pytest.raises(AutopilotNetError, match="stream leaf_s is open"):
        leaf.get_stream("s", "X")


# -- COHERE ------------------------------------------------------------------------------------------------------------


def test_what_is_sent_and_released_at_once_arrives(pair: Pair) -> None:
    """Also by a node that is not connected yet, and what a stream has yet to make a batch of."""
    heard = Heard()
    pair.hub.listens |= heard.listens("LAST", "ITEM")
    for number in range(20):
        with Net_Node(f"brief_{number}", "hub", int(pair.hub.router_port or 0)) as node:
            node.send(key="LAST", value=number, repeat=bool(number % 2))
            node.get_stream("s", "ITEM", min_size=5).extend([number] * 3)
    heard.until("LAST", times=20)
    heard.until("ITEM", times=60)


# -- the bell, and idling ----------------------------------------------------------------------------------------------


def test_what_awaits_confirmation_can_be_looked_at_while_another_thread_sends(lab: Lab) -> None:
    node = lab.node("n", lab.post(listens={"K": nothing}))
    done = threading.Event()
    broke: list[BaseException] = []

    def look() -> None:
        try:
            while not done.is_set():
                assert all(isinstance(found, Message) for found in node.outbox.values())
        except BaseException as error:  # noqa: BLE001
            broke.append(error)

    looker = threading.Thread(target=look)
    looker.start()
    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(500):
            sent = node.send(key="K", repeat=True)
        assert sent.wait(DEADLINE_S)
    finally:
        sys.setswitchinterval(switches)
        done.set()
        looker.join(DEADLINE_S)
    assert not broke
