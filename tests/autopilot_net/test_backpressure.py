"""A neighbour whose pipe is full: what it cannot take is kept, bounded and in order, and delays nobody else."""

from __future__ import annotations

import threading

import pytest

from autopilot_net import Message
from tests.autopilot_net.posts import Lab, Post, read
from tests.autopilot_net.test_io_thread import cpu
from tests.conftest import Socket, eventually
from tests.patience import DEADLINE_S

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
