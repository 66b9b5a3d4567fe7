"""The process of the relays: its orders, its journal, and its end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sim.faults.actions import Action
from sim.processes.relay_process import LinkRelays, RelayedLink, RelayError
from tests.conftest import eventually
from tests.harness import ended, python, started_by
from tests.sim.processes.cable import Cable, break_off, context, read, send_all_that_goes

LOOK_S = 0.5


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        (Action(at_us=0, verb="cut", target="rig_9"), "link of rig_9 has no relay"),
        (Action(at_us=0, verb="drop", target="rig_1"), "drop cannot be done to connections"),
        (Action(at_us=0, verb="kill", target="rig_1"), "kill cannot be done to connections"),
    ],
)
def test_an_impossible_order_is_an_error_and_ends_no_connection(lasting: Cable, action: Action, complaint: str) -> None:
    with pytest.raises(RelayError, match=complaint):
        lasting.links.do(action)
    lasting.fence()


def test_each_verb_is_journalled_with_the_time_and_the_bytes_so_far(cable: Cable) -> None:
    lower, upper = cable.connect()
    lower.sendall(b"12345")
    assert read(upper, 5) == b"12345"
    begun = time.monotonic_ns()
    cable.do("shape", latency_ms=1, fault=3)
    cable.do("cut", way="up")
    cable.do("heal")
    entries = cable.journal()
    assert [entry.key for entry in entries] == ["connected", "shape", "cut", "heal", "reset"]
    like = {"latency_ms": 1.0, "jitter_ms": 0.0, "rate_mbit": None}
    assert entries[1].value == {"fault": 3, "way": "both", "connections": 1, "up": 5, "down": 0, **like}
    assert begun < entries[1].t < entries[2].t < time.monotonic_ns()
    cable.links.stop()
    assert cable.words()[-1] == "end"
    assert cable.journal()[-1].value == {"up": 5, "down": 0}


def test_the_process_of_the_relays_belongs_to_the_run_and_ignores_ctrl_c(
    cable: Cable, tmp_path: Path
) -> None:
    pid = cable.links.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    cable.fence()
    assert os.getpgid(pid) == os.getpgid(0)
    assert (tmp_path / "logs" / "links.log").read_text() == ""
    cable.links.stop()
    cable.links.stop()
    assert ended(pid)
    assert cable.links.pid is None


def test_relays_that_cannot_listen_are_an_error_and_leave_no_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        links = LinkRelays(context(tmp_path), [RelayedLink(name="rig_1", port=1, listen=taken.getsockname()[1])])
        with pytest.raises(RelayError, match=r"has ended; see logs/links\.log"):
            links.start()
        links.stop()
    assert links.pid is None
    assert "Address already in use" in (tmp_path / "logs" / "links.log").read_text()


def test_an_order_after_the_end_of_the_relays_is_an_error(cable: Cable) -> None:
    pid = cable.links.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: cable.links.pid is None)
    with pytest.raises(RelayError, match="has ended"):
        cable.do("cut")


def orphaned(folder: str) -> None:
    """Say of what process the links are, and wait to be killed. For another Python."""
    with started_by("forkserver"):
        links = LinkRelays(context(Path(folder)), [RelayedLink(name="rig_1", port=1)])
        links.start()
        print(links.pid, flush=True)
        signal.pause()


def test_the_relays_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    with python(f"from tests.sim.processes.test_relay_process import orphaned; orphaned({str(tmp_path)!r})") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert ended(pid)


def test_idle_relays_use_no_cpu(cable: Cable) -> None:
    """With bytes that are held, others that nobody takes, ends that are cut off, and one that is half closed."""
    lower, _ = cable.connect()
    while send_all_that_goes(lower):
        cable.fence()
    channel, _ = cable.connect()
    channel.shutdown(socket.SHUT_WR)
    cable.do("hold", way="down")
    cable.do("cut", way="up")
    for lower, upper in (cable.connect(), cable.connect()):
        upper.sendall(b"held")
        lower.sendall(b"cut")
        break_off(upper)
        lower.close()
    cable.fence()
    process = psutil.Process(cable.links.pid)
    before = process.cpu_times()
    threading.Event().wait(LOOK_S)
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system <= 0.02
