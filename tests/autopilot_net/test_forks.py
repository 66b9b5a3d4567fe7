"""A fork has a copy of every node, and none of its threads: what is asked of one there is refused at once, or harmless.

Each test is a process of its own that forks: what it says is compared with what it should.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from autopilot_net import AutopilotNetError, Message, Net_Node, Station
from autopilot_net import delivery as deliveries
from tests.harness import python
from tests.patience import DEADLINE_S

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only where there is fork")


def refusal(call: Callable[[], Any]) -> str:
    """What kind of error `call` raises; `nothing` where it raises none."""
    try:
        call()
    except AutopilotNetError as error:
        return "refused" if f"this is process {os.getpid()}, a fork" in str(error) else str(error)
    return "nothing"


def in_fork(does: Callable[[], None]) -> int:
    """Do it in a fork that then ends as any program does; its exit code."""
    warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads is what is tested
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        does()
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hub() -> Net_Node:
    return Net_Node("hub", "nobody", 1, {"X": print}, router_port=0)


def is_refused() -> None:
    """Also where another thread has every lock of it at the fork, which nobody there gives back."""
    node = hub()
    stream = node.get_stream("s", "X")
    sent = node.send("nobody", "X", repeat=True)
    core: Any = node._core
    held = [core.driver.queue.lock, node._ledger_lock, node._counting]
    calls: list[Callable[[], Any]] = [
        lambda: node.send("nobody", "X", 1),
        lambda: node.send("nobody", "DATA", 1, repeat=True),
        lambda: node.send(msg=Message(id="m", to="nobody", sender="hub", key="X")),
        lambda: node.prepare_message("nobody", "X", 1),
        lambda: node.get_stream("t", "X"),
        lambda: node.report(ValueError("no"), ""),
        node.repeat,
        lambda: stream.append(1),
        lambda: stream.extend([1]),
        lambda: stream.put("END"),
        stream.wait,
        sent.wait,
    ]

    def tell() -> None:
        print(sorted({refusal(call) for call in calls}))
        print([refusal(call) for call in (node.release, stream.close, lambda: node.__exit__(None, None, None))])

    for lock in held:
        lock.acquire()
    code = in_fork(tell)
    for lock in held:
        lock.release()
    print(code)
    node.release()


def makes_its_own() -> None:
    """A new node in the fork works; and the one that was copied goes on."""
    node = hub()

    def tell() -> None:
        for id in ("child", "another"):
            with Net_Node(id, "hub", int(node.router_port or 0)) as made:
                print(made.send("hub", "X", id, repeat=True).wait(DEADLINE_S))

    print(in_fork(tell))
    other = Net_Node("other", "hub", int(node.router_port or 0))
    print(other.send("hub", "X", "after", repeat=True).wait(DEADLINE_S))
    other.release()
    node.release()


def has_the_lock_of_all() -> None:
    """The one lock that all deliveries share is free in a fork, whoever had it."""
    node = hub()
    has_it, gives_back = threading.Event(), threading.Event()

    def hold() -> None:
        with deliveries._lock:
            has_it.set()
            gives_back.wait(0.3)  # the fork waits for it

    threading.Thread(target=hold).start()
    has_it.wait(DEADLINE_S)

    def tell() -> None:
        with Net_Node("child", "hub", int(node.router_port or 0)) as made:
            print(made.send("hub", "X", "child", repeat=True).wait(DEADLINE_S))

    print(in_fork(tell))
    node.release()


def keeps_its_stations() -> None:
    """What a fork does at its end is done to its own stations, and `release` there is harmless too."""
    multiprocessing.set_start_method("forkserver")
    station = Station("s", listen_port=0)
    station.start()

    def tell() -> None:
        print(refusal(station.release))

    print(in_fork(tell))
    print(station.is_alive(), station.closing.is_set())
    station.release()
    print(station.exitcode)


def of_a_station() -> None:
    """A listen that forks: the station's core is its process's alone."""
    multiprocessing.set_start_method("fork")
    station = Forking("s", listen_port=0, listens={"FORK": forks})
    station.start()
    ear = Net_Node("ear", "s", station.port, {"SEEN": lambda value: print(*value)})
    print(ear.send("s", "FORK", repeat=True).wait(DEADLINE_S))
    ear.release()
    station.release()


def forks(message: Message) -> Any:
    station: Any = forks.__dict__["station"]
    read, write = os.pipe()

    def tell() -> None:
        said = [refusal(lambda: station.send("ear", "X")), refusal(station.release)]
        os.write(write, " ".join(said).encode())
        os._exit(7)

    code = in_fork(tell)
    return station.send(message.sender, "SEEN", [os.read(read, 1_000).decode(), code, station.closing.is_set()])


class Forking(Station):
    """A station that its listen knows."""

    def begin_role(self) -> None:
        forks.__dict__["station"] = self


def lines(name: str) -> list[str]:
    with python(f"from tests.autopilot_net.test_forks import {name} as does\ndoes()") as process:
        said, complained = process.communicate(timeout=DEADLINE_S)
    assert not process.returncode, complained
    assert "Traceback" not in complained
    return said.splitlines()


def test_what_is_asked_of_a_node_in_a_fork_is_refused_at_once_or_harmless() -> None:
    assert lines("is_refused") == ["['refused']", "['nothing', 'nothing', 'nothing']", "7"]


def test_a_node_that_is_made_in_a_fork_works_and_so_does_the_one_it_was_forked_from() -> None:
    assert sorted(lines("makes_its_own")) == sorted(["child", "True", "another", "True", "7", "after", "True"])


def test_a_delivery_of_a_fork_waits_for_no_lock_of_its_parent() -> None:
    assert sorted(lines("has_the_lock_of_all")) == sorted(["child", "True", "7"])


def test_the_end_of_a_fork_ends_no_station() -> None:
    assert lines("keeps_its_stations") == ["nothing", "7", "True False", "0"]


def test_a_station_s_core_is_its_process_s_alone() -> None:
    confirmed, said = sorted(lines("of_a_station"))
    assert (confirmed, said.startswith("station s sends from its own process alone")) == ("True", True)
    assert said.endswith(" nothing 7 False")
