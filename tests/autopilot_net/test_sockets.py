"""Each zmq setting, and each thing zmq does, shown on a plain socket and then on ours. All on loopback."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import zmq

from autopilot_net import AutopilotNetError
from autopilot_net.socket_options import PIPE, SMALL
from autopilot_net.sockets import PIPE_BYTES, SendResult, Sockets
from tests.autopilot_net.zmq_ends import BIG, DEAF, LOCAL, Bare, Ends, blocks, bound, fill, named, read
from tests.conftest import Context, Socket, eventually, plain

# -- high water --------------------------------------------------------------------------------------------------------


def test_one_full_neighbour_blocks_a_plain_router_that_says_it_can_send(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER, ROUTER_MANDATORY=1, SNDHWM=10, SNDBUF=4096, SNDTIMEO=50))
    named(context, b"deaf", port, **DEAF).send(b"hello")
    named(context, b"other", port).send(b"hello")
    read(server)
    read(server)

    began = time.monotonic()
    assert fill(lambda: blocks(lambda: server.send_multipart([b"deaf", BIG])))  # without SNDTIMEO, for ever
    assert time.monotonic() - began >= 0.05
    assert server.poll(0, zmq.POLLOUT)  # which is true of the other neighbour, and says nothing of this one


def test_one_full_neighbour_of_ours_says_so_at_once_and_blocks_nobody(context: Context) -> None:
    ours = Ends(context, "T").bind()
    deaf = named(context, b"deaf", ours.port, **DEAF)
    other = named(context, b"other", ours.port)
    deaf.send(b"hello")
    other.send(b"hello")
    ours.until(lambda: len(ours.came) == 2)
    sent = fill(lambda: ours.send("deaf", BIG) is SendResult.LATE)
    assert ours.send("other", b"x") is SendResult.YES
    assert read(other) == [b"x"]
    for _ in range(sent):
        assert read(deaf) == [BIG]  # nothing that was taken is lost
    eventually(lambda: ours.send("deaf", b"x") is SendResult.YES)
    assert read(deaf) == [b"x"]


def test_an_upstream_that_does_not_read_is_full_and_not_gone(context: Context) -> None:
    deaf, port = bound(plain(context, zmq.ROUTER, **DEAF))
    rig = Ends(context, "rig_1").connect("T", port)
    rig.until(lambda: rig.news == [("T", True)])
    assert fill(lambda: rig.send("T", BIG) is SendResult.LATE)
    # zmq moves some of what is in its pipe on to the system meanwhile, later on a busy machine.
    assert fill(lambda: rig.send("T", b"x") is SendResult.FULL) <= 4 * PIPE
    assert fill(lambda: rig.send("T", b"x") is SendResult.FULL) <= PIPE
    assert read(deaf) == [b"rig_1", b""]


# -- the monitor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["down", "up"])
def test_large_messages_fill_a_pipe_by_their_bytes(context: Context, way: str) -> None:
    """zmq would let a thousand in, of any size."""
    below = plain(context, zmq.DEALER, IDENTITY=b"deaf", PROBE_ROUTER=1, **DEAF)
    above, port = bound(plain(context, zmq.ROUTER, **DEAF))
    ours = Ends(context, "T").connect("T", port) if way == "up" else Ends(context, "T").bind()
    below.connect(f"tcp://{LOCAL}:{ours.port or port}")
    peer, far = ("T", above) if way == "up" else ("deaf", below)
    ours.until(lambda: ours.news if way == "up" else ours.came)
    frame = bytes(PIPE_BYTES // 4)
    sent = fill(lambda: ours.send(peer, frame) is SendResult.LATE)
    assert 4 <= sent <= 12, "what is in the pipe, and what is on its way"
    assert ours.send(peer, frame) is SendResult.LATE
    for _ in range(sent + (way == "up")):
        assert far.poll(10_000)
        far.recv_multipart()
    eventually(lambda: ours.send(peer, frame) is SendResult.YES)


def test_one_message_always_may_go_whatever_its_size(context: Context) -> None:
    ours = Ends(context, "T").bind()
    rig = Ends(context, "rig_1").connect("T", ours.port)
    rig.until(lambda: ours.came, ours)
    assert ours.send("rig_1", bytes(2 * PIPE_BYTES)) is SendResult.YES
    rig.until(lambda: rig.came)
    assert len(rig.came[0][1][0]) == 2 * PIPE_BYTES


# -- reconnect, bind ---------------------------------------------------------------------------------------------------


def test_nothing_of_a_former_connection_goes_out_by_the_next(context: Context) -> None:
    with socket.create_server((LOCAL, 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        rig = Ends(context, "rig_1").connect("T", server.getsockname()[1])
        old = Bare(server.accept()[0], b"ROUTER")
        rig.until(lambda: rig.news)
        assert fill(lambda: rig.send("T", BIG[:SMALL]) is SendResult.FULL)
        rig.news.clear()
        rig.sockets.reconnect()
        new = Bare(server.accept()[0], b"ROUTER")
        rig.until(lambda: rig.news == [("T", True)])
        old.die()
        assert rig.send("T", b"after") is SendResult.YES
        said = b""
        while b"after" not in said:
            said += new.tcp.recv(1_000)
        new.die()
        assert BIG[:100] not in said


def test_who_is_accepted_is_heard_of_from_the_first(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rig that waits for the port is accepted at once. Unheard of, it was lost with each thing that it said."""
    called: list[str] = []

    def noted(name: str) -> None:
        real = getattr(zmq.Socket, name)

        def call(self: Socket, *args: Any) -> Any:
            called.append(name)
            return real(self, *args)

        monkeypatch.setattr(zmq.Socket, name, call)

    noted("bind")
    noted("get_monitor_socket")
    Ends(context, "T").bind()
    assert called[:1] == ["get_monitor_socket"]
    assert "bind" in called[1:]


@pytest.mark.parametrize("hold", [True, False], ids=["by zmq", "by another program"])
def test_a_port_that_is_taken_is_told_in_a_sentence(context: Context, hold: bool) -> None:
    with socket.socket() as other:
        other.bind((LOCAL, 0))
        other.listen()
        taken = Ends(context, "T").bind().port if hold else int(other.getsockname()[1])
        sockets = Sockets(context, "rig_1")
        with pytest.raises(AutopilotNetError, match=rf"^rig_1 cannot listen at 127\.0\.0\.1:{taken}: .*in use"):
            sockets.bind(LOCAL, taken)
    assert sockets.readable() == []


def test_the_system_chooses_a_port_where_none_is_named(context: Context) -> None:
    ports = {Ends(context, "T").sockets.bind(LOCAL, choice) for choice in (0, None)}
    assert len(ports) == 2
    assert 0 not in ports
