"""Who is slow costs nobody else: memory stays bounded, what is dropped is counted, and the data keep their pace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autopilot_net import Message, Net_Node
from tests.labs import DEADLINE_S, Lab, lab, python, started_by

MIB = 1 << 20
BACKLOG = 64 * MIB  # what a station keeps for a neighbour that takes nothing


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def other(id: str, port: int) -> None:
    """Be the node `id` on the station T, in a process of its own, whose handlers wait until they are let go."""
    gate = threading.Event()
    handled = 0

    def take(value: object) -> None:
        nonlocal handled
        print("begun", flush=True)
        gate.wait()
        handled += 1

    with Net_Node(id, "T", port, dict.fromkeys(("DATA", "CONTINUOUS", "FRAME"), take)) as node:
        assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
        print("here", flush=True)
        for line in sys.stdin:
            if line == "go\n":
                gate.set()
            print(handled, node.counters.get("dropped", 0), flush=True)


@contextmanager
def neighbour(id: str, it: Lab) -> Iterator[subprocess.Popen[str]]:
    """The node `id` in a process of its own."""
    with python(f"from tests.test_bounds import other; other({id!r}, {it.stations['T'].port})") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield process
        process.send_signal(signal.SIGCONT)


def nothing(message: Message) -> None:
    """A listen."""


def rss(pid: int | None) -> int:
    return int(psutil.Process(pid).memory_info().rss)


# -- frames ------------------------------------------------------------------------------------------------------------


def flood(source: Net_Node, to: str, value: object, times: int) -> None:
    """Send that often what seeks no confirmation, by way of T, no faster than it can be read there."""
    for number in range(times):
        source.send(to, "FRAME", value)
        if number % 50 == 0:
            assert source.send("ear", "HERE", repeat=True).wait(DEADLINE_S), "what came before it was read before it"
    assert source.send("ear", "HERE", repeat=True).wait(DEADLINE_S)


@pytest.mark.parametrize(("size", "times"), [(MIB, 400), (40_000, 6_000)])
def test_a_neighbour_that_is_stopped_costs_its_forwarder_a_backlog_and_no_more(size: int, times: int) -> None:
    with lab() as it:
        top = it.terminal(listens={"HERE": nothing})
        source = it.node("source", top)
        it.node("ear", top, "HERE")
        with neighbour("deaf", it) as process:
            process.send_signal(signal.SIGSTOP)
            before = rss(top.pid)
            flood(source, "deaf", "x" * size, times)
            grown = rss(top.pid) - before
            dropped = it.look("T")["counters"]["dropped"]
        assert grown < 2 * BACKLOG
        assert times * size - 2 * BACKLOG < dropped * size < times * size
        assert source.counters.get("dropped", 0) == 0


class Stopped:
    """A listen that holds its handler up until somebody opens the pipe `gate` for writing."""

    def __init__(self, gate: Path) -> None:
        self.gate = gate

    def __call__(self, message: Message) -> None:
        if self.gate.exists():
            self.gate.read_bytes()


@pytest.mark.parametrize(("size", "times"), [(MIB // 2, 600), (10, 60_000)])
def test_a_handler_that_is_stopped_costs_its_station_a_backlog_and_no_more(
    size: int, times: int, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with lab() as it:
        top = it.terminal(listens={"FRAME": Stopped(gate), "HERE": nothing})
        source = it.node("source", top)
        it.node("ear", top, "HERE")
        source.send("T", "FRAME", "the first, which holds the others up")
        holder = os.open(gate, os.O_WRONLY)
        gate.unlink()
        before = rss(top.pid)
        flood(source, "T", "x" * size, times)
        grown, received = rss(top.pid) - before, top.msgs_received.value
        os.close(holder)
        assert source.send("T", "HERE", repeat=True).wait(DEADLINE_S)
        counters = it.look("T")["counters"]
        assert grown < 2 * BACKLOG
        assert 0 < counters["dropped"] < times
        assert received == 1
        assert top.msgs_received.value == times + len(["the first", "HERE", "LOOK"]) - counters["dropped"]
