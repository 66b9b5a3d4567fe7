"""A station in a process of its own: how it begins and ends, and what its parent can ask of it."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import zmq

from autopilot_net import AutopilotNetError, Pilot_Station, Station, Terminal_Station
from tests.harness import METHODS, Lab, NeverStation, confirmed, lab, said_by, started_by
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.usefixtures("by_forkserver")

# -- beginning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_lab_works_however_its_processes_are_started(method: str) -> None:
    code = f"from tests.harness import small_lab\nif __name__ == '__main__': small_lab({method!r})"
    said, complaints = said_by(code)
    assert said == f"Pilot_Station True 0 by {method}\n"
    assert not re.search("Traceback|Exception|Warning", complaints)  # that a neighbour left may be told at the end


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_listen_that_cannot_be_handed_to_the_process_is_an_error_that_says_what_to_do(method: str) -> None:
    with started_by(method):
        station = Station("s", listen_port=0, listens={"X": lambda _: None})
        with pytest.raises(AutopilotNetError, match=r"station s cannot be handed .* functions of a module"):
            station.start()
        assert station.pid is None
        station.release()


def test_a_port_that_is_taken_is_an_error_and_leaves_no_process(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        station = Station("s", listen_port=taken.getsockname()[1])
        with pytest.raises(AutopilotNetError, match="station s ended before it listened"):
            station.start()
    assert not station.is_alive()
    assert station.exitcode == 1
    station.release()


def test_a_station_that_takes_too_long_to_begin_is_an_error_and_leaves_no_process() -> None:
    station = NeverStation("s", listen_port=0)
    with pytest.raises(AutopilotNetError, match="did not listen within 0 s"):
        station.start(timeout=0)
    assert not station.is_alive()
    assert station.exitcode == -signal.SIGKILL


def test_a_station_whose_pusher_leads_nowhere_is_refused_when_it_is_made() -> None:
    with pytest.raises(AutopilotNetError, match="needs push_ip, push_port and push_id"):
        Station("s", pusher=True)


def test_the_system_chooses_a_port_that_the_parent_can_read() -> None:
    station = Station("s", listen_port=0)
    assert station.port == 0
    station.start()
    try:
        with socket.create_connection(("127.0.0.1", station.port), timeout=DEADLINE_S):
            pass
    finally:
        station.release()


# -- in the process that made it ---------------------------------------------------------------------------------------


def test_the_parent_reads_how_many_messages_a_station_has_handled(small: Lab) -> None:
    rig = small.stations["rig_1"]
    before = rig.msgs_received.value
    for _ in range(5):
        assert small.nodes["_rig_1"].send("rig_1", "STATE", "IDLE", repeat=True).wait(DEADLINE_S)
    assert rig.msgs_received.value == before + 5


@pytest.mark.parametrize(
    "use",
    [
        lambda station: station.send("T", "STATE", "IDLE"),
        lambda station: station.push(key="STATE", value="IDLE"),
        lambda station: station.prepare_message("T", "STATE", "IDLE"),
        lambda station: station.repeat(),
        lambda station: station.routes,
        lambda station: station.senders,
        lambda station: station.push_outbox,
        lambda station: station.send_outbox,
        lambda station: station.role,
    ],
)
def test_what_lives_in_the_stations_process_says_so_when_it_is_used_elsewhere(use: Any) -> None:
    with pytest.raises(AutopilotNetError, match=r"from its own process alone.*Net_Node"):
        use(Pilot_Station("rig_1"))


def test_a_station_with_nobody_above_it_cannot_push() -> None:
    with pytest.raises(AutopilotNetError, match="nobody above it"):
        Terminal_Station(listen_port=0).push(key="STATE")


@pytest.mark.parametrize(("name", "instead"), [("loop", "tornado"), ("file_block", "pulled in parts")])
def test_a_name_that_is_gone_says_what_there_is_instead(name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=f"Station has no '{name}': .*{instead}"):
        getattr(Terminal_Station(listen_port=0), name)
    with pytest.raises(AttributeError, match="'Station' object has no attribute 'lop'"):
        Station("s").lop  # noqa: B018  # a name of nobody's


# -- ending ------------------------------------------------------------------------------------------------------------


def test_a_released_station_is_over_and_its_port_is_free() -> None:
    station = Station("s", listen_port=0)
    station.start()
    station.release()
    assert station.exitcode == 0
    with socket.create_server(("127.0.0.1", station.port)):
        pass
    station.release()


def test_a_station_that_was_killed_can_be_released() -> None:
    with lab() as it:
        station = it.terminal()
        it.node("n", station)
        it.look("T")  # it waits for its end by now
        station.kill()
        station.join()
    assert station.exitcode == -signal.SIGKILL


def test_a_station_released_by_its_own_handler_still_confirms_what_that_handled(small: Lab, tmp_path: Path) -> None:
    delivery = small.nodes["_rig_1"].send("rig_1", "QUIT", repeat=True)
    small.stations["rig_1"].join(DEADLINE_S)
    assert small.stations["rig_1"].exitcode == 0
    assert delivery.id in confirmed(tmp_path / "rig_1.jsonl")


def test_closing_from_the_network_is_ignored(small: Lab) -> None:
    pid = small.look("rig_1")["pid"]
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.IDENTITY, b"stranger")
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(f"tcp://127.0.0.1:{small.stations['rig_1'].port}")
        for frames in ([b"CLOSING"], [b"rig_1", b"CLOSING"], [b"rig_1", b"rig_1", b"CLOSING"], [b""]):
            stranger.send_multipart(frames)
        assert stranger.poll(int(DEADLINE_S * 1000))
        assert stranger.recv_multipart() == [b""]  # the probe came back, so what was sent before it has been read
    assert small.look("rig_1")["pid"] == pid
