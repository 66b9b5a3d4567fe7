"""Whatever a stranger sends to a port, the station goes on serving its lab; and what it says of it can be read."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autopilot_net import AutopilotNetError, Message, Net_Node
from autopilot_net.inbound import FRAMES
from autopilot_net.station import BROKEN
from tests.conftest import Context, plain
from tests.harness import Lab, lab, message, started_by
from tests.patience import DEADLINE_S

LOCAL = "127.0.0.1"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
SAID = {
    "zmq 1": bytes.fromhex("020061020062"),
    "zmq 1, twice": bytes.fromhex("020061020062") * 2,
    "zmq 1, without an id": bytes.fromhex("0100020062"),
    "zmq 2": bytes.fromhex("ff00000000000000017f0105000161"),
    "a browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "tls": bytes.fromhex("16030100a5010000a10303") + bytes(100),
    "half a greeting": GREETING[:20],
    "a greeting and nonsense": GREETING + b"\x04\xff" + bytes(40),
    "a frame without end": GREETING + b"\x02" + b"\xff" * 8,
}


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    """A terminal with its program, and a rig."""
    with lab() as made:
        top = made.terminal()
        made.node("_T", top, "DATA")
        made.node("rig", top)
        yield made


def serves(it: Lab) -> bool:
    """Whether a trial still comes to the terminal's program."""
    return it.nodes["rig"].send("T", "DATA", {"pilot": "rig"}, repeat=True).wait(DEADLINE_S)


def say(port: int, said: bytes) -> None:
    """Say it by plain TCP, and go."""
    with socket.create_connection((LOCAL, port)) as stranger:
        stranger.sendall(said)
        stranger.settimeout(0.2)
        try:
            while stranger.recv(1_000):
                pass
        except OSError:
            pass


@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
def test_whatever_comes_by_plain_tcp_the_station_serves_its_lab(it: Lab, said: bytes) -> None:
    say(it.stations["T"].port, said)
    assert serves(it)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.binary(max_size=200), after_greeting=st.booleans())
def test_any_bytes_leave_it_serving(it: Lab, said: bytes, after_greeting: bool) -> None:
    with socket.create_connection((LOCAL, it.stations["T"].port)) as stranger:
        stranger.sendall((GREETING if after_greeting else b"") + said)
    assert serves(it)


@pytest.mark.parametrize("identity", [b"", b"T", b"\xff\xfe", b"\x1f", b"rig\x1fx", b"x" * 255])
def test_whoever_connects_under_whatever_name_the_station_serves_its_lab(
    it: Lab, context: Context, identity: bytes
) -> None:
    options = {"IDENTITY": identity} if identity else {}
    stranger = plain(context, zmq.DEALER, **options)
    stranger.connect(f"tcp://{LOCAL}:{it.stations['T'].port}")
    for payload in (b"", b"{}", message("T", "PING", to="T").serialize(), b"\xff"):
        stranger.send_multipart([b"T", b"T", payload])
    stranger.send_multipart([b"x"] * (2 * FRAMES))
    stranger.setsockopt(zmq.LINGER, 1_000)
    stranger.close()
    assert serves(it)


def test_nobody_below_takes_the_id_of_the_station_or_of_its_parent(it: Lab, context: Context) -> None:
    rig = it.pilot("rig_1", it.stations["T"])
    it.node("_rig_1", rig)
    strangers = [plain(context, zmq.DEALER, IDENTITY=name) for name in (b"rig_1", b"T")]
    for stranger in strangers:
        stranger.connect(f"tcp://{LOCAL}:{rig.port}")
        stranger.send_multipart([b"rig_1", b"rig_1", message("T", "KILL", to="rig_1").serialize()])
    it.look_until("rig_1", lambda facts: facts["counters"].get("dropped", 0) >= len(strangers))
    assert set(it.look("rig_1")["senders"]) == {"_rig_1"}
    assert rig.is_alive()


def test_a_ping_in_the_stations_own_name_costs_its_program_nothing(it: Lab, context: Context) -> None:
    """Its own id was learnt as a route, and was then taken for away, for ever."""
    stranger = plain(context, zmq.DEALER, IDENTITY=b"stranger")
    stranger.connect(f"tcp://{LOCAL}:{it.stations['T'].port}")
    for sender in ("T", "_T"):
        ping = message(sender, "PING", to="T", flags={"NOREPEAT": True}, inc="x", via=["T", "_T", "stranger"])
        stranger.send_multipart([b"T", b"T", ping.serialize()])
    it.look_until("T", lambda facts: "stranger" in facts["senders"])
    stranger.setsockopt(zmq.LINGER, 1_000)
    stranger.close()
    it.look_until("T", lambda facts: "stranger" not in facts["senders"])
    assert not {"T", "_T"} & set(it.look("T")["routes"])
    assert serves(it)


# -- a thread that ends ------------------------------------------------------------------------------------------------


def break_io(station: Any) -> None:
    """Let the I/O thread of the station end. In its process."""
    station.core.driver.io._turn = None


def test_a_station_whose_thread_ends_does_not_live_on_in_silence() -> None:
    with lab() as it:
        top = it.terminal()
        node = it.node("n", top)
        node.send("T", "DO", f"{__name__}:break_io", repeat=True)
        top.join(DEADLINE_S)
        assert top.exitcode == BROKEN


def test_a_node_whose_thread_ends_says_so_at_every_call(caplog: pytest.LogCaptureFixture) -> None:
    with lab() as it:
        node = it.node("n", it.terminal())
        assert node.send("T", "NONE", repeat=False) is not None
        node._core.driver.io._turn = None  # type: ignore[assignment, method-assign]
        node._core.driver.queue.wakeup.wake()
        node.loop_thread.join(DEADLINE_S)
        for repeat in (False, True):
            with pytest.raises(AutopilotNetError, match="one of its threads ended with TypeError"):
                node.send("T", "K", repeat=repeat)
        assert not node.connected
        assert "n: its I/O thread ended" in caplog.text


def nothing(message: Message) -> None:
    """A listen."""


# -- the log -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_what_nobody_can_handle_is_a_few_lines(it: Lab, context: Context) -> None:
    done = threading.Event()
    lines: list[str] = []

    class Take(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    taker = Take()
    logging.getLogger("autopilot_net").addHandler(taker)
    try:
        with Net_Node("hub", "T", it.stations["T"].port, {"DONE": lambda _: done.set()}, router_port=0) as hub:
            stranger = plain(context, zmq.DEALER, IDENTITY=b"stranger")
            stranger.connect(f"tcp://{LOCAL}:{hub.router_port}")
            for number in range(300):
                key = f"KEY{number % 3}\x1b[2J" if number % 2 else "K" * 10_000
                stranger.send_multipart([b"hub", b"hub", message("stranger", key, to="hub").serialize()])
                stranger.send_multipart([b"hub", b"nosuch", b"x"])
                stranger.send_multipart([b"hub", b"hub", b"\xff" * 100])
            flags = {"NOREPEAT": True}
            stranger.send_multipart([b"hub", b"hub", message("stranger", "DONE", to="hub", flags=flags).serialize()])
            assert done.wait(DEADLINE_S)
    finally:
        logging.getLogger("autopilot_net").removeHandler(taker)
    assert len(lines) < 40
    assert max(map(len, lines)) < 500
    assert "\x1b" not in "".join(lines)
