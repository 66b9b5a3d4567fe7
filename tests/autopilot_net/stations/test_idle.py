"""Who has nothing to do costs next to nothing, with streams open, probes sent and pings due: a rig idles most days."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from autopilot_net import Net_Node
from tests.harness import lab, python, shake_hands, started_by
from tests.patience import DEADLINE_S

SPAN_S = 5.0  # long enough for five probes, a ping, and to tell a hundredth of a core from none


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def idle_program(port: int) -> None:
    """Be rig_1's program: a node with streams that are open and have nothing to say. For another Python."""
    with Net_Node("_rig_1", "rig_1", port) as node:
        shake_hands(node, "T")
        streams = [node.get_stream("lick", "CONTINUOUS", to="T"), node.get_stream("top", "FRAME", reliable=False)]
        streams[0].append({"pilot": "rig_1"})
        assert streams[0].wait(DEADLINE_S)
        print("idle", flush=True)
        sys.stdin.read()


def cpu_s(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def test_an_idle_station_and_an_idle_node_with_open_streams_use_under_a_hundredth_of_a_core() -> None:
    with lab() as it:
        top = it.terminal()
        rig = it.pilot("rig_1", top, ping_interval=SPAN_S / 2)
        it.node("_T", top, "HANDSHAKE", "STATE", "CONTINUOUS")
        with python(f"from {__name__} import idle_program; idle_program({rig.port})") as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "idle\n"
            who = {"T": top.pid, "rig_1": rig.pid, "_rig_1": program.pid}
            before = {name: cpu_s(pid) for name, pid in who.items()}
            threading.Event().wait(SPAN_S)
            used = {name: cpu_s(pid) - before[name] for name, pid in who.items()}
            it.heard["_T"].until("STATE")
        assert all(seconds < SPAN_S / 100 for seconds in used.values()), used
