"""Messages of several frames: as pyzmq's own calls send and receive them, and without ever waiting."""

from __future__ import annotations

import pytest
import zmq

from autopilot_net import multipart
from tests.conftest import Context, Socket, eventually


@pytest.fixture
def pair(context: Context) -> tuple[Socket, Socket]:
    """Two ends of a connection."""
    one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    one.setsockopt(zmq.SNDHWM, 2)
    other.setsockopt(zmq.RCVHWM, 1)
    one.connect(f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}")
    return one, other


MESSAGES = [[b"one"], [b"one", b""], [b"", b"two", b"x" * 100_000], [b"x"] * 70]


@pytest.mark.parametrize("frames", MESSAGES, ids=len)
def test_frames_arrive_as_pyzmq_has_them(pair: tuple[Socket, Socket], frames: list[bytes]) -> None:
    one, other = pair
    multipart.send(one, frames)
    assert other.recv_multipart() == frames
    one.send_multipart(frames)
    assert other.poll(10_000)
    assert multipart.receive(other) == frames


def test_the_first_frame_tells_of_its_connection(pair: tuple[Socket, Socket]) -> None:
    one, other = pair
    multipart.send(one, (b"name", b"message"))
    assert other.poll(10_000)
    first = multipart.receive_first(other)
    assert (first.bytes, first.get("Peer-Address")) == (b"name", "127.0.0.1")
    assert multipart.rest_of(other, first) == [b"message"]


def test_where_nothing_has_come_nothing_is_waited_for(pair: tuple[Socket, Socket]) -> None:
    with pytest.raises(zmq.Again):
        multipart.receive(pair[1])


def test_what_a_full_pipe_refuses_is_not_sent_in_part(pair: tuple[Socket, Socket]) -> None:
    one, other = pair
    sent = 0

    def fill() -> bool:
        nonlocal sent
        try:
            multipart.send(one, (b"head", b"x" * 200_000))
        except zmq.Again:
            return True
        sent += 1
        return False

    eventually(fill)
    for _ in range(sent):
        assert other.poll(10_000)
        assert [len(frame) for frame in multipart.receive(other)] == [4, 200_000]
    assert not other.poll(50)
