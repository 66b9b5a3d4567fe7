"""Bytes and ends of connections pass a relay in order, at the pace of its link, whatever is done to it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.lab.fault import Link
from sim.processes.relay_process import RelayedLink
from tests.conftest import eventually, held_port
from tests.harness import started_by
from tests.patience import DEADLINE_S
from tests.sim.processes.cable import Cable, break_off, cabled, counted, is_silent, linked, read, was_reset


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def test_bytes_pass_both_ways_and_so_does_each_closing(cable: Cable) -> None:
    lower, upper = cable.connect()
    lower.sendall(b"up")
    lower.shutdown(socket.SHUT_WR)
    assert read(upper, 10) == b"up"  # and the end
    upper.sendall(b"and down")
    upper.close()
    assert read(lower, 10) == b"and down"
    eventually(lambda: cable.words() == ["connected", "closed"])
    assert cable.journal()[-1].value == {"connection": 1, "up": 2, "down": 8}


@pytest.mark.parametrize("who", [0, 1], ids=["lower", "upper"])
def test_a_reset_at_one_end_is_a_reset_at_the_other(lasting: Cable, who: int) -> None:
    ends = lasting.connect()
    ends[who].sendall(b"last")
    assert read(ends[1 - who], 4) == b"last"
    break_off(ends[who])
    assert was_reset(ends[1 - who])


def test_an_end_that_half_closed_and_then_died_is_a_reset_to_the_other_end(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lower.shutdown(socket.SHUT_WR)
    assert read(upper, 1) == b""
    break_off(lower)
    lasting.fence()
    upper.sendall(b"to nobody")
    eventually(lambda: lasting.words()[-1] == "broken")


def test_connections_are_reset_while_the_upper_station_does_not_listen_and_journalled_once(tmp_path: Path) -> None:
    with held_port() as port, linked(tmp_path, RelayedLink(name="rig_1", port=port)) as links:
        with contextlib.closing(Cable(links, tmp_path, {})) as cable:
            for _ in range(4):
                with pytest.raises(ConnectionResetError):  # which may come before `dial` has returned
                    cable.dial().recv(1)
        above = socket.create_server(("127.0.0.1", port))
        with contextlib.closing(Cable(links, tmp_path, {"rig_1": above})) as cable:
            lower, upper = cable.connect()
            lower.sendall(b"x")
            assert read(upper, 1) == b"x"
            told = [(entry.key, entry.value.get("refused")) for entry in cable.journal()]
            assert told == [("refused", None), ("connected", 4)]


def test_a_relay_listens_at_a_port_that_another_socket_has_bound(tmp_path: Path) -> None:
    with held_port() as port, cabled(tmp_path) as other:
        relayed_link = RelayedLink(name="rig_1", port=other.links.ports["rig_1"], listen=port)
        with linked(tmp_path, relayed_link) as links:
            assert links.ports == {"rig_1": port}
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S):
                pass


def test_a_relay_adds_less_than_a_millisecond_and_passes_tens_of_megabytes_a_second(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    times = []
    for _ in range(200):
        begun = time.monotonic()
        for end, far in ((lower, upper), (upper, lower)):
            for piece in (b"ba", b"ll"):  # the second is not kept back until the first is acknowledged
                end.sendall(piece)
            assert read(far, 4) == b"ball"
        times.append(time.monotonic() - begun)
    assert sorted(times)[len(times) // 4] < 0.002  # there and back, whoever else is at work on this machine
    data = os.urandom(1 << 20) * 50
    sender = threading.Thread(target=lower.sendall, args=(data,))
    begun = time.monotonic()
    sender.start()
    got = read(upper, len(data))
    assert time.monotonic() - begun < 5
    sender.join()
    assert got == data


def trip_s(near: socket.socket, far: socket.socket, size: int = 4) -> float:
    """How long `size` bytes take."""
    begun = time.monotonic()
    near.sendall(bytes(size))
    assert len(read(far, size)) == size
    return time.monotonic() - begun


def test_latency_is_that_of_the_link_then_of_the_fault_then_of_the_link(tmp_path: Path) -> None:
    with cabled(tmp_path, link=Link(latency_ms=30)) as cable:
        lower, upper = cable.connect()
        assert 0.03 <= trip_s(lower, upper) < 0.2
        cable.do("shape", latency_ms=200, jitter_ms=50, way="up")
        assert 0.15 <= trip_s(lower, upper) < 0.6
        assert 0.03 <= trip_s(upper, lower) < 0.15
        cable.do("heal")
        assert 0.03 <= trip_s(lower, upper) < 0.15
        lower.sendall(b"and that of the end")
        lower.close()
        begun = time.monotonic()
        assert len(read(upper, 30)) == 19
        assert time.monotonic() - begun > 0.02


def test_a_rate_is_kept_one_way_and_for_all_connections_of_the_link_together(lasting: Cable) -> None:
    pairs = [lasting.connect(), lasting.connect()]
    lasting.do("shape", rate_mbit=8, way="down")  # a megabyte a second
    begun = time.monotonic()
    for _, upper in pairs:
        upper.sendall(bytes(150_000))
    for lower, _ in pairs:
        assert len(read(lower, 150_000)) == 150_000
    assert 0.29 < time.monotonic() - begun < 1.0
    assert trip_s(pairs[0][0], pairs[0][1], 150_000) < 0.1
    lasting.do("heal")
    assert trip_s(pairs[0][1], pairs[0][0], 150_000) < 0.1


def test_bytes_that_wait_for_a_slow_link_pass_at_once_when_it_is_fast(lasting: Cable) -> None:
    lower, upper = lasting.connect()
    lasting.do("shape", rate_mbit=0.1, latency_ms=60_000)
    lower.sendall(counted(0, 500_000))
    lasting.fence()
    assert is_silent(upper)
    lasting.do("heal")
    assert read(upper, 500_000) == counted(0, 500_000)


WAYS = st.sampled_from(["up", "down", "both"])
DONE = st.one_of(
    st.builds(lambda verb, way: (verb, {"way": way}), st.sampled_from(["hold", "release"]), WAYS),
    st.builds(
        lambda way, **like: ("shape", {"way": way, **like}),
        WAYS,
        latency_ms=st.sampled_from([0.0, 2.0, 10.0]),
        jitter_ms=st.sampled_from([0.0, 9.0]),
        rate_mbit=st.sampled_from([None, 30.0, 400.0]),
    ),
    st.builds(lambda who, size: ("send", {"who": who, "size": size}), st.integers(0, 1), st.integers(1, 40_000)),
    st.just(("wait", {})),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])  # the relays take their time
@given(st.lists(DONE, max_size=12))
def test_no_byte_is_lost_changed_or_overtaken_whatever_is_done_but_cut_and_reset(
    lasting: Cable, steps: list[tuple[Any, dict[str, Any]]]
) -> None:
    ends = lasting.connect()
    sent = [0, 0]
    for verb, facts in [*steps, ("release", {}), ("heal", {})]:
        if verb == "send":
            who, size = facts["who"], facts["size"]
            ends[who].sendall(counted(sent[who], size))
            sent[who] += size
        elif verb == "wait":
            lasting.fence()
        else:
            lasting.do(verb, **facts)
    for end in ends:
        end.shutdown(socket.SHUT_WR)
    for end, came in zip(ends, reversed(sent), strict=True):
        assert read(end, 1 << 20) == counted(0, came)
        end.close()
