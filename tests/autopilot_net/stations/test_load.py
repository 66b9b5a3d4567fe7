"""Load is not death: a station that is flooded, stopped or slow loses nothing confirmed, and counts what it drops.

At full size: `python -m tests.autopilot_net.stations.test_load 50000`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from autopilot_net import Message, Net_Node, Station
from autopilot_net.protocol.effects import Reconnect
from tests.conftest import eventually
from tests.harness import Lab, lab, python, started_by
from tests.patience import DEADLINE_S

MIB = 1 << 20
NODES = 10
PROCESSES = 2
PATIENCE_S = 120.0
never = threading.Event()


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


# -- those that flood, in processes of their own -----------------------------------------------------------------------


def floods(names: list[str], port: int) -> None:
    """Be nodes on T. Told `[count, repeat]`, each sends so many messages as fast as it can, and 50 confirmed ones.

    Told `reconnect`, each makes its connection anew; told anything else, each says what it has counted.
    """
    nodes = [Net_Node(name, "T", port) for name in names]
    for node in nodes:
        assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
    print("here", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, list):
            print(json.dumps(_flood_all(nodes, *order)), flush=True)
        elif order == "reconnect":
            for node in nodes:
                node._core.driver.run(node._core.attachment, lambda _: [Reconnect("T")])
        else:
            print(json.dumps([dict(node.counters) for node in nodes]), flush=True)
    for node in nodes:
        node.release()


def _flood_all(nodes: list[Net_Node], count: int, repeat: bool) -> int:
    confirmed = [0] * len(nodes)
    threads = [
        threading.Thread(target=_flood, args=(node, index, confirmed, count, repeat))
        for index, node in enumerate(nodes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(confirmed)


def _flood(node: Net_Node, index: int, confirmed: list[int], count: int, repeat: bool) -> None:
    for number in range(count):
        node.send("T", "FLOOD", number, repeat=repeat)
    behind = [node.send("T", "BEHIND", number, repeat=True) for number in range(50)]
    confirmed[index] = sum(one.wait(PATIENCE_S) for one in behind)


@dataclass
class Flood:
    """Nodes in processes of their own, and the station that they flood."""

    it: Lab
    top: Station
    processes: list[subprocess.Popen[str]]

    def say(self, order: Any) -> None:
        """Tell all of them."""
        for process in self.processes:
            assert process.stdin is not None
            print(json.dumps(order), file=process.stdin, flush=True)

    def hear(self) -> list[Any]:
        """What each answers."""
        return [json.loads(process.stdout.readline()) for process in self.processes if process.stdout is not None]

    def counters(self) -> list[dict[str, int]]:
        """Of every node."""
        self.say("count")
        return [counters for process in self.hear() for counters in process]

    def dropped(self) -> int:
        """What was counted as dropped, at either end."""
        here = self.it.look("T")["counters"].get("dropped", 0)
        return int(here + sum(counters.get("dropped", 0) for counters in self.counters()))


@contextmanager
def flood(nodes: int = NODES) -> Iterator[Flood]:
    """Nodes that are connected to a station, and wait for an order."""
    with lab() as it, ExitStack() as stack:
        top = it.begin(Floodable("T", listen_port=0))
        it.node("asker", top)
        names = [f"n{number}" for number in range(nodes)]
        processes = []
        for part in range(PROCESSES):
            mine = names[part::PROCESSES]
            code = f"from {__name__} import floods; floods({mine!r}, {top.port})"
            processes.append(stack.enter_context(python(code)))
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
        yield Flood(it, top, processes)


class Floodable(Station):
    """A station that counts what it handles of a flood."""

    def begin_role(self) -> None:
        """Count from nought."""
        self.flooded = 0

    def handle_listen(self, message: Message) -> Any:
        """Count it, or do as a station does."""
        if message.key == "FLOOD":
            self.flooded += 1
            return None
        return None if message.key in ("BEHIND", "HERE") else super().handle_listen(message)


def handled_of_flood(station: Floodable) -> int:
    """How many it has handled. In its process."""
    return station.flooded


def rss(pid: int | None) -> int:
    return int(psutil.Process(pid).memory_info().rss)


class Peak:
    """The most memory that a process has while it is looked at."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.began = self.most = rss(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            self.most = max(self.most, rss(self.pid))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        """By how many bytes it grew."""
        return self.most - self.began


def full_speed(count: int, *, repeat: bool) -> dict[str, Any]:
    """Ten nodes send `count` small messages each; what came of it."""
    with flood() as it, Peak(it.top.pid) as memory:
        began = time.monotonic()
        it.say([count, repeat])
        confirmed = sum(it.hear())
        took = time.monotonic() - began
        settled = eventually(lambda: _all_accounted(it, NODES * count), PATIENCE_S)
        reconnects = sum(counters.get("reconnects", 0) for counters in it.counters())
        return {**settled, "confirmed": confirmed, "reconnects": reconnects, "grown": memory.grown, "took": took}


def _all_accounted(it: Flood, count: int) -> dict[str, int]:
    handled, dropped = int(it.it.inside("T", handled_of_flood)), it.dropped()
    return {"handled": handled, "dropped": dropped} if handled + dropped >= count else {}


@pytest.mark.parametrize("repeat", [False, True], ids=["unconfirmed", "confirmed"])
def test_a_flood_is_handled_or_counted_to_the_message_and_nobody_is_taken_for_dead(repeat: bool) -> None:
    count = 500 if repeat else 3_000
    outcome = full_speed(count, repeat=repeat)
    assert outcome["handled"] + outcome["dropped"] == NODES * count
    assert not (repeat and outcome["dropped"])
    assert outcome["confirmed"] == NODES * 50
    assert outcome["reconnects"] == 0
    assert outcome["grown"] < 64 * MIB


def test_twenty_forced_reconnects_with_unread_input_lose_nothing_uncounted() -> None:
    nodes, count = 4, 6_000
    with flood(nodes) as it:
        it.say([count, False])
        for _ in range(20 // nodes):
            never.wait(0.1)  # not for anything: so that they fall into the flood
            it.say("reconnect")
        assert sum(it.hear()) == nodes * 50
        settled = eventually(lambda: _all_accounted(it, nodes * count))
        assert settled["handled"] + settled["dropped"] == nodes * count


class Leak:
    """A TCP proxy before a port, which may swallow what goes up, and then cut the connection."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.swallows = False
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                lower, upper = self._server.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._ends += [lower, upper]
                threading.Thread(target=self._pump, args=(lower, upper, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(upper, lower, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not (is_up and self.swallows):
                    sink.sendall(data)

    def cut(self) -> None:
        """End every connection, and be a whole way again."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.swallows = False

    def close(self) -> None:
        """End all of it."""
        self._server.close()
        self.cut()


def test_what_a_broken_connection_took_with_it_is_counted_to_the_message() -> None:
    with lab() as it, contextlib.closing(Leak(it.begin(Floodable("T", listen_port=0)).port)) as leak:
        it.node("asker", it.stations["T"])
        with Net_Node("n", "T", leak.port) as node:
            assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
            eventually(lambda: node._core.endpoint.is_upstream_new)
            for swallowed in (0, 7, 50):
                before = node.counters.get("dropped", 0)
                for number in range(20):
                    node.send("T", "FLOOD", number)
                assert node.send("T", "HERE", repeat=True).wait(DEADLINE_S)
                leak.swallows = True
                for number in range(swallowed):
                    node.send("T", "FLOOD", number)
                eventually(lambda: not node._core.driver.queue.effects)
                kept = node.send("T", "HERE", repeat=True)
                leak.cut()
                assert kept.wait(DEADLINE_S)
                eventually(lambda: node.counters.get("dropped", 0) == before + swallowed)  # noqa: B023
        assert it.inside("T", handled_of_flood) == 60


def stopped(seconds: float, *, count: int) -> tuple[dict[str, int], int, int]:
    """A station stands still for so long under full load; what came of it, confirmations and reconnects."""
    with flood() as it:
        it.say([count, True])
        assert it.top.pid is not None
        eventually(lambda: it.top.msgs_received.value > 2 * NODES)
        os.kill(it.top.pid, signal.SIGSTOP)
        try:
            never.wait(seconds)  # not for anything: this is how long it stands still
        finally:
            os.kill(it.top.pid, signal.SIGCONT)
        confirmed = sum(it.hear())
        settled = eventually(lambda: _all_accounted(it, NODES * count), PATIENCE_S)
        return settled, confirmed, max(counters.get("reconnects", 0) for counters in it.counters())


def test_a_station_that_stands_still_for_ten_seconds_loses_nothing_that_was_to_be_confirmed() -> None:
    settled, confirmed, reconnects = stopped(10.0, count=2_000)
    assert settled == {"handled": NODES * 2_000, "dropped": 0}
    assert confirmed == NODES * 50
    assert reconnects <= 1, "of each rig"


def busy(seconds: float, *, count: int) -> tuple[dict[str, int], int, int]:
    """The station's machine has one core, and that is busy with something else; what came of it, as of `stopped`."""
    with flood() as it:
        assert it.top.pid is not None
        core = sorted(psutil.Process().cpu_affinity() or [0])[0]
        burn = f"import time; t = time.monotonic() + {seconds}\nwhile time.monotonic() < t: pass"
        others = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2)]
        try:
            for pid in (it.top.pid, *(other.pid for other in others)):
                psutil.Process(pid).cpu_affinity([core])
            it.say([count, True])
            confirmed = sum(it.hear())
        finally:
            for other in others:
                other.kill()
                other.wait()
        settled = eventually(lambda: _all_accounted(it, NODES * count), PATIENCE_S)
        return settled, confirmed, max(counters.get("reconnects", 0) for counters in it.counters())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process be tied to a core")
def test_a_station_whose_core_is_busy_loses_nothing_that_was_to_be_confirmed() -> None:
    settled, confirmed, reconnects = busy(8.0, count=400)
    assert settled == {"handled": NODES * 400, "dropped": 0}
    assert confirmed == NODES * 50
    assert reconnects <= 1, "of each rig"


def test_what_one_program_sends_never_overtakes_confirmed_or_not() -> None:
    """Also while pipes are full, and what the library says itself goes before what waits."""
    count = 4_000
    with lab() as it:
        top = it.begin(Ordered("T", listen_port=0))
        node = it.node("n", top)
        last = None
        for number in range(count):
            sent = node.send("T", "NUMBER", number, repeat=number % 3 == 0)
            last = sent if sent.sought else last
        assert last is not None
        assert last.wait(PATIENCE_S)
        eventually(lambda: it.inside("T", numbers_of)[0] == count - node.counters.get("dropped", 0))
        assert it.inside("T", numbers_of)[1] == 0, "came after one that was sent after it"


class Ordered(Station):
    """A station that looks at the order of numbers."""

    def begin_role(self) -> None:
        """Nothing has come."""
        self.came, self.overtaken, self.highest = 0, 0, -1

    def handle_listen(self, message: Message) -> Any:
        """Look at it, or do as a station does."""
        if message.key != "NUMBER":
            return super().handle_listen(message)
        self.came += 1
        self.overtaken += message.value < self.highest
        self.highest = max(self.highest, message.value)
        return None


def numbers_of(station: Ordered) -> list[int]:
    """How many came, and how many of them too late. In its process."""
    return [station.came, station.overtaken]


def main(count: int) -> None:
    """Print what a flood of `count` messages a node comes to."""
    with started_by("forkserver"):
        for repeat in (False, True):
            print("confirmed" if repeat else "unconfirmed", full_speed(count, repeat=repeat))
        print("stopped for 10 s", stopped(10.0, count=count // 10))
        print("busy for 60 s", busy(60.0, count=count // 25))


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else 50_000))
