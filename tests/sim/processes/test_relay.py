"""What cut, heal, hold, release and reset do to the connections of a link."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from tests.harness import started_by
from tests.sim.processes.cable import Cable, is_silent, read, send_all_that_goes, was_reset


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.mark.parametrize("said", [b"", b"said before"])
def test_a_cut_is_silent_and_refuses_and_is_a_reset_once_it_is_healed(lasting: Cable, said: bytes) -> None:
    lower, upper = lasting.connect()
    gone, left = lasting.connect()
    lower.sendall(said)
    assert read(upper, len(said)) == said
    lasting.do("cut")
    lower.sendall(b"lost")
    upper.sendall(b"lost too")
    gone.close()
    lasting.fence()
    assert is_silent(lower)
    assert is_silent(upper)
    assert is_silent(left)
    with pytest.raises(ConnectionRefusedError):
        lasting.dial()
    lasting.do("heal")
    assert was_reset(lower)
    assert was_reset(upper)
    assert was_reset(left)
    new, far = lasting.connect()
    new.sendall(b"whole")
    assert read(far, 5) == b"whole"


@pytest.mark.skipif(sys.platform != "linux", reason="a port cannot be held here")
def test_the_port_of_a_cut_link_stays_bound(cable: Cable) -> None:
    cable.do("cut")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", cable.links.ports["rig_1"]))


def test_bytes_under_way_at_a_cut_are_lost(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("hold")
    lower.sendall(b"on its way")
    lasting.fence()
    lasting.do("cut")
    lasting.do("release")
    lasting.fence()
    assert is_silent(upper)
    lasting.do("heal")
    assert was_reset(upper)


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_one_way_is_silent_that_way_and_not_the_other(lasting: Cable, way: str) -> None:
    pairs = [lasting.connect()]
    lasting.do("cut", way=way)
    pairs.append(lasting.connect())
    for lower, upper in pairs:
        mute, heard = (lower, upper) if way == "up" else (upper, lower)
        mute.sendall(b"lost")
        heard.sendall(b"heard")
        assert read(mute, 5) == b"heard"
        lasting.fence()
        assert is_silent(heard)
    mute.close()
    lasting.fence()
    assert is_silent(heard)
    lasting.do("heal")
    assert was_reset(heard)
    assert was_reset(pairs[0][0])
    assert was_reset(pairs[0][1])


def test_a_link_cut_both_ways_and_healed_one_way_is_cut_the_other_way(lasting: Cable) -> None:
    lasting.do("cut", way="up")
    lasting.do("cut", way="down")
    with pytest.raises(ConnectionRefusedError):
        lasting.dial()
    lasting.do("heal", way="down")
    lower, upper = lasting.connect()
    lower.sendall(b"lost")
    upper.sendall(b"heard")
    assert read(lower, 5) == b"heard"
    assert is_silent(upper)
    lasting.do("heal", way="up")
    assert was_reset(lower)
    lower, upper = lasting.connect()
    lower.sendall(b"heard")
    assert read(upper, 5) == b"heard"


@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_held_bytes_pass_in_order_after_the_release_and_no_connection_ends(lasting: Cable, way: str) -> None:
    lower, upper = lasting.connect()
    lasting.do("hold", way=way)
    lower.sendall(b"going ")
    upper.sendall(b"coming ")
    lasting.fence()
    assert is_silent(upper) == (way != "down")
    assert is_silent(lower) == (way != "up")
    lasting.do("release")
    lower.sendall(b"up")
    upper.sendall(b"down")
    assert read(upper, 8) == b"going up"
    assert read(lower, 11) == b"coming down"


def test_during_a_hold_new_connections_wait_and_closing_comes_after_the_bytes(lasting: Cable) -> None:
    lasting.do("hold")
    lower, upper = lasting.connect()
    lower.sendall(b"last words")
    lower.close()
    lasting.fence()
    assert is_silent(upper)
    lasting.do("release")
    assert read(upper, 20) == b"last words"


def test_a_held_link_holds_a_bounded_number_of_bytes_and_all_arrive(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lower.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    lasting.do("hold", way="up")
    sent = 0
    while more := send_all_that_goes(lower):
        sent += more
        lasting.fence()
    assert 1 << 20 < sent < 2 << 20
    lasting.do("release", way="up")
    assert len(read(upper, sent)) == sent
    # Nor does the system take many megabytes where nobody reads: who sends is to feel that the other is slow.
    lower, upper = lasting.connect()
    lower.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    upper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    sent = 0
    while more := send_all_that_goes(lower):
        sent += more
        lasting.fence()
    assert 1 << 20 < sent < 4 << 20


def test_a_mute_connection_carries_nothing_any_more_and_a_new_one_does(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("hold")
    lower.sendall(b"under way")
    lasting.fence()
    lasting.do("mute")
    lasting.do("release")
    lower.sendall(b"more")
    upper.sendall(b"back")
    lasting.fence()
    assert is_silent(upper)
    assert is_silent(lower)
    new, above = lasting.connect()
    new.sendall(b"new")
    assert read(above, 3) == b"new"
    lower.close()
    lasting.fence()
    assert is_silent(upper), "it outlives the other end"
    assert upper.recv(1) == b"", "until the system notices"


def test_a_reset_ends_what_is_there_at_both_ends_and_nothing_else(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("reset")
    assert was_reset(lower)
    assert was_reset(upper)
    lower, upper = lasting.connect()
    upper.sendall(b"new")
    assert read(lower, 3) == b"new"
