"""A node: how a program hears and speaks. Two nodes and no station between, where none is needed."""

from __future__ import annotations

import inspect
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import zmq

from autopilot_net import (
    AutopilotNetError,
    BadMessage,
    Delivery,
    DeliveryExpired,
    Ledger,
    Message,
    Net_Node,
    WaitInHandler,
    Window,
    WindowFull,
)
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


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    for node in made.nodes:
        node.release()


@pytest.fixture
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), thread


def in_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


# -- one id ------------------------------------------------------------------------------------------------------------


def test_a_second_node_of_a_live_id_is_refused_when_it_is_made_and_the_first_goes_on(pair: Pair) -> None:
    """As a notebook's cell that is run again makes one."""
    leaf = pair.both()
    before = set(threading.enumerate())
    told = r"a node leaf on hub at 127\.0\.0\.1:\d+ already.* release\(\) it first"
    with pytest.raises(AutopilotNetError, match=told):
        Net_Node("leaf", "hub", leaf.port)
    assert set(threading.enumerate()) == before
    pair.reaches("X", None)
    leaf.release()
    pair.both()
    pair.reaches("X", None)


def test_one_id_on_two_stations_is_two_nodes(pair: Pair) -> None:
    pair.both()
    pair.nodes.append(Net_Node("leaf", "elsewhere", 1))


def test_a_node_that_could_not_be_made_keeps_its_id_from_nobody(pair: Pair) -> None:
    port = int(pair.hub.router_port or 0)
    with pytest.raises(AutopilotNetError):
        Net_Node("leaf", "hub", port, router_port=port)
    pair.both()


# -- hearing -----------------------------------------------------------------------------------------------------------


class Listening:
    """Every way to write a listen."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    def bare(self, value):  # type: ignore[no-untyped-def]  # as Autopilot's programs write them
        self.came.append(value)

    def typed(self, value: dict[str, int]) -> None:
        self.came.append(value)

    def whole(self, message: Message) -> None:
        self.came.append(message)

    def whole_and_more(self, message: Message, more: int = 1) -> None:
        self.came.append(message)


def by_type(came: list[Any]) -> Callable[..., None]:
    """A listen whose annotation is the class itself, as it is without `from __future__ import annotations`."""

    def listen(message: Any) -> None:
        came.append(message)

    listen.__annotations__["message"] = Message
    return listen


@pytest.mark.parametrize("how", ["bare", "typed", "append", "partial"])
def test_a_listen_gets_the_value(pair: Pair, how: str) -> None:
    listening = Listening()
    ways = {"append": listening.came.append, "partial": partial(Listening.typed, listening)}
    pair.both(listens={"Y": ways.get(how) or getattr(listening, how)})
    pair.reaches("Y", {"a": 1})
    assert listening.came == [{"a": 1}]


@pytest.mark.parametrize("how", ["whole", "whole_and_more", "by_type"])
def test_a_listen_that_declares_it_gets_the_message(pair: Pair, how: str) -> None:
    listening = Listening()
    listen = by_type(listening.came) if how == "by_type" else getattr(listening, how)
    pair.both(listens={"Y": listen})
    pair.reaches("Y", {"a": 1})
    (came,) = listening.came
    assert (came.key, came.value, came.sender, came.to, came.came_from) == ("Y", {"a": 1}, "hub", "leaf", "hub")


class Looked:
    """A listen that counts how often somebody looks at how it is written."""

    def __init__(self, parameter: inspect.Parameter) -> None:
        self.came: list[Any] = []
        self.looks = 0
        self._parameter = parameter

    @property
    def __signature__(self) -> inspect.Signature:
        self.looks += 1
        return inspect.Signature([self._parameter])

    def __call__(self, value: Any) -> None:
        self.came.append(value)


def test_how_a_listen_is_written_is_looked_at_once_and_again_for_another_under_its_key(pair: Pair) -> None:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    bare = Looked(inspect.Parameter("value", kind))
    whole = Looked(inspect.Parameter("message", kind, annotation=Message))
    leaf = pair.both(listens={"Y": bare})
    for n in range(3):
        pair.reaches("Y", n)
    leaf.listens["Y"] = whole
    for n in range(3):
        pair.reaches("Y", n)
    assert (bare.came, [one.value for one in whole.came]) == ([0, 1, 2], [0, 1, 2])
    assert (bare.looks, whole.looks) == (1, 1)


def test_arrays_in_extra_attributes_arrive_as_arrays_where_they_can_be_seen(pair: Pair) -> None:
    listening = Listening()
    pair.both(listens={"Y": listening.whole})
    message = pair.hub.prepare_message("leaf", "Y", 1, repeat=True)
    message["frame"] = ARRAY
    assert pair.hub.send(msg=message).wait(DEADLINE_S)
    assert np.array_equal(listening.came[0].frame, ARRAY)


@pytest.mark.parametrize("blosc", [False, True])
def test_arrays_arrive_as_arrays(pair: Pair, blosc: bool) -> None:
    listening = Listening()
    pair.both(listens={"Y": listening.bare, "Z": listening.whole})
    pair.reaches("Y", {"a": [ARRAY]}, blosc=blosc)
    pair.reaches("Z", ARRAY, blosc=blosc)
    value, message = listening.came
    for came in (value["a"][0], message.value):
        assert came.dtype == ARRAY.dtype
        assert np.array_equal(came, ARRAY)


def test_a_node_that_expands_nothing_gets_arrays_as_they_travelled(pair: Pair) -> None:
    listening = Listening()
    pair.both(listens={"Y": listening.bare}, expand_on_receive=False)
    pair.reaches("Y", {"a": ARRAY})
    assert "NUMPY_ARRAY" in listening.came[0]["a"]


@pytest.mark.parametrize("expands", [True, False])
def test_the_items_of_a_batch_are_expanded_or_not_like_any_value(pair: Pair, expands: bool) -> None:
    listening = Listening()
    pair.both(listens={"Y": listening.bare, "Z": listening.whole}, expand_on_receive=expands)
    for key in ("Y", "Z"):
        pair.reaches("STREAM", {"inner_key": key, "headers": {}, "payload": [ARRAY]})
    value, message = listening.came
    assert [isinstance(came, np.ndarray) for came in (value, message.value)] == [expands, expands]


def test_what_nobody_listens_for_fails_with_a_warning_and_the_reason(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.both()
    sent = pair.hub.send("leaf", "NEVER", 1, repeat=True)
    with pytest.raises(DeliveryExpired, match="nobody listens for NEVER at leaf"):
        sent.wait(DEADLINE_S)
    assert (sent.expired, sent.refused, sent.reason) == (True, True, "nobody listens for NEVER at leaf")
    assert type(sent.reason) is str
    assert "leaf: nobody listens for NEVER, which hub sent" in caplog.text


def test_every_message_that_was_handled_is_counted(pair: Pair) -> None:
    leaf = pair.both()
    for _ in range(3):
        pair.reaches("X", None)
    assert leaf.msgs_received == 3


def test_a_listen_that_raises_is_told_upward_and_the_next_still_runs(pair: Pair) -> None:
    def trip(value: Any) -> None:
        raise ZeroDivisionError(value)

    pair.both(listens={"Y": trip})
    pair.reaches("Y", "over a stone")
    pair.reaches("X", 1)
    error = pair.heard["hub"].until("ERROR")
    assert (error.value["machine"], error.value["exception"]) == ("hub", "ZeroDivisionError: over a stone")
    assert "in trip" in error.value["traceback"]


def test_a_listen_that_raises_for_an_error_does_not_raise_for_ever(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(value: Any) -> None:
        raise ZeroDivisionError(value)

    pair.both(listens={"ERROR": trip})
    with caplog.at_level(logging.CRITICAL):
        pair.reaches("ERROR", {})
    pair.reaches("X", None)
    assert pair.heard["hub"].of("ERROR") == []


def test_one_bad_item_does_not_cost_those_that_came_along_with_it(pair: Pair) -> None:
    came = []

    def item(value: int) -> None:
        if value == 2:
            raise ValueError(value)
        came.append(value)

    pair.both(listens={"ITEM": item})
    pair.reaches("STREAM", {"inner_key": "ITEM", "headers": {}, "payload": [1, 2, 3]})
    assert came == [1, 3]
    pair.heard["hub"].until("ERROR", lambda one: one.value["exception"] == "ValueError: 2")


def test_what_a_listen_returns_the_handle_of_is_handled_when_that_is_settled(pair: Pair) -> None:
    handles = [Delivery("promise", "somebody"), Delivery("another", "somebody")]
    pair.both(listens={"Y": lambda _: handles})
    delivery = pair.hub.send("leaf", "Y", repeat=True)
    pair.reaches("X", None)  # which comes after it, and is handled before it
    handles[0].settle(confirmed=True)
    assert not delivery.settled
    handles[1].settle(confirmed=True)
    assert delivery.wait(DEADLINE_S)


def test_a_handle_in_a_batch_is_waited_for_like_any_other(pair: Pair) -> None:
    handle = Delivery("promise", "somebody")
    pair.both(listens={"ITEM": lambda _: [handle]})
    delivery = pair.hub.send("leaf", "STREAM", {"inner_key": "ITEM", "headers": {}, "payload": [1]}, repeat=True)
    pair.reaches("X", None)
    assert not delivery.settled
    handle.settle(confirmed=True)
    assert delivery.wait(DEADLINE_S)


def test_waiting_in_a_listen_is_an_error_that_says_why_unless_the_listen_is_concurrent(pair: Pair) -> None:
    said: list[object] = []

    def wait(_: Any) -> None:
        with pytest.raises(WaitInHandler, match="mark the listen as concurrent"):
            pair.nodes[1].send("hub", "HELD", repeat=True).wait(DEADLINE_S)
        said.append("refused")

    def wait_beside(_: Any) -> None:
        said.append(pair.nodes[1].send("hub", "X", repeat=True).wait(DEADLINE_S))

    wait_beside.concurrent = True  # type: ignore[attr-defined]
    pair.both(listens={"Y": wait, "Z": wait_beside})
    pair.hub.listens["HELD"] = lambda _: Delivery("promise", "somebody")
    pair.reaches("Y", None)
    pair.reaches("Z", None)
    assert said == ["refused", True]


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


@pytest.mark.parametrize(("name", "instead"), [("loop", "release"), ("file_block", "pulled in parts")])
def test_a_name_that_is_gone_says_what_there_is_instead(pair: Pair, name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=f"Net_Node has no '{name}': .*{instead}"):
        getattr(pair.hub, name)
    assert not hasattr(pair.hub, name)


def test_a_name_of_nobodys_is_an_attribute_error_like_any_other(pair: Pair) -> None:
    with pytest.raises(AttributeError, match="'Net_Node' object has no attribute 'lop'"):
        pair.hub.lop  # noqa: B018


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


def ask(pair: Pair, question: Any) -> dict[str, Any]:
    """What the leaf answers, to the hub."""
    before = len(pair.heard["hub"].of("COHERE"))
    pair.reaches("COHERE", question)
    return dict(pair.heard["hub"].until("COHERE", times=before + 1).value)


def test_cohere_is_answered_from_what_was_sent_and_the_receivers_own_count_agrees(pair: Pair) -> None:
    leaf = pair.both()
    pair.hub.listens["COHERE"] = pair.heard["hub"].listen
    trial = {"subject": "m1", "rt": float("nan"), "arr": ARRAY, "f32": np.float32(0.1), "tuple": (1, 2), "big": 1 << 80}
    for n in range(5):
        leaf.send("hub", "DATA", {**trial, "n": n, "session": n % 2}, repeat=bool(n % 3), blosc=bool(n % 2))
    leaf.send("hub", "DATA", "no dict", repeat=True)
    leaf.send("hub", "X", trial, repeat=True)
    ledger = Ledger()
    pair.heard["hub"].until("DATA", times=6)
    for came in pair.heard["hub"].of("DATA"):
        ledger.record(came.id, came.value)
    even, odd = {"subject": "m1", "session": 0, "range": [1, 9]}, {"subject": "m1", "session": 1}
    for question, count in ((even, 3), (odd, 2), ({}, 1), (None, 1), ([1], 1)):
        answer = ask(pair, question)
        assert answer == {"pilot": "hub", **ledger.answer(question if isinstance(question, dict) else {})}
        assert answer["count"] == count


def test_what_never_left_is_not_counted(pair: Pair) -> None:
    leaf = pair.both()
    with pytest.raises(BadMessage):
        leaf.send("hub", "DATA", {"a": object()}, repeat=True)
    assert leaf.ledger.answer({})["count"] == 0


def test_the_count_is_in_the_order_of_sending_whatever_thread_sends(pair: Pair) -> None:
    leaf = pair.both(window=Window(messages=3))

    def send_50(n: int) -> None:
        for i in range(50):
            leaf.send("hub", "DATA", {"n": n, "i": i}, repeat=True)

    for thread in [in_thread(partial(send_50, n)) for n in range(4)]:
        thread.join(DEADLINE_S)
    pair.heard["hub"].until("DATA", times=200)
    ledger = Ledger()
    for came in pair.heard["hub"].of("DATA"):
        ledger.record(came.id, came.value)
    assert leaf.ledger.answer({}) == ledger.answer({})


def test_an_answer_to_cohere_that_nobody_listens_for_is_not_answered(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    leaf = pair.both()
    pair.reaches("COHERE", {})  # the hub listens for no answer
    pair.reaches("X", None)
    assert leaf.send("hub", "X", repeat=True).wait(DEADLINE_S)
    assert "hub: an answer to COHERE came" in caplog.text
    assert leaf.msgs_received == 2


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
