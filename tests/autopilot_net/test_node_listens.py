"""What a node does with what it hears: values, arrays, batches, errors, and questions for what it has sent."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import pytest

from autopilot_net import BadMessage, Delivery, Ledger, WaitInHandler, Window
from tests.autopilot_net.node_pair import ARRAY, Pair, in_thread
from tests.autopilot_net.posts import Lab, nothing
from tests.autopilot_net.test_listening import Listening
from tests.conftest import eventually
from tests.patience import DEADLINE_S


def test_a_program_s_exception_is_told_to_its_station(lab: Lab) -> None:
    def listen(_: Any) -> None:
        raise ValueError("no such trial")

    post = lab.post(listens={"ERROR": nothing})
    lab.node("n", post, {"K": listen})
    eventually(lambda: "n" in post.below)
    assert post.send("n", "K").wait(DEADLINE_S)
    eventually(lambda: post.values("ERROR"))
    assert post.values("ERROR")[0]["exception"] == "ValueError: no such trial"


# -- hearing -----------------------------------------------------------------------------------------------------------


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
