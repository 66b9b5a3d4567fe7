"""Each zmq setting, and what zmq does without it, shown on a plain socket and then on ours. All on loopback."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
import zmq

from autopilot_net.socket_options import PIPE, SMALL, UNACKED_MS, dealer, router
from autopilot_net.sockets import SendResult, Sockets
from tests.autopilot_net.zmq_ends import (
    BIG,
    DEAF,
    LOCAL,
    Bares,
    Ends,
    bare_dealer,
    blocks,
    bound,
    eventually_bound,
    fill,
    linux,
    named,
    read,
    to,
)
from tests.conftest import Context, eventually, plain
from tests.harness import said_by

# -- ROUTER_MANDATORY --------------------------------------------------------------------------------------------------


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


# -- ROUTER_HANDOVER ---------------------------------------------------------------------------------------------------


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


# -- PROBE_ROUTER ------------------------------------------------------------------------------------------------------


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


# -- IMMEDIATE ---------------------------------------------------------------------------------------------------------


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


# -- heartbeats --------------------------------------------------------------------------------------------------------


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
    code = f"from tests.autopilot_net.test_socket_options import two_under_one_id\ntwo_under_one_id(beats={beats})"
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


# -- LINGER, RECONNECT_IVL ---------------------------------------------------------------------------------------------


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
