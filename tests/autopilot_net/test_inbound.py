"""Who is connected, by which connection: what the monitor tells, and what is read of one that has gone."""

from __future__ import annotations

import contextlib
import socket

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from autopilot_net import inbound
from autopilot_net.socket_options import PIPE, SMALL, UNREAD
from autopilot_net.sockets import BATCH, SendResult
from tests.autopilot_net.zmq_ends import LOCAL, Bares, Ends, bound, linux, named
from tests.conftest import Context, plain

# -- the monitor -------------------------------------------------------------------------------------------------------


def test_the_monitor_tells_an_fd_which_only_an_uncopied_frame_ties_to_an_identity(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER))
    monitor = server.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
    with named(context, b"rig_1", port) as rig:
        rig.send(b"hello")
        assert server.poll(10_000)
        frame = server.recv(copy=False)
    assert frame.bytes == b"rig_1"
    events = []
    for _ in range(2):
        assert monitor.poll(10_000)
        events.append(recv_monitor_message(monitor))
    server.disable_monitor()
    assert [event["event"] for event in events] == [zmq.EVENT_ACCEPTED, zmq.EVENT_DISCONNECTED]
    assert [event["value"] for event in events] == [frame.get(zmq.SRCFD)] * 2
    assert not any(b"rig_1" in str(event).encode() for event in events)


def test_of_several_neighbours_the_one_that_went_is_told(context: Context) -> None:
    ours = Ends(context, "T").bind()
    rigs = {f"rig_{n}": named(context, f"rig_{n}".encode(), ours.port) for n in range(5)}
    for rig in rigs.values():
        rig.send(b"hello")
    ours.until(lambda: len(ours.came) == 5)
    for gone in ("rig_3", "rig_0", "rig_4"):
        ours.news.clear()
        rigs.pop(gone).close()
        ours.until(lambda: ours.news)
        assert ours.news == [(gone, False)]
    assert all(ours.send(peer, b"x") is SendResult.YES for peer in rigs)


@pytest.mark.skipif(zmq.DRAFT_API, reason="a pyzmq that was built with the draft API has them")
@pytest.mark.parametrize(("option", "value"), [("ROUTER_NOTIFY", 3), ("HELLO_MSG", b"hello")])
def test_what_would_tell_more_simply_is_not_in_the_wheels(context: Context, option: str, value: int | bytes) -> None:
    with pytest.raises(zmq.ZMQError):
        plain(context, zmq.ROUTER).setsockopt(getattr(zmq, option), value)


# -- last words --------------------------------------------------------------------------------------------------------


def test_a_program_that_sends_and_is_gone_before_it_is_read_is_no_ghost(context: Context, bare: Bares) -> None:
    """It is met by its first message, and nothing would ever say again that it went."""
    ours = Ends(context, "T").bind()
    program = bare(b"_rig_1", ours.port)
    assert ours.changes() == []
    for number in range(BATCH + 10):
        program.send(b"%d" % number)
    program.die()
    assert ours.monitor.poll(10_000)
    ours.turn()
    assert ours.came[0] == ("_rig_1", [b"0"], True)
    assert len(ours.came) == BATCH
    assert ours.news == [], "there is more of it to be read"
    ours.until(lambda: ours.news)
    assert [frames for _, frames, _ in ours.came] == [[b"%d" % number] for number in range(BATCH + 10)]
    assert ours.news == [("_rig_1", False)]


def test_a_program_that_is_gone_before_much_is_read_takes_nobody_with_it(context: Context, bare: Bares) -> None:
    """Where zmq stops to read at a mark, its next heartbeat to a peer that died meanwhile aborts the whole process."""
    ours = Ends(context, "T").bind()
    program = bare(b"_rig_1", ours.port)
    for number in range(3_000):
        program.send(b"%d" % number)
    program.die()
    assert ours.monitor.poll(10_000), "not before its next heartbeat is due"
    ours.until(lambda: len(ours.came) == 3_000)
    assert [frames for _, frames, _ in ours.came] == [[b"%d" % number] for number in range(3_000)]


def test_the_last_words_of_an_upstream_do_not_bring_it_back(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER))
    rig = Ends(context, "rig_1").connect("T", port)
    rig.until(lambda: server.poll(0))
    assert server.recv_multipart() == [b"rig_1", b""]
    server.send_multipart([b"rig_1", b"last words"])
    assert rig.dealer.poll(10_000)
    server.close(500)
    assert rig.news == [("T", True)]
    assert rig.monitor.poll(10_000)
    last_words = list(rig.sockets.receive([rig.monitor]))
    assert last_words in ([("T", [b"last words"], False)], [])  # zmq throws them away, or does not: it depends
    assert list(rig.sockets.changes()) == [("T", False)], "and after it nothing more is read"
    assert list(rig.sockets.receive([rig.dealer])) == []


@linux  # which gives the lowest number that is free
@pytest.mark.parametrize("identity", ["new", "old"])
def test_a_neighbour_by_the_number_of_a_connection_that_went_is_not_lost_with_it(
    context: Context, bare: Bares, identity: str
) -> None:
    ours = Ends(context, "T").bind()
    old = bare(b"old", ours.port)
    old.send(b"hello")
    ours.until(lambda: ours.came)
    number = ours.sockets.inbound.connections()["old"]
    old.die()
    assert ours.monitor.poll(10_000)  # and before anybody asks
    bare(identity.encode(), ours.port).send(b"")
    assert ours.router.poll(10_000)
    ours.came.clear()
    ours.until(lambda: ours.came)
    assert ours.came == [(identity, [b""], True)]
    assert ours.sockets.inbound.connections() == {identity: number}
    lost = [] if identity == "old" else [("old", False)]
    ours.until(lambda: ours.news == lost)
    assert ours.send(identity, b"x") is SendResult.YES


def test_whoever_has_a_name_that_is_no_text_is_not_heard(context: Context, bare: Bares) -> None:
    ours = Ends(context, "T").bind()
    nameless = bare(b"\xff\xfe", ours.port)
    nameless.send(b"hello")
    assert ours.router.poll(10_000)
    assert list(ours.sockets.receive([ours.router])) == []
    bare(b"rig_1", ours.port).send(b"hello")
    ours.until(lambda: ours.came)
    assert ours.came == [("rig_1", [b"hello"], True)]


# -- connections below -------------------------------------------------------------------------------------------------


def test_one_connection_too_many_is_hung_up_on(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "CONNECTIONS", 2)
    ours = Ends(context, "T").bind()
    rigs = [named(context, f"rig_{number}".encode(), ours.port) for number in range(2)]
    for rig in rigs:
        rig.send(b"hello")
    ours.until(lambda: len(ours.came) == 2)
    with socket.create_connection((LOCAL, ours.port)) as third:
        ours.until(lambda: ours.sockets.skipped["a connection too many"] == 1)
        third.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while third.recv(100):
                pass
    rigs[0].send(b"still here")
    ours.until(lambda: ours.heard(b"still here"))


def test_what_a_former_connection_brought_is_read_before_what_the_next_one_does(context: Context) -> None:
    """The next has an identity of its own, so that zmq throws nothing of the former away."""
    ours = Ends(context, "T").bind()
    rig = Ends(context, "rig_1").connect("T", ours.port)
    rig.until(lambda: ours.came, ours)
    sent = 0
    while rig.dealer.poll(300, zmq.POLLOUT):
        sent += rig.send("T", (b"%d" % sent).ljust(SMALL)) is SendResult.YES
    assert sent > UNREAD, "zmq looks for new connections every hundred messages"
    rig.sockets.reconnect("next")
    rig.until(lambda: rig.send("T", b"next") is SendResult.YES)
    ours.until(lambda: ours.heard(b"next"))
    came = [frames[-1] for _, frames, _ in ours.came if frames[-1]]
    assert came.pop() == b"next"
    assert [int(payload) for payload in came] == list(range(len(came)))
    assert sent - len(came) <= 2 * PIPE, "what was in the pipe of the one that hung up"
    assert {peer for peer, _, _ in ours.came} == {"rig_1"}
    assert [is_new for _, frames, is_new in ours.came if frames == [b""]] == [True, True]
    assert ours.send("rig_1", b"to the next") is SendResult.YES
    rig.until(lambda: rig.heard(b"to the next"))


def test_one_that_does_not_read_holds_its_senders_up(context: Context) -> None:
    ours = Ends(context, "T").bind()
    rig = named(context, b"rig_1", ours.port, SNDHWM=PIPE)
    taken = 0
    while rig.poll(300, zmq.POLLOUT):
        rig.send(bytes(SMALL))
        taken += 1
        assert taken < 20 * UNREAD, "it takes everything"
    assert taken > UNREAD


def test_whoever_comes_by_an_older_protocol_is_counted_and_not_heard(context: Context) -> None:
    ours = Ends(context, "T").bind()
    with socket.create_connection((LOCAL, ours.port)) as stranger:
        stranger.sendall(bytes.fromhex("020061020062"))
        ours.until(lambda: ours.sockets.skipped["from a peer of another protocol"])
    assert ours.came == []


def test_a_message_of_too_many_frames_is_counted_and_not_heard(context: Context) -> None:
    ours = Ends(context, "T").bind()
    named(context, b"rig_1", ours.port).send_multipart([b"x"] * (inbound.FRAMES + 1))
    ours.until(lambda: ours.sockets.skipped[f"of more than {inbound.FRAMES} frames"])
    assert ours.came == []
