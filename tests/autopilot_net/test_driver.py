"""The driver at work: stations and nodes in this process, on loopback, with real sockets and threads."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import re
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from autopilot_net import (
    AutopilotNetError,
    BadMessage,
    Delivery,
    DeliveryExpired,
    Message,
    Net_Node,
    Stream,
    WaitInHandler,
    Window,
    WindowFull,
)
from autopilot_net.core import Core
from autopilot_net.listening import find_listen
from autopilot_net.protocol.effects import Traffic, Transmit
from autopilot_net.protocol.endpoint import Settings
from autopilot_net.trace_format import digest
from tests.conftest import Context, Socket, eventually, plain
from tests.patience import DEADLINE_S

Listens = Mapping[str, Callable[..., Any]]
LOCAL = "127.0.0.1"
LONG_S = 60.0  # an interval that no test waits for: what happens, happens without it


class Post:
    """A station in this process: a participant that forwards, and the listens behind it."""

    def __init__(
        self,
        context: Context,
        id: str,
        *,
        upstream: tuple[str, int] | None = None,
        port: int = 0,
        listens: Listens | None = None,
        forwards: bool = True,
        trace: Path | None = None,
        slow_handler_s: float = 5.0,
        **settings: Any,
    ) -> None:
        self.id = id
        self.listens = dict(listens or {})
        self.handled: list[Message] = []
        self.neighbours: list[tuple[str, bool]] = []
        self.raised: list[BaseException] = []
        self.twins: list[tuple[str, tuple[str, str]]] = []
        self.core = Core(
            id,
            self,
            upstream=upstream[0] if upstream else None,
            forwards=forwards,
            context=context,
            settings=Settings(**settings),
            trace=trace,
            slow_handler_s=slow_handler_s,
        )
        self.port = self.core.attachment.sockets.bind(LOCAL, port)
        if upstream:
            self.core.attachment.sockets.connect(upstream[0], LOCAL, upstream[1])
        self.core.start()

    def send(self, to: str, key: str, value: Any = None, *, repeat: bool = True, **options: Any) -> Delivery:
        message = self.core.prepare(to, key, value, flags=() if repeat else ["NOREPEAT"])
        return self.core.send(message, repeat=repeat, **options)

    def values(self, key: str) -> list[Any]:
        return [message.value for message in self.handled if message.key == key]

    @property
    def counters(self) -> Mapping[str, int]:
        return self.core.driver.counters

    @property
    def below(self) -> list[str]:
        return list(self.core.endpoint.routes.below)

    def stop(self) -> None:
        self.core.driver.stop()

    # -- the host of its driver

    def on_message(self, message: Message) -> Any:
        self.handled.append(message)
        listen = find_listen(self.listens, message, self.id)
        return None if listen is None else listen(message)

    def on_neighbour(self, peer: str, is_there: bool) -> None:
        self.neighbours.append((peer, is_there))

    def on_twins(self, peer: str, addresses: tuple[str, str]) -> None:
        self.twins.append((peer, addresses))

    def on_exception(self, message: Message, error: BaseException, trace: str) -> None:
        self.raised.append(error)

    def on_callback_exception(self, error: BaseException, trace: str) -> None:
        self.raised.append(error)

    def is_concurrent(self, message: Message) -> bool:
        return bool(getattr(self.listens.get(message.key), "concurrent", False))


class Lab:
    """What a test starts, and what ends with it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._ends: list[Callable[[], object]] = []
        self._gates: list[threading.Event] = []

    def post(self, id: str = "T", **options: Any) -> Post:
        made = Post(self.context, id, **options)
        self._ends.append(made.stop)
        return made

    def node(self, id: str, post: Post | tuple[str, int], listens: Listens | None = None, **options: Any) -> Net_Node:
        upstream, port = (post.id, post.port) if isinstance(post, Post) else post
        made = Net_Node(id, upstream, port, listens, **options)
        self._ends.append(made.release)
        return made

    def raw(self, id: str, port: int, **options: Any) -> Socket:
        """A plain DEALER that is connected."""
        made = plain(self.context, zmq.DEALER, IDENTITY=id.encode(), **options)
        made.connect(f"tcp://{LOCAL}:{port}")
        return made

    def raw_upstream(self, port: int | None = None) -> tuple[Socket, int]:
        """A plain ROUTER, which confirms nothing and answers no probe unless the test does."""
        made = plain(self.context, zmq.ROUTER, ROUTER_HANDOVER=1)
        eventually(lambda: binds(made, port or "*"))
        return made, int(made.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def gate(self) -> threading.Event:
        """What a handler waits for; it opens at the end of the test at the latest."""
        self._gates.append(threading.Event())
        return self._gates[-1]

    def end(self) -> None:
        for gate in self._gates:
            gate.set()
        for end in reversed(self._ends):
            end()


def binds(one: Socket, port: int | str) -> bool:
    """A port is free a moment after its socket was closed: another thread closes it."""
    with contextlib.suppress(zmq.ZMQError):
        one.bind(f"tcp://{LOCAL}:{port}")
        return True
    return False


@pytest.fixture
def lab(context: Context, no_thread_stays: None) -> Iterator[Lab]:
    made = Lab(context)
    yield made
    made.end()


def read(one: Socket) -> list[bytes]:
    assert one.poll(int(DEADLINE_S * 1000)), "nothing came"
    return one.recv_multipart()


def messages(one: Socket) -> Iterator[Message]:
    """What comes, without the probes."""
    while True:
        payload = read(one)[-1]
        if payload:
            yield Message(msg=payload)


def one(key: str, sender: str = "r") -> bytes:
    """A message as of a program that knows nothing of ours, and seeks no confirmation."""
    return Message(id=f"{sender}_1", to="T", sender=sender, key=key, flags={"NOREPEAT": True}).serialize()


def concurrent(listen: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(listen)
    def beside(message: Any) -> Any:
        return listen(message)

    beside.concurrent = True  # type: ignore[attr-defined]
    return beside


def waits_for(gate: threading.Event) -> Callable[[Any], None]:
    def listen(_: Any) -> None:
        assert gate.wait(DEADLINE_S)

    return listen


def nothing(_: Any) -> None:
    """A listen that does nothing."""


# -- handlers ------------------------------------------------------------------------------------------------------


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


def test_a_program_s_exception_is_told_to_its_station(lab: Lab) -> None:
    def listen(_: Any) -> None:
        raise ValueError("no such trial")

    post = lab.post(listens={"ERROR": nothing})
    lab.node("n", post, {"K": listen})
    eventually(lambda: "n" in post.below)
    assert post.send("n", "K").wait(DEADLINE_S)
    eventually(lambda: post.values("ERROR"))
    assert post.values("ERROR")[0]["exception"] == "ValueError: no such trial"


def test_an_unknown_key_counts_as_handled_and_is_warned_of(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    post = lab.post()
    assert lab.node("n", post).send(key="TYPO", repeat=True).wait(DEADLINE_S)
    assert "T: nobody listens for TYPO, which n sent (message n_0)" in caplog.text


# -- relays --------------------------------------------------------------------------------------------------------


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


# -- what cannot be sent, and what is called when it was -----------------------------------------------------------


def test_what_json_cannot_carry_is_told_to_the_caller_and_leaves_nothing_behind(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    node = lab.node("n", post)
    for repeat in (True, False):
        with pytest.raises(BadMessage, match=r"message n_\d .* set that stands at value\.a"):
            node.send(key="K", value={"a": {1}}, repeat=repeat)
    assert node.outbox == {}
    assert node.send(key="K", value={"a": [1]}, repeat=True).wait(DEADLINE_S)
    assert post.values("K") == [{"a": [1]}]


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


# -- the window ----------------------------------------------------------------------------------------------------


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


# -- the path ------------------------------------------------------------------------------------------------------


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


def probe_binds(port: int) -> bool:
    context: Context = zmq.Context()
    with context.socket(zmq.ROUTER) as one:
        is_free = binds(one, port)
    context.term()
    return is_free


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


# -- the bell, and idling ------------------------------------------------------------------------------------------


def cpu(*cores: Core) -> float:
    """The seconds that the threads of these have used; where the system does not tell, those of the process."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time()
    threads = [ident for core in cores for ident in (core.driver.io_thread.ident, core.driver.handlers.ident)]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in threads if ident)


class Turns:
    """Counts how often I/O threads go round."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        turn = core.driver.io._turn

        def counted(ready: Any) -> None:
            self.count += 1
            turn(ready)

        monkeypatch.setattr(core.driver.io, "_turn", counted)


def test_an_idle_lab_with_an_open_stream_sleeps(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    post = lab.post(listens={"STREAM": nothing})
    node = lab.node("n", post)
    stream = node.get_stream("lick", "ITEM")
    stream.append(1)
    assert stream.wait(DEADLINE_S)
    cores = (post.core, node._core)
    for core in cores:
        turns.watch(core, monkeypatch)
    used = cpu(*cores)
    threading.Event().wait(1.0)  # not for anything: this is the second that is looked at
    assert 1 <= turns.count <= 16  # the node and its stream each ask the station for a sign of life once a second
    assert cpu(*cores) - used < 0.01 * len(cores)


def test_with_nobody_to_probe_the_io_thread_does_not_wake_at_all(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    post = lab.post(listens={"K": nothing})
    with lab.raw("r", post.port) as raw:
        raw.send_multipart([b"T", b"T", one("K")])
        eventually(lambda: post.handled)
    eventually(lambda: not post.below)
    turns.watch(post.core, monkeypatch)
    threading.Event().wait(0.3)
    assert turns.count <= 1


def test_whoever_sends_from_any_thread_wakes_the_io_thread_each_time(lab: Lab) -> None:
    """Each sends when all before is settled, so that a bell that is not heard is not made good by the next."""
    post = lab.post(listens={"K": nothing}, liveness_s=LONG_S)
    rigs = [lab.post(f"rig_{n}", upstream=("T", post.port), liveness_s=LONG_S) for n in range(2)]
    done: list[bool] = []

    def send(rig: Post) -> None:
        done.extend(rig.send("T", "K").wait(DEADLINE_S) for _ in range(150))

    threads = [threading.Thread(target=send, args=(rig,)) for rig in (*rigs, *rigs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert done == [True] * 600


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


# -- a neighbour that is full --------------------------------------------------------------------------------------

DEAF = {"RCVHWM": 1, "RCVBUF": 4096}


def deaf_neighbour(lab: Lab, post: Post) -> Socket:
    deaf = lab.raw("deaf", post.port, **DEAF)
    deaf.send(b"")
    eventually(lambda: "deaf" in post.below)
    return deaf


def test_what_a_slow_neighbour_cannot_take_is_bounded_counted_and_delays_nobody(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    post = lab.post(backlog_bytes=200_000)
    deaf = deaf_neighbour(lab, post)
    sender, other = lab.raw("sender", post.port), lab.raw("other", post.port)
    other.send(b"")
    eventually(lambda: "other" in post.below)
    for number in range(4_000):
        sender.send_multipart([b"T", b"deaf", b"%06d" % number + bytes(10_000)])
    sender.send_multipart([b"T", b"other", b"forwarded"])
    while (payload := read(other)[-1]) == b"":
        pass
    assert payload == b"forwarded"
    dropped = eventually(lambda: post.counters["dropped"])
    assert 0 < dropped < 4_000
    eventually(lambda: "for deaf: its neighbour takes no more" in caplog.text)
    warned = [record for record in caplog.records if "for deaf: its neighbour takes no more" in record.message]
    assert 1 <= len(warned) <= 5  # one a second, however many it was
    came: list[int] = []
    while len(came) < 4_000 - post.counters["dropped"]:
        came += [int(payload[:6]) for payload in (read(deaf)[-1],) if payload]
    assert came == sorted(came)


def test_order_survives_a_full_pipe(lab: Lab) -> None:
    """Also when another thread sends all the while, and what it sends crosses what is refused."""
    post = lab.post()
    deaf = deaf_neighbour(lab, post)
    count = 4_000

    def send() -> None:
        for number in range(count):
            post.send("deaf", "K", [number, "x" * 3_000], repeat=False)

    sender = threading.Thread(target=send)
    sender.start()
    eventually(lambda: post.core.endpoint.router.waiting_peers() == ["deaf"])
    came: list[int] = []
    while len(came) < count:
        came += [Message(payload).value[0] for payload in (read(deaf)[-1],) if payload]
    sender.join(DEADLINE_S)
    assert came == list(range(count))
    assert post.counters["dropped"] == 0


def test_a_full_neighbour_costs_little_while_it_is_full(lab: Lab) -> None:
    post = lab.post()
    deaf_neighbour(lab, post)
    for number in range(15_000):
        post.send("deaf", "K", number, repeat=False)
    eventually(lambda: post.core.endpoint.router.waiting_peers() == ["deaf"])
    used = cpu(post.core)
    threading.Event().wait(0.5)
    assert cpu(post.core) - used < 0.1
    assert post.counters["dropped"] == 0


# -- streams -------------------------------------------------------------------------------------------------------


class Sink:
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
    sink = Sink(lab)
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
    sink = Sink(lab)
    stream = lab.node("n", sink.at).get_stream("camera", "ITEM", reliable=False)
    for number in range(300):
        stream.append({"n": number, "frame": np.full((60, 80), number % 256, np.uint8)})
    stream.close()
    eventually(lambda: len(sink.items) == 300)
    assert [item["n"] for item in sink.items] == list(range(300))
    assert all((item["frame"] == item["n"] % 256).all() for item in sink.items)
    assert sink.node.counters.get("missing items", 0) == 0


def test_a_batch_goes_when_its_oldest_item_is_old_enough(lab: Lab) -> None:
    sink = Sink(lab)
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
    sink = Sink(lab, gate=gate)
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
    sink = Sink(lab, gate=gate)
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
    sink = Sink(lab, router_port=port)
    assert stream.wait(DEADLINE_S)
    eventually(lambda: sink.items == list(range(12)))


def test_every_gap_of_an_unreliable_stream_is_told_in_items(
    lab: Lab, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    node = lab.node("n", ("sink", port))
    stream = node.get_stream("s", "ITEM", min_size=2, q_size=4, reliable=False, drop_oldest=True)
    stream.extend(range(10))
    assert stream.dropped == 6
    sink = Sink(lab, router_port=port)
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
    sink = Sink(lab)
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
    sink = Sink(lab)
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

    sink = Sink(lab)
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
    sink = Sink(lab)
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


# -- the trace -----------------------------------------------------------------------------------------------------


def traced(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_the_trace_holds_every_transmission_and_every_delivery_in_whole_lines(lab: Lab, tmp_path: Path) -> None:
    post = lab.post(trace=tmp_path / "T.jsonl", listens={"K": nothing})
    node = lab.node("n", post, trace=tmp_path / "n.jsonl")
    raw = lab.raw("r", post.port)
    raw.send(b"")
    eventually(lambda: {"n", "r"} <= set(post.below))
    sent = [node.send("r" if value % 2 else "T", "K", "x" * value, repeat=value % 2 == 0) for value in range(300)]
    assert sent[298].wait(DEADLINE_S)
    payloads = [payload for payload in (read(raw)[-1] for _ in range(151)) if payload]
    node.release()
    post.stop()
    at_node, at_post = traced(tmp_path / "n.jsonl"), traced(tmp_path / "T.jsonl")
    assert {line["at"] for line in at_post} == {"T"}
    assert len({line["life"] for line in at_post}) == 1
    assert all(one["t"] <= two["t"] for lines in (at_node, at_post) for one, two in itertools.pairwise(lines))
    sendings = [line for line in at_node if line["do"] == "Transmit" and line["size"]]
    up = [line for line in sendings if '"key":"CLOCK"' not in line["head"]]  # which it sends by itself
    assert len(up) == 300
    delivered = [line["id"] for line in at_post if line["do"] == "Deliver"]
    assert delivered == [message.id for message in post.handled]
    down = [line["digest"] for line in at_post if line["do"] == "Transmit" and line["peer"] == "r" and line["size"]]
    assert down == [digest(payload) for payload in payloads]
    assert [line["digest"] for line in up if line["frames"][-1] == "r"] == down  # nobody on the way changed it
    confirmed = [line["id"] for line in at_node if line["do"] == "Confirmed"]
    assert confirmed == [delivery.id for delivery in sent if delivery.sought]


def test_half_a_character_in_a_message_ends_no_traced_station(lab: Lab, tmp_path: Path) -> None:
    post = lab.post(trace=tmp_path / "T.jsonl")
    raw = lab.raw("r", post.port)
    raw.send_multipart([b"T", b"T", b'{"id": "r_1", "to": "T", "sender": "r", "key": "\\ud800"}'])
    raw.send_multipart([b"T", b"T", b'{"id": "r_2", "to": "T", "sender": "r", "key": "K"}'])
    eventually(lambda: len(post.handled) == 1)
    post.stop()
    assert [line["key"] for line in traced(tmp_path / "T.jsonl") if line["do"] == "Deliver"] == ["K"]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full elsewhere")
def test_a_full_disk_ends_the_trace_and_not_the_session(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    post = lab.post(trace=Path("/dev/full"), listens={"K": nothing})
    assert lab.node("n", post).send(key="K", repeat=True).wait(DEADLINE_S)
    assert post.counters["untraced"] > 0
    assert "the trace lacks" in caplog.text


# -- what does not break the thread --------------------------------------------------------------------------------


def test_a_message_that_breaks_the_core_is_told_and_the_next_is_handled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post = lab.post(listens={"K": nothing})
    raw = lab.raw("r", post.port)
    raw.send(b"")
    eventually(lambda: post.below)
    with monkeypatch.context() as patched:
        patched.setattr(post.core.endpoint, "receive", lambda *_, **__: 1 / 0)
        raw.send(b"boom")
        eventually(lambda: post.counters["broken"])
    assert "while handling a message from r" in caplog.text
    raw.send_multipart([b"T", b"T", one("K")])
    eventually(lambda: post.handled)


def test_what_is_no_message_is_dropped_and_counted(lab: Lab) -> None:
    post = lab.post(listens={"K": nothing})
    raw = lab.raw("r", post.port)
    for junk in ([b"junk"], [b"T", b"\xff", b"{}"], [b"T", b"T", b"[" * 10_000], [b"T", b"T", b"{}"], [b"", b"x"]):
        raw.send_multipart(junk)
    raw.send_multipart([b"T", b"T", one("K")])
    eventually(lambda: post.handled)
    assert [message.key for message in post.handled] == ["K"]
    eventually(lambda: post.counters["dropped"] == 5)
    assert post.counters["broken"] == 0


# -- the end -------------------------------------------------------------------------------------------------------


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
