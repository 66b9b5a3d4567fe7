"""Handlers: in which thread and in what order they run, when a message counts as handled, and what they may not do."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Delivery, DeliveryExpired, Message, Stream, WaitInHandler, Window
from tests.autopilot_net.posts import Lab, Post, concurrent, messages, nothing, one, waits_for
from tests.conftest import eventually
from tests.harness import lab as station_lab
from tests.patience import DEADLINE_S

# -- handlers ----------------------------------------------------------------------------------------------------------


def test_handlers_run_one_at_a_time_in_one_thread_in_order_of_arrival(lab: Lab) -> None:
    one_at_a_time = threading.Lock()
    threads: set[int] = set()

    def listen(_: Message) -> None:
        assert one_at_a_time.acquire(blocking=False)
        threads.add(threading.get_ident())
        one_at_a_time.release()

    post = lab.post(listens={"N": listen})
    nodes = [lab.node(f"n{number}", post) for number in range(3)]
    last = [node.send(key="N", value=value, repeat=value % 2 == 0) for value in range(201) for node in nodes][-3:]
    assert all(delivery.wait(DEADLINE_S) for delivery in last)
    assert post.raised == []
    assert len(threads) == 1
    assert threads != {threading.get_ident(), post.core.driver.io_thread.ident}
    eventually(lambda: len(post.handled) == 603)
    for node in nodes:
        mine = [message.value for message in post.handled if message.sender == node.id]
        assert [value for value in mine if value % 2 == 0] == list(range(0, 201, 2))
        assert [value for value in mine if value % 2] == list(range(1, 201, 2))


def test_a_handler_that_blocks_delays_no_forwarding_no_confirmation_and_no_repeat(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post(listens={"BLOCK": waits_for(gate), "BESIDE": concurrent(nothing)}, repeat_interval=0.05)
    sender, recipient = lab.node("a", post), lab.node("b", post, {"K": nothing})
    blocked = sender.send(key="BLOCK", repeat=True)
    eventually(lambda: post.handled)
    assert sender.send("b", "K", repeat=True).wait(DEADLINE_S)  # there and back, through the station
    assert recipient.send(key="BESIDE", repeat=True).wait(DEADLINE_S)
    silent = lab.raw("silent", post.port)
    silent.send(b"")
    eventually(lambda: "silent" in post.below)
    post.send("silent", "K")
    came = [next(messages(silent)) for _ in range(3)]
    assert len({message.id for message in came}) == 1
    assert [message.ttl for message in came] == [5, 4, 3]
    assert not blocked.settled
    gate.set()
    assert blocked.wait(DEADLINE_S)


def test_concurrent_listens_run_beside_each_other_and_beside_the_others(lab: Lab) -> None:
    together = threading.Barrier(3, timeout=DEADLINE_S)
    post = lab.post(listens={"BESIDE": concurrent(lambda _: together.wait()), "ALONE": lambda _: together.wait()})
    node = lab.node("n", post)
    sent = [node.send(key=key, repeat=True) for key in ("ALONE", "BESIDE", "BESIDE")]
    assert all(delivery.wait(DEADLINE_S) for delivery in sent)
    assert post.raised == []


def test_a_message_is_confirmed_when_its_handler_has_returned_and_not_before(lab: Lab) -> None:
    gate = lab.gate()
    post = lab.post(listens={"K": waits_for(gate), "QUICK": nothing})
    node = lab.node("n", post)
    first, second = node.send(key="K", repeat=True), node.send(key="QUICK", repeat=True)
    eventually(lambda: post.handled)
    assert not first.wait(0.05)
    assert not second.settled
    gate.set()
    assert first.wait(DEADLINE_S)
    assert second.wait(DEADLINE_S)


@pytest.mark.parametrize("error", [ValueError("no such trial"), SystemExit(3), KeyboardInterrupt()])
def test_a_message_is_confirmed_when_its_handler_has_raised_and_the_next_one_runs(
    lab: Lab, error: BaseException
) -> None:
    def listen(message: Message) -> None:
        if message.value == "bad":
            raise error

    post = lab.post(listens={"K": listen})
    node = lab.node("n", post)
    assert node.send(key="K", value="bad", repeat=True).wait(DEADLINE_S)
    assert node.send(key="K", value="good", repeat=True).wait(DEADLINE_S)
    assert post.values("K") == ["bad", "good"]
    assert post.raised == [error]


@pytest.mark.parametrize("beside", [True, False])
def test_a_handler_whose_error_cannot_be_told_is_logged_and_done(
    lab: Lab, beside: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def listen(_: Message) -> None:
        raise ValueError("no such trial")

    def tell(*_: Any) -> None:
        raise AutopilotNetError("T is closed, and sends nothing")

    post = lab.post(listens={"K": concurrent(listen) if beside else listen})
    monkeypatch.setattr(post, "on_exception", tell)
    assert lab.node("n", post).send(key="K", repeat=True).wait(DEADLINE_S)
    assert "the handler of K raised, and reporting it failed too" in caplog.text
    assert "no such trial" in caplog.text


def test_an_unknown_key_counts_as_handled_and_is_warned_of(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    post = lab.post()
    assert lab.node("n", post).send(key="TYPO", repeat=True).wait(DEADLINE_S)
    assert "T: nobody listens for TYPO, which n sent (message n_0)" in caplog.text


# -- relays ------------------------------------------------------------------------------------------------------------


def test_what_is_passed_on_is_handled_when_every_copy_of_it_is(lab: Lab) -> None:
    gates = {"b": lab.gate(), "c": lab.gate()}
    post = lab.post()
    post.listens["PASS"] = lambda message: [post.send(to, "K", message.value) for to in gates]
    for id, gate in gates.items():
        lab.node(id, post, {"K": waits_for(gate)})
    eventually(lambda: set(post.below) == set(gates))
    sent = lab.node("a", post).send(key="PASS", value=3, repeat=True)
    gates["b"].set()
    assert not sent.wait(0.05)
    gates["c"].set()
    assert sent.wait(DEADLINE_S)


def test_what_could_not_be_passed_on_fails_where_it_began(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    post = lab.post()
    post.listens["PASS"] = lambda _: post.send("nobody", "K", expires_after=0.05)
    sent = lab.node("a", post).send(key="PASS", repeat=True)
    with pytest.raises(DeliveryExpired, match=r"a_0 to T is not known .*: its recipient could not pass it on"):
        sent.wait(DEADLINE_S)
    assert sent.expired
    assert post.counters["expired"] == 1
    assert "T_0 to nobody expired" in caplog.text


def test_what_nobody_confirms_settles_nothing(lab: Lab) -> None:
    post = lab.post()
    post.listens["PASS"] = lambda _: post.send("P_rig_1", "K", repeat=False)
    assert lab.node("a", post).send(key="PASS", repeat=True).wait(DEADLINE_S)


def test_to_wait_for_a_delivery_in_a_handler_is_refused_with_the_reason(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    said: list[str] = []

    def wait(_: Any) -> Delivery:
        sent = node.send(key="K", repeat=True)
        try:
            sent.wait(DEADLINE_S)
        except WaitInHandler as error:
            said.append(str(error))
        return sent

    node = lab.node("n", post, {"WAIT": wait, "BESIDE": concurrent(lambda _: said.append(wait_beside()))})

    def wait_beside() -> str:
        return str(node.send(key="K", repeat=True).wait(DEADLINE_S))

    eventually(lambda: "n" in post.below)
    assert post.send("n", "WAIT").wait(DEADLINE_S)
    assert "while it waits no other handler here runs: return the handle instead" in said[0]
    assert post.send("n", "BESIDE").wait(DEADLINE_S)
    assert said[1:] == ["True"]


# -- what cannot be sent, and what is called when it was ---------------------------------------------------------------


def test_a_callback_that_raises_harms_nobody_else(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    called: list[Delivery] = []

    def raises(_: Delivery) -> None:
        raise ValueError("in a lab's own callback")

    gate = threading.Semaphore(0)
    node = lab.node("n", lab.post(listens={"K": lambda _: gate.acquire(timeout=DEADLINE_S)}))
    for _ in range(3):
        sent = node.send(key="K", repeat=True)
        sent.then(raises)
        sent.then(called.append)
        gate.release()
        eventually(lambda sent=sent: sent in called)  # type: ignore[misc]
    assert "in a lab's own callback" in caplog.text
    assert node.loop_thread.is_alive()


def test_a_callback_may_send(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing, "AND_THEN": nothing})
    node = lab.node("n", post, window=Window(messages=1))
    node.send(key="K", repeat=True).then(lambda _: [node.send(key="AND_THEN", repeat=True) for _ in range(3)])
    eventually(lambda: len(post.values("AND_THEN")) == 3)


def said_by_callback(lab: Lab, do: Callable[[Stream, Delivery], object]) -> str:
    """What is said to `do` in the callback of a delivery, while another delivery is under way and a stream is full."""
    held = lab.gate()
    node = lab.node("n", lab.post(listens={"K": nothing, "HELD": waits_for(held)}), window=Window(messages=1))
    assert node.send(key="K", repeat=True).wait(DEADLINE_S)
    stream = node.get_stream("s", "HELD", min_size=1, q_size=1)
    stream.append(1)
    eventually(lambda: not len(stream))  # it is under way, and fills the window
    stream.append(2)
    waiting = node.send(key="HELD", repeat=True)
    said: list[str] = []

    def callback(_: Delivery) -> None:
        try:
            do(stream, waiting)
        except WaitInHandler as error:
            said.append(str(error))
        else:
            said.append("")

    node.send("nobody", "K", repeat=True, expires_after=0.3).then(callback)
    eventually(lambda: said)
    held.set()
    assert stream.wait(DEADLINE_S)
    return said[0]


def test_to_wait_in_a_callback_is_refused_with_the_reason(lab: Lab) -> None:
    assert "callback of a delivery waits for n_" in said_by_callback(lab, lambda _, sent: sent.wait(0.1))


def test_to_append_to_a_full_stream_in_a_callback_is_refused_with_what_to_do_instead(lab: Lab) -> None:
    said = said_by_callback(lab, lambda stream, _: stream.append(3))
    assert "append to a stream that drops its oldest item" in said


# -- what is slow, and what is raised elsewhere ------------------------------------------------------------------------


def test_a_slow_handler_is_named_once(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    gates = {"FIRST": lab.gate(), "SECOND": lab.gate()}
    post = lab.post(listens={key: waits_for(gate) for key, gate in gates.items()}, slow_handler_s=0.05)
    raw = lab.raw("r", post.port)  # which is silent after this: nothing else wakes the station
    for key in ("QUICK", *gates):
        raw.send_multipart([b"T", b"T", one(key)])
    for key, gate in gates.items():
        sentence = f"T: the handler of {key} has run for over 0.05 s"
        eventually(lambda sentence=sentence: sentence in caplog.text)  # type: ignore[misc]
        gate.set()
    eventually(lambda: len(post.handled) == 3)
    named = [record.getMessage() for record in caplog.records if "has run for" in record.getMessage()]
    assert len(named) == 2


def slow_ones(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    return [re.sub("T: the handler of (.*) has run for .*", r"\1", one) for one in said if "has run for" in one]


def test_slow_handlers_that_run_beside_others_are_named_once_each(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    gate = lab.gate()
    post = lab.post(listens={key: concurrent(waits_for(gate)) for key in ("ONE", "TWO")}, slow_handler_s=0.05)
    raw = lab.raw("r", post.port)
    for key in ("ONE", "TWO"):
        raw.send_multipart([b"T", b"T", one(key)])
    eventually(lambda: len(slow_ones(caplog)) == 2)
    gate.set()
    raw.send_multipart([b"T", b"T", one("QUICK")])
    eventually(lambda: len(post.handled) == 3)
    assert sorted(slow_ones(caplog)) == ["ONE", "TWO"]


def test_what_is_slow_about_a_neighbour_is_named(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = lab.gate()
    monkeypatch.setattr(Post, "on_neighbour", lambda *_: gate.wait(DEADLINE_S))
    lab.raw("r", lab.post(slow_handler_s=0.05).port).send(b"")
    eventually(lambda: slow_ones(caplog) == ["r's coming"])
    gate.set()


def test_what_is_raised_when_a_neighbour_comes_is_told_like_what_a_callback_raises(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object) -> None:
        raise ZeroDivisionError("over a neighbour")

    monkeypatch.setattr(Post, "on_neighbour", trip)
    post = lab.post(listens={"K": nothing})
    node = lab.node("n", post)
    assert node.send(key="K", repeat=True).wait(DEADLINE_S)
    assert [str(error) for error in post.raised] == ["over a neighbour"]
    assert "in trip" in caplog.text


# -- what does not end the thread --------------------------------------------------------------------------------------


def test_a_handler_thread_is_not_ended_by_what_a_handler_or_a_callback_raises() -> None:
    def leave(_: object) -> None:
        raise SystemExit

    with station_lab() as it:
        top = it.terminal(listens={"K": nothing})
        node = it.node("n", top, listens={"LEAVE": leave, "PING": print})
        node.send("T", "K", repeat=True).then(leave)
        assert node.send("T", "K", repeat=True).wait(DEADLINE_S)
