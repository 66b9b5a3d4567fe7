"""Each zmq setting, and each thing zmq does, shown on a plain socket and then on ours. All on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from autopilot_net import AutopilotNetError, inbound
from autopilot_net.socket_options import PIPE, SMALL, UNACKED_MS, UNREAD, dealer, router
from autopilot_net.sockets import BATCH, PIPE_BYTES, SendResult, Sockets
from tests.conftest import Context, Socket, eventually, plain
from tests.harness import said_by

LOCAL = "127.0.0.1"
DEAF = {"RCVHWM": 1, "RCVBUF": 4096}  # of a peer that does not read: almost nothing goes on its way to it
BIG = b"x" * 50_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="how the system numbers files")


class Ends:
    """The pipes of one endpoint, and all that they ever said."""

    def __init__(self, context: Context, identity: str) -> None:
        self.sockets = Sockets(context, identity)
        self.port = 0
        self.came: list[tuple[str, list[bytes], bool]] = []
        self.news: list[tuple[str, bool]] = []

    def bind(self, port: int = 0) -> Ends:
        self.port = self.sockets.bind(LOCAL, port)
        return self

    def connect(self, upstream: str, port: int) -> Ends:
        self.sockets.connect(upstream, LOCAL, port)
        return self

    @property
    def monitor(self) -> Socket:
        return self.sockets.readable()[0]

    @property
    def router(self) -> Socket:
        return self.sockets.readable()[1]

    dealer = router

    def turn(self) -> None:
        """What a driver does: wait a little, read, and ask what changed."""
        poller = zmq.Poller()
        for one in self.sockets.readable():
            poller.register(one, zmq.POLLIN)
        ready = dict(poller.poll(5))
        self.came += self.sockets.receive(ready)
        self.news += self.sockets.changes()

    def changes(self) -> list[tuple[str, bool]]:
        """What the monitor alone tells."""
        assert list(self.sockets.receive([self.monitor])) == []
        return list(self.sockets.changes())

    def until(self, condition: Callable[[], object], *others: Ends) -> None:
        """Take turns, and let `others` take theirs, until `condition`."""

        def look() -> object:
            for one in (self, *others):
                one.turn()
            return condition()

        eventually(look)

    def heard(self, payload: bytes) -> bool:
        return any(frames[-1] == payload for _, frames, _ in self.came)

    def send(self, peer: str, *frames: bytes) -> SendResult:
        return self.sockets.send(peer, frames)


def to(one: Socket, port: int) -> Socket:
    one.connect(f"tcp://{LOCAL}:{port}")
    return one


def bound(one: Socket, port: int | None = None) -> tuple[Socket, int]:
    one.bind(f"tcp://{LOCAL}:{port or '*'}")
    return one, int(one.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def named(context: Context, identity: bytes, port: int, **options: int) -> Socket:
    """A plain DEALER that is connected."""
    return to(plain(context, zmq.DEALER, IDENTITY=identity, **options), port)


def read(one: Socket, timeout_ms: int = 10_000) -> list[bytes]:
    assert one.poll(timeout_ms), "nothing came"
    return one.recv_multipart()


class Bare:
    """A peer of nothing but TCP, which greets as a zmq socket and from then on does only what it is told."""

    def __init__(self, tcp: socket.socket, kind: bytes, identity: bytes = b"") -> None:
        self.tcp = tcp
        self.tcp.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        ready = b"\x05READY" + self._fact(b"Socket-Type", kind) + self._fact(b"Identity", identity)
        self.tcp.sendall(b"\x04" + bytes([len(ready)]) + ready)
        said = b""
        while b"READY" not in said:
            said += self.tcp.recv(1_000)

    @staticmethod
    def _fact(name: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    def send(self, payload: bytes) -> None:
        self.tcp.sendall(b"\x00" + bytes([len(payload)]) + payload)

    def beat(self, *, ttl_s: float) -> None:
        """Say that whoever hears nothing for so long may give it up."""
        ping = b"\x04PING" + struct.pack(">H", round(ttl_s * 10))
        self.tcp.sendall(b"\x04" + bytes([len(ping)]) + ping)

    def break_off(self) -> None:
        """End it with a reset."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()

    def die(self) -> None:
        """As by a SIGKILL: the system closes the connection, and no goodbye is said."""
        self.tcp.close()


def bare_dealer(identity: bytes, port: int) -> Bare:
    return Bare(socket.create_connection((LOCAL, port)), b"DEALER", identity)


Bares = Callable[[bytes, int], Bare]


@pytest.fixture
def bare() -> Iterator[Bares]:
    with contextlib.ExitStack() as stack:

        def make(identity: bytes, port: int) -> Bare:
            made = bare_dealer(identity, port)
            stack.callback(made.die)
            return made

        yield make


# -- ROUTER_MANDATORY ----------------------------------------------------------------------------------------------


def test_what_a_plain_router_sends_to_nobody_vanishes_and_ours_says_gone(context: Context) -> None:
    silent, _ = bound(plain(context, zmq.ROUTER))
    silent.send_multipart([b"nobody", b"x"], zmq.DONTWAIT)  # and no word of it
    ours = Ends(context, "T").bind()
    assert ours.send("nobody", b"x") is SendResult.GONE


def test_what_has_no_socket_at_all_is_gone(context: Context) -> None:
    assert Sockets(context, "T").send("rig_1", (b"x",)) is SendResult.GONE


def test_of_a_neighbour_that_was_killed_only_a_send_and_the_monitor_know(context: Context, bare: Bares) -> None:
    mandatory, port = bound(plain(context, zmq.ROUTER, ROUTER_MANDATORY=1))
    rig = bare(b"rig_1", port)
    rig.send(b"hello")
    assert read(mandatory) == [b"rig_1", b"hello"]
    rig.die()
    with pytest.raises(zmq.ZMQError) as said:
        eventually(lambda: mandatory.send_multipart([b"rig_1", b"x"], zmq.DONTWAIT))
    assert said.value.errno == zmq.EHOSTUNREACH
    assert not mandatory.poll(0)  # nothing to read tells of it

    ours = Ends(context, "T").bind()
    rig = bare(b"rig_1", ours.port)
    rig.send(b"hello")
    ours.until(lambda: ours.heard(b"hello"))
    assert ours.send("rig_1", b"x") is SendResult.YES
    rig.die()
    eventually(lambda: ours.send("rig_1", b"x") is SendResult.GONE)
    ours.until(lambda: ours.news == [("rig_1", False)])


# -- ROUTER_HANDOVER -----------------------------------------------------------------------------------------------


def test_a_plain_router_refuses_a_rebooted_rig_its_id_while_its_ghost_lives(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER, ROUTER_MANDATORY=1))
    ghost = named(context, b"rig_1", port)
    ghost.send(b"before the power cut")
    assert read(server) == [b"rig_1", b"before the power cut"]
    rebooted = plain(context, zmq.DEALER, IDENTITY=b"rig_1")
    monitor = rebooted.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    to(rebooted, port).send(b"back again")
    assert monitor.poll(10_000)
    rebooted.disable_monitor()
    named(context, b"marker", port).send(b"later")
    assert read(server) == [b"marker", b"later"]
    server.send_multipart([b"rig_1", b"START"])
    assert read(ghost) == [b"START"]
    assert not rebooted.poll(0)


def test_a_rebooted_rig_gets_its_id_back_at_once_and_is_known_as_new(context: Context) -> None:
    ours = Ends(context, "T").bind()
    ghost = named(context, b"rig_1", ours.port)
    ghost.send(b"before the power cut")
    ours.until(lambda: ours.heard(b"before the power cut"))
    rebooted = named(context, b"rig_1", ours.port)
    rebooted.send(b"back again")
    rebooted.send(b"and again")
    ours.until(lambda: ours.heard(b"and again"))
    assert ours.came == [
        ("rig_1", [b"before the power cut"], True),
        ("rig_1", [b"back again"], True),
        ("rig_1", [b"and again"], False),
    ]
    assert ours.send("rig_1", b"START") is SendResult.YES
    assert read(rebooted) == [b"START"]
    assert ours.news == []  # the ghost's end is not the end of the rig


@linux
def test_whence_a_neighbour_came_is_told_and_whether_its_former_connection_was_still_there(context: Context) -> None:
    ours = Ends(context, "T").bind()
    for number, (source, took_over) in enumerate((("127.0.0.1", False), ("127.0.0.2", True), ("127.0.0.3", True))):
        rig = plain(context, zmq.DEALER, IDENTITY=b"rig_1")
        rig.connect(f"tcp://{source}:0;{LOCAL}:{ours.port}")
        rig.send(b"%d" % number)
        ours.until(lambda number=number: ours.heard(b"%d" % number))  # type: ignore[misc]
        assert ours.sockets.came_by == {"rig_1": (source, took_over)}
    rig.close()
    ours.until(lambda: ours.news == [("rig_1", False)])
    assert ours.sockets.came_by == {}
    named(context, b"rig_1", ours.port).send(b"again")
    ours.until(lambda: ours.heard(b"again"))
    assert ours.sockets.came_by == {"rig_1": ("127.0.0.1", False)}


def test_a_rig_that_went_and_came_back_is_new(context: Context) -> None:
    ours = Ends(context, "T").bind()
    for life in (b"1", b"2", b"3"):
        with named(context, b"rig_1", ours.port) as rig:
            rig.send(life)
            ours.until(lambda life=life: ours.heard(life))  # type: ignore[misc]
            assert ours.send("rig_1", b"x") is SendResult.YES
            assert read(rig) == [b"x"]
        ours.until(lambda life=life: len(ours.news) == int(life))  # type: ignore[misc]
    assert ours.came == [("rig_1", [life], True) for life in (b"1", b"2", b"3")]
    assert ours.news == [("rig_1", False)] * 3


# -- PROBE_ROUTER --------------------------------------------------------------------------------------------------


def test_a_plain_router_knows_nobody_until_the_first_message_comes_up(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER, ROUTER_MANDATORY=1))
    quiet = plain(context, zmq.DEALER, IDENTITY=b"rig_1")
    monitor = quiet.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    to(quiet, port)
    assert monitor.poll(10_000)
    quiet.disable_monitor()
    named(context, b"marker", port).send(b"later")
    assert read(server) == [b"marker", b"later"]  # so what is there of the quiet one has been seen


def test_ours_is_seen_when_it_connects(context: Context) -> None:
    ours = Ends(context, "T").bind()
    rig = Ends(context, "rig_1").connect("T", ours.port)
    rig.until(lambda: ours.came, ours)
    assert ours.came == [("rig_1", [b""], True)]
    assert rig.news == [("T", True)]
    assert ours.send("rig_1", b"START") is SendResult.YES
    rig.until(lambda: rig.heard(b"START"))


def test_the_probe_is_harmless_to_a_plain_router(context: Context) -> None:
    theirs, port = bound(plain(context, zmq.ROUTER))
    rig = Ends(context, "rig_1").connect("T", port)
    rig.until(lambda: theirs.poll(0))
    assert theirs.recv_multipart() == [b"rig_1", b""]


# -- IMMEDIATE -----------------------------------------------------------------------------------------------------


def test_a_plain_dealer_delivers_stale_frames_to_the_next_life_of_its_peer(context: Context, port: int) -> None:
    rig = plain(context, zmq.DEALER, IDENTITY=b"rig_1", RECONNECT_IVL=10, SNDHWM=5)
    monitor = rig.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    first, _ = bound(plain(context, zmq.ROUTER), port)
    to(rig, port).send(b"hello")
    assert read(first) == [b"rig_1", b"hello"]
    first.close()
    assert monitor.poll(10_000)
    rig.disable_monitor()
    stale = count()
    sent = fill(lambda: blocks(lambda: rig.send(b"stale %d" % next(stale), zmq.DONTWAIT)))
    assert 1 < sent <= 5  # up to its high-water mark
    second, _ = eventually_bound(context, port)
    assert [read(second) for _ in range(sent)] == [[b"rig_1", b"stale %d" % number] for number in range(sent)]


def test_ours_keeps_nothing_for_a_dead_peer(context: Context, port: int) -> None:
    first, _ = bound(plain(context, zmq.ROUTER), port)
    rig = Ends(context, "rig_1").connect("T", port)
    rig.until(lambda: rig.send("T", b"hello") is SendResult.YES)
    assert [read(first), read(first)] == [[b"rig_1", b""], [b"rig_1", b"hello"]]
    first.close()
    rig.until(lambda: ("T", False) in rig.news)
    rig.until(lambda: rig.send("T", b"stale") is SendResult.FULL)
    second, _ = eventually_bound(context, port)
    rig.until(lambda: rig.send("T", b"fresh") is SendResult.YES)
    assert [read(second), read(second)] == [[b"rig_1", b""], [b"rig_1", b"fresh"]]
    rig.until(lambda: rig.news == [("T", True), ("T", False), ("T", True)])


def eventually_bound(context: Context, port: int) -> tuple[Socket, int]:
    """A socket's port is free a moment after it was closed: another thread closes it."""
    server = plain(context, zmq.ROUTER)

    def bind() -> bool:
        try:
            server.bind(f"tcp://{LOCAL}:{port}")
        except zmq.ZMQError:
            return False
        return True

    eventually(bind)
    return server, port


def fill(send: Callable[[], object]) -> int:
    """How many messages a neighbour that reads nothing takes until it takes no more, and `send` says so."""
    for sent in range(100_000):
        if send():
            return sent
    raise AssertionError("it takes everything")


def blocks(send: Callable[[], object]) -> bool:
    try:
        send()
    except zmq.Again:
        return True
    return False


# -- high water ----------------------------------------------------------------------------------------------------


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
    assert fill(lambda: rig.send("T", b"x") is SendResult.FULL) <= PIPE
    assert read(deaf) == [b"rig_1", b""]


# -- the monitor ---------------------------------------------------------------------------------------------------


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


@pytest.mark.skipif(zmq.DRAFT_API, reason="a pyzmq that was built with the draft API has them")
@pytest.mark.parametrize(("option", "value"), [("ROUTER_NOTIFY", 3), ("HELLO_MSG", b"hello")])
def test_what_would_tell_more_simply_is_not_in_the_wheels(context: Context, option: str, value: int | bytes) -> None:
    with pytest.raises(zmq.ZMQError):
        plain(context, zmq.ROUTER).setsockopt(getattr(zmq, option), value)


# -- last words ----------------------------------------------------------------------------------------------------


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


# -- heartbeats ----------------------------------------------------------------------------------------------------


def test_nobody_beats(context: Context) -> None:
    """At its mark zmq reads no heartbeats: it would give up a peer that lives, or abort over one that died."""
    for one in (dealer(context, b"rig_1"), router(context)):
        assert [one.getsockopt(zmq.HEARTBEAT_IVL), one.getsockopt(zmq.LINGER)] == [0, 500]


def timers(port: int) -> set[int]:
    """The kinds of timer of the system for connections at `port`: 0 is none, 2 asks whether the other is there."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[5][:2], 16) for line in lines if int(line[1][-4:], 16) == port and line[3] == "01"}


@linux
def test_of_whoever_names_no_silence_the_system_asks_whether_it_is_there(context: Context, bare: Bares) -> None:
    server, port = bound(plain(context, zmq.ROUTER))
    ours = Ends(context, "T").bind()
    for one in (port, ours.port):
        bare(b"rig_1", one).send(b"hello")
    assert read(server) == [b"rig_1", b"hello"]
    ours.until(lambda: ours.came)
    eventually(lambda: (timers(port), timers(ours.port)) == ({0}, {2}))
    unacknowledged = [router(context).getsockopt(zmq.TCP_MAXRT), dealer(context, b"rig_1").getsockopt(zmq.TCP_MAXRT)]
    assert unacknowledged == [UNACKED_MS, 0], "who has an upstream probes it, and waits for one that is slow"


@pytest.mark.parametrize("beats", [True, False])
def test_a_router_that_beats_is_aborted_by_zmq_when_one_of_two_under_an_id_goes(beats: bool) -> None:
    code = f"from tests.autopilot_net.test_sockets import two_under_one_id\ntwo_under_one_id(beats={beats})"
    said, complaints = said_by(code)
    assert ("Assertion failed" in complaints, said) == ((True, "") if beats else (False, "still here\n"))


def two_under_one_id(*, beats: bool) -> None:
    """A router of ours from which one is handed its id while another goes on under it. For another Python."""
    with zmq.Context() as context, router(context) as ours:
        if beats:
            ours.setsockopt(zmq.HEARTBEAT_IVL, 300)
        _, port = bound(ours)
        one = bare_dealer(b"rig_1", port)
        one.send(b"one")
        assert read(ours) == [b"rig_1", b"one"]
        other = bare_dealer(b"rig_1", port)
        other.send(b"other")
        assert read(ours) == [b"rig_1", b"other"]
        one.send(b"which nobody reads")
        assert not ours.poll(100)
        one.break_off()
        assert not ours.poll(1_000)  # in which it would beat
        other.send(b"on and on")
        assert read(ours) == [b"rig_1", b"on and on"]
        other.die()
    print("still here")


# -- LINGER, RECONNECT_IVL -----------------------------------------------------------------------------------------


def test_what_was_sent_last_is_lost_with_a_plain_socket_that_does_not_linger(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER, **DEAF))
    with named(context, b"rig_1", port, SNDBUF=4096) as rig:
        for _ in range(400):  # more than the system would keep for a socket that is closed
            rig.send(BIG)
        read(server)
    came = 1
    while server.poll(200):
        assert server.recv_multipart() == [b"rig_1", BIG]
        came += 1
    assert came < 400


def test_what_was_sent_last_has_a_moment_to_leave_ours(context: Context) -> None:
    server, port = bound(plain(context, zmq.ROUTER, **DEAF))
    rig = Ends(context, "rig_1").connect("T", port)
    rig.until(lambda: rig.news)
    small = b"x" * SMALL
    for _ in range(PIPE // 2):
        assert rig.send("T", small) is SendResult.YES
    rig.sockets.close()
    rig.sockets.close()  # once more is harmless
    assert rig.sockets.readable() == []
    assert read(server) == [b"rig_1", b""]
    for _ in range(PIPE // 2):
        assert read(server) == [b"rig_1", small]


def test_who_was_away_is_looked_for_soon_and_then_at_least_every_second(context: Context, port: int) -> None:
    ours = dealer(context, b"rig_1")
    assert (ours.getsockopt(zmq.RECONNECT_IVL), ours.getsockopt(zmq.RECONNECT_IVL_MAX)) == (50, 1_000)
    early = Ends(context, "rig_1").connect("T", port)
    early.turn()
    assert early.news == []
    server, _ = bound(plain(context, zmq.ROUTER), port)
    early.until(lambda: server.poll(0))
    assert early.news == [("T", True)]


# -- reconnect, bind -----------------------------------------------------------------------------------------------


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


# -- connections below ---------------------------------------------------------------------------------------------


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
