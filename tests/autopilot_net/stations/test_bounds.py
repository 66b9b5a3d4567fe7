"""Who is slow costs nobody else: memory stays bounded, what is dropped is counted, and the data keep their pace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from autopilot_net import Message, Net_Node
from tests.conftest import eventually
from tests.harness import Lab, lab, python, started_by
from tests.patience import DEADLINE_S

MIB = 1 << 20
BACKLOG = 64 * MIB  # what a station keeps for a neighbour that takes nothing


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def other(id: str, port: int) -> None:
    """Be the node `id` on the station T, in a process of its own, whose handlers wait until they are told to go on.

    Told anything, it says how often they returned, and what was dropped.
    """
    gate = threading.Event()
    handled = 0

    def take(value: object) -> None:
        nonlocal handled
        gate.wait()
        handled += 1

    with Net_Node(id, "T", port, dict.fromkeys(("DATA", "CONTINUOUS", "FRAME"), take)) as node:
        assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
        print("here", flush=True)
        for line in sys.stdin:
            if line == "go on\n":
                gate.set()
            print(handled, node.counters.get("dropped", 0), flush=True)


class Other:
    """The node `id` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self.process, self._stdin, self._stdout = process, process.stdin, process.stdout
        assert self._stdout.readline() == "here\n"

    def told(self, word: str) -> tuple[int, int]:
        """How much it has handled and dropped, told `word`."""
        print(word, file=self._stdin, flush=True)
        handled, dropped = self._stdout.readline().split()
        return int(handled), int(dropped)

    def stop(self) -> None:
        """Let it stand still as a whole."""
        self.process.send_signal(signal.SIGSTOP)


@contextmanager
def neighbour(id: str, it: Lab) -> Iterator[Other]:
    """The node `id` on T, in a process of its own."""
    with python(f"from {__name__} import other; other({id!r}, {it.stations['T'].port})") as process:
        try:
            yield Other(process)
        finally:
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
        with neighbour("deaf", it) as deaf:
            deaf.stop()
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
        sent = times + len(["the first", "HERE", "LOOK"])
        assert top.msgs_received.value == sent - counters["dropped"], (counters, source.counters)


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_slow_consumer_holds_its_producer_up_and_no_station_on_the_way_grows() -> None:
    count, queue, frame = 2_000, 20, "x" * 50_000
    with lab() as it:
        top = it.terminal(listens={"HERE": nothing})
        rig = it.pilot("rig_1", top)
        node = it.node("_rig_1", rig)
        with neighbour("sink", it) as sink:
            assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
            before = {station.id: rss(station.pid) for station in (top, rig)}
            stream = node.get_stream("camera", "FRAME", min_size=1, to="sink", q_size=queue)
            producer = threading.Thread(target=lambda: stream.extend([frame] * count))
            producer.start()
            eventually(lambda: len(stream) == queue)
            assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S), "nobody else is held up"
            assert len(stream) == queue
            assert {station.id for station in (top, rig) if rss(station.pid) - before[station.id] > 32 * MIB} == set()
            sink.told("go on")
            producer.join(DEADLINE_S)
            stream.append("END")
            assert stream.wait(DEADLINE_S)
            assert sink.told("how many?") == (count, 0)
            assert stream.dropped == 0


@pytest.mark.parametrize("how", ["its handler waits", "it stands still"])
def test_a_slow_plot_never_slows_the_data(how: str) -> None:
    trial = {"pilot": "rig_1", "frame": "x" * 40_000}
    with lab() as it:
        top = it.terminal(listens={"HERE": nothing}, data_fps=1e9)
        node = it.node("_rig_1", it.pilot("rig_1", top))
        it.node("_T", top, "DATA", "CONTINUOUS")

        def took(times: int) -> float:
            """How long trials and items take to their program, at full speed."""
            began = time.monotonic()
            stream = node.get_stream("wheel", "CONTINUOUS", to="T")
            sent = []
            for number in range(times):
                stream.append({**trial, "n": number})
                sent.append(node.send("T", "DATA", trial, repeat=True))
            stream.append("END")
            assert stream.wait(2 * DEADLINE_S)
            assert all(delivery.wait(DEADLINE_S) for delivery in sent)
            return time.monotonic() - began

        took(100)
        alone = took(1_000)
        with neighbour("P_rig_1", it) as plot:
            if how == "it stands still":
                plot.stop()
            before = rss(top.pid)
            beside = took(1_000)
            grown = rss(top.pid) - before
        assert beside < 3 * alone + 1
        assert grown < 2 * BACKLOG
        assert len(it.heard["_T"].of("DATA")) == len(it.heard["_T"].of("CONTINUOUS")) == 2_100
