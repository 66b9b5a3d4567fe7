"""Who cannot reach its upstream says why, to whoever has to go and look; and who is there can be asked."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from autopilot_net import AutopilotNetError, Net_Node
from autopilot_net.diagnosis import AGAIN_S, FIRST_S, TELL_S, Watch, host_of, look
from tests.conftest import Context, eventually, held_port, plain
from tests.harness import lab, started_by
from tests.patience import DEADLINE_S

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


# -- why ---------------------------------------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve_is_told() -> None:
    why, _ = look("no-such-machine.invalid", 5560)
    assert "'no-such-machine.invalid' does not resolve" in why


@pytest.mark.parametrize("name", ["x" * 300, "a..b", "\udc80"])
def test_what_cannot_be_a_name_does_not_resolve(name: str) -> None:
    assert "does not resolve" in look(name, 5560)[0]


def test_a_closed_port_is_told_and_what_may_be_behind_it(port: int) -> None:
    why, only_v6 = look(LOCAL, port)
    assert why.startswith("nothing listens at that port")
    assert "listen_ip='*'" in why
    assert not only_v6


def test_a_machine_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(*_: object, **__: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", off)
    assert look(LOCAL, 1)[0].startswith("the machine does not answer")

    def unroutable(*_: object, **__: object) -> socket.socket:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket, "create_connection", unroutable)
    assert look(LOCAL, 1)[0].startswith("the machine cannot be reached (No route to host)")


@contextlib.contextmanager
def service(says: bytes) -> Iterator[int]:
    """Something that listens, says something, and is no station."""
    with socket.create_server((LOCAL, 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one = server.accept()[0]
                    one.sendall(says)
                    one.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)


def test_another_service_at_the_port_is_told() -> None:
    with service(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert "another service listens at that port, which says b'SSH-2.0-Op'" in look(LOCAL, port)[0]
    with service(b"") as port:
        assert "says nothing" in look(LOCAL, port)[0]


def test_a_station_that_is_there_after_all_is_told(context: Context) -> None:
    import zmq

    server = plain(context, zmq.ROUTER)
    server.bind(f"tcp://{LOCAL}:*")
    port = int(server.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
    assert look(LOCAL, port)[0].startswith("a station listens there")


def test_the_host_of_an_address_is_found_behind_the_own_one() -> None:
    assert [host_of(one) for one in ("rig.local", "127.0.0.2:0;127.0.0.1", "[::1]")] == ["rig.local", LOCAL, "::1"]


# -- when --------------------------------------------------------------------------------------------------------------


def test_it_is_looked_soon_told_after_a_while_and_then_ever_more_rarely() -> None:
    watch = Watch()
    looked = [now for now in range(3_000) if watch.is_due(reached=False, now=float(now))]
    assert looked[:3] == [FIRST_S, TELL_S, TELL_S + AGAIN_S[0]]
    waits = [later - earlier for earlier, later in itertools.pairwise(looked[2:])]
    assert waits[:3] == [2 * AGAIN_S[0], 4 * AGAIN_S[0], 8 * AGAIN_S[0]]
    assert max(waits) <= AGAIN_S[1]
    assert watch.is_to_be_told(now=TELL_S)
    assert not watch.is_to_be_told(now=FIRST_S)
    assert not watch.is_due(reached=True, now=3_000.0)
    assert watch.at is None
    assert not watch.is_to_be_told(now=4_000.0)


# -- a node ------------------------------------------------------------------------------------------------------------


def test_a_node_that_reaches_nobody_says_so_and_why(caplog: pytest.LogCaptureFixture) -> None:
    with held_port() as port, Net_Node("n", "T", port) as node:
        assert not node.connected
        eventually(lambda: f"n: T at {LOCAL}:{port} has not been reached for 5 s: nothing listens" in caplog.text)
        assert caplog.text.count("has not been reached") == 1


def test_a_station_of_another_id_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with lab() as it:
        top = it.terminal("X")
        with Net_Node("n", "T", top.port) as node:
            eventually(lambda: "the station there is 'X'; is this its port, and 'T' its id?" in caplog.text)
            assert not node.connected


def test_a_node_is_connected_when_its_station_is_there_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "autopilot_net")
    with lab() as it:
        top = it.terminal()
        assert top.connected
        node = it.node("n", top)
        eventually(lambda: node.connected)
        rig = it.pilot("rig_1", top)
        eventually(lambda: rig.connected)
        eventually(lambda: "n is connected to T" in caplog.text)  # it is said just after
        top.release()
        eventually(lambda: not node.connected)
        assert not top.connected
        eventually(lambda: not rig.connected)
        eventually(lambda: "n has lost T" in caplog.text)


def test_a_name_with_addresses_of_ipv6_alone_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with lab() as it:
        top = it.terminal(listen_ip="::1")
        with Net_Node("n", "T", top.port, upstream_ip="::1") as node:
            assert node.send("T", "HERE", repeat=True, expires_after=DEADLINE_S) is not None
            eventually(lambda: node.connected)
        with Net_Node("n2", "T", top.port, upstream_ip="[::1]") as node:
            eventually(lambda: node.connected)
        real = socket.getaddrinfo

        def resolve(host: str, *rest: object, **options: object) -> object:
            return real("::1" if host == "ip6-localhost" else host, *rest, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with Net_Node("n3", "T", top.port, upstream_ip="ip6-localhost") as node:
            eventually(lambda: node.connected)


def test_a_terminal_that_listens_everywhere_is_reached_by_either_kind_of_address() -> None:
    with lab() as it:
        top = it.terminal(listen_ip="*")
        with Net_Node("n", "T", top.port) as node:
            eventually(lambda: node.connected)


# -- room --------------------------------------------------------------------------------------------------------------


def test_a_send_that_waits_for_room_says_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from autopilot_net import Window, driver

    monkeypatch.setattr(driver, "ROOM_S", 0.2)
    with held_port() as port, Net_Node("n", "T", port, window=Window(messages=2)) as node:
        for _ in range(2):
            node.send("T", "K", repeat=True)
        waiting = threading.Thread(target=_send, args=(node,))
        waiting.start()
        eventually(lambda: "room: 2 messages to T await confirmation" in caplog.text)
        node.release()
        waiting.join(DEADLINE_S)


def _send(node: Net_Node) -> None:
    with contextlib.suppress(Exception):
        node.send("T", "K", repeat=True)


# -- nodes that listen themselves --------------------------------------------------------------------------------------


def test_a_node_that_listens_on_loopback_below_a_station_elsewhere_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with Net_Node("hub", "T", 1, upstream_ip="192.0.2.1", router_port=0):
        assert "node hub listens at" in caplog.text
        assert "on loopback alone, so nodes on other machines cannot reach it; give it listen_ip='*'" in caplog.text
    caplog.clear()
    with Net_Node("hub", "T", 1, upstream_ip="192.0.2.1", router_port=0, listen_ip="*"):
        pass
    with Net_Node("hub", "T", 1, router_port=0):
        pass
    assert "on loopback alone" not in caplog.text


def test_a_node_may_have_no_upstream_where_it_listens_itself(caplog: pytest.LogCaptureFixture) -> None:
    def fail(value: object) -> None:
        raise ZeroDivisionError(value)

    with pytest.raises(AutopilotNetError, match="the upstream of node hub, which has no router_port, cannot be None"):
        Net_Node("hub", None, None)
    with Net_Node("hub", None, None, {"K": fail}, router_port=0) as hub:
        assert hub.connected
        with Net_Node("n", "hub", hub.router_port) as node:
            assert node.send("hub", "K", "over", repeat=True).wait(DEADLINE_S)
        assert [one.levelname for one in caplog.records if "ZeroDivisionError" in one.getMessage()] == ["ERROR"]
        with pytest.raises(AutopilotNetError, match="hub has no upstream: say to whom K is to go"):
            hub.send(key="K")


# -- one that stands still ---------------------------------------------------------------------------------------------


def test_a_station_that_stands_still_is_found_within_ten_seconds_and_its_return_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "autopilot_net")
    with lab() as it:
        top = it.terminal()
        node = it.node("n", top)
        assert node.send("T", "LOOK", repeat=True).wait(DEADLINE_S)
        assert top.pid is not None
        os.kill(top.pid, signal.SIGSTOP)
        try:
            eventually(lambda: "n: T has not answered for" in caplog.text, 10.0)
        finally:
            os.kill(top.pid, signal.SIGCONT)
        eventually(lambda: "n: T answers again" in caplog.text)
        assert "connecting anew" not in caplog.text
