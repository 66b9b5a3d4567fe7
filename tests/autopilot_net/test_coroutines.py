"""An `async def` is a handler like any other: it runs, to its end, in order, and is confirmed then. No generator is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autopilot_net import (
    AutopilotNetError,
    Delivery,
    DeliveryExpired,
    Message,
    Net_Node,
    Pilot_Station,
    Station,
    Terminal_Station,
)
from autopilot_net.coroutines import Loop, finished
from sim.processes.watch.lab_program import listens_of
from tests.autopilot_net.node_pair import Pair
from tests.conftest import eventually
from tests.harness import Lab, lab, started_by
from tests.patience import DEADLINE_S


class Asked:
    """Every way to write an async listen. `came` is what they have done."""

    def __init__(self) -> None:
        self.came: list[Any] = []

    async def method(self, value: Any) -> None:
        await asyncio.sleep(0)
        self.came.append(value)

    async def __call__(self, value: Any) -> None:
        await self.method(value)

    def returning(self, value: Any) -> Any:
        return self.method(value)

    async def returning_twice(self, value: Any) -> Any:
        return self.method(value)

    async def whole(self, message: Message) -> None:
        await self.method(message.value)


@pytest.mark.parametrize("how", ["method", "call", "returning", "returning_twice", "partial", "function", "whole"])
def test_a_coroutine_is_run_to_its_end_before_it_is_confirmed(pair: Pair, how: str) -> None:
    asked = Asked()

    async def function(value: Any) -> None:
        await asked.method(value)

    ways = {"call": asked, "partial": partial(Asked.method, asked), "function": function}
    pair.both(listens={"X": ways.get(how) or getattr(asked, how)})
    asked.came.clear()  # of the meeting
    pair.reaches("X", 7)
    assert asked.came == [7]


def test_handlers_of_both_kinds_run_one_after_the_other_in_order(pair: Pair) -> None:
    did: list[Any] = []

    async def slow(value: Any) -> None:
        did.append(("begins", value))
        await asyncio.sleep(0.01)
        did.append(("ends", value))

    pair.both(listens={"SLOW": slow, "QUICK": lambda value: did.append(("quick", value))})
    handles = [pair.hub.send("leaf", "SLOW" if n % 2 else "QUICK", n, repeat=True) for n in range(6)]
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    kinds = [("quick", 0), ("begins", 1), ("ends", 1), ("quick", 2), ("begins", 3), ("ends", 3), ("quick", 4)]
    assert did == [*kinds, ("begins", 5), ("ends", 5)]


def test_one_loop_of_the_handler_thread_runs_them_all_and_ends_with_the_node(pair: Pair) -> None:
    loops: list[Any] = []
    left: list[Any] = []

    async def listen(_: Any) -> None:
        loops.append((asyncio.get_running_loop(), threading.current_thread().name))
        left.append(asyncio.create_task(asyncio.Event().wait()))

    leaf = pair.both(listens={"Y": listen})
    for _ in range(2):
        pair.reaches("Y", None)
    leaf.release()
    assert loops[0] == loops[1]
    assert loops[0][1] == "leaf handlers"
    assert eventually(loops[0][0].is_closed)
    assert all(task.cancelled() for task in left)


def test_concurrent_ones_run_at_the_same_time_each_in_a_loop_of_its_own_thread(pair: Pair) -> None:
    both_here = threading.Barrier(2)
    loops: set[Any] = set()

    async def listen(_: Any) -> None:
        both_here.wait(DEADLINE_S)
        loops.add(asyncio.get_running_loop())

    listen.concurrent = True  # type: ignore[attr-defined]
    pair.both(listens={"Y": listen})
    handles = [pair.hub.send("leaf", "Y", repeat=True) for _ in range(2)]
    assert all(handle.wait(DEADLINE_S) for handle in handles)
    assert len(loops) == 2
    assert all(loop.is_closed() for loop in loops)


def test_what_it_returns_defers_the_confirmation(pair: Pair) -> None:
    promise = Delivery("promise", "somebody")

    async def listen(_: Any) -> Any:
        return [promise]

    pair.both(listens={"Y": listen})
    sent = pair.hub.send("leaf", "Y", repeat=True)
    pair.reaches("X", None)  # it has returned
    assert not sent.settled
    promise.settle(confirmed=True)
    assert sent.wait(DEADLINE_S)


def test_what_it_raises_is_told_at_home_and_the_next_one_runs(pair: Pair) -> None:
    async def listen(_: Any) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("over a stone")

    pair.both(listens={"Y": listen})
    pair.reaches("Y", None)
    error = pair.heard["hub"].until("ERROR").value
    assert error["exception"] == "ZeroDivisionError: over a stone"
    assert "in listen" in error["traceback"]
    pair.reaches("X", None)


def test_the_items_of_a_stream_are_handled_by_it_one_after_the_other(pair: Pair) -> None:
    asked = Asked()

    async def listen(value: Any) -> None:
        if value == 2:
            raise ZeroDivisionError("over a stone")
        await asked.method(value)

    pair.both(listens={"ITEM": listen})
    pair.reaches("STREAM", {"inner_key": "ITEM", "headers": {}, "payload": [1, 2, 3]})
    assert asked.came == [1, 3]
    assert "stone" in pair.heard["hub"].until("ERROR").value["exception"]


def test_an_overridden_handle_listen_may_be_one_too(pair: Pair) -> None:
    seen: list[str] = []

    class Nosy(Net_Node):
        async def handle_listen(self, message: Message) -> Any:
            await asyncio.sleep(0)
            seen.append(message.key)

    nosy = Nosy("nosy", "hub", int(pair.hub.router_port or 0))
    pair.nodes.append(nosy)
    nosy.send("hub", "X", repeat=True).wait(DEADLINE_S)
    assert pair.hub.send("nosy", "ANY", repeat=True).wait(DEADLINE_S)
    assert seen == ["ANY"]


# -- in a station's process --------------------------------------------------------------------------------------------


async def echo(message: Message) -> None:
    """Written to the file that the message names."""
    await asyncio.sleep(0)
    Path(message.value).write_text("done")


def lazy(message: Message) -> Iterator[None]:
    Path(message.value).write_text("done")
    yield


def returns_lazy(message: Message) -> Any:
    return lazy(message)


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    """T with its program; listens of a lab's own."""
    with started_by("forkserver"), lab() as made:
        top = made.terminal(listens={"ECHO": echo, "LAZY": returns_lazy})
        made.node("_T", top, "ERROR")
        yield made


def test_a_station_runs_them_likewise(it: Lab, tmp_path: Path) -> None:
    file = tmp_path / "echo"
    assert it.nodes["_T"].send("T", "ECHO", str(file), repeat=True).wait(DEADLINE_S)
    assert file.read_text() == "done"


def test_a_generator_that_a_station_could_not_see_before_is_told_at_home(it: Lab, tmp_path: Path) -> None:
    assert it.nodes["_T"].send("T", "LAZY", str(tmp_path / "lazy"), repeat=True).wait(DEADLINE_S)
    assert "LAZY returned a generator, of which nothing has run" in it.heard["_T"].until("ERROR").value["exception"]


# -- generators --------------------------------------------------------------------------------------------------------


class Lazy:
    """Every way to write a listen of which nothing runs."""

    def method(self, value: Any) -> Iterator[Any]:
        yield value

    async def asynchronous(self, value: Any) -> AsyncIterator[Any]:
        yield value

    def __call__(self, value: Any) -> Iterator[Any]:
        yield value


WAYS: dict[str, Any] = {
    "function": lazy,
    "method": Lazy().method,
    "async": Lazy().asynchronous,
    "call": Lazy(),
    "partial": partial(partial(lazy), 1),
    "partial of an object": partial(Lazy()),
}
MAKERS: list[Callable[[dict[str, Any]], object]] = [
    lambda listens: Net_Node("n", "nobody", 1, listens),
    lambda listens: Station("s", listens=listens),
    lambda listens: Terminal_Station(listens=listens),
    lambda listens: Pilot_Station("rig", listens=listens),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", MAKERS)
def test_a_generator_function_is_refused_where_it_is_given(make: Callable[..., object], way: str) -> None:
    with pytest.raises(AutopilotNetError, match=r"the listen for LAZY of .* is a generator function.* make it"):
        make({"LAZY": WAYS[way]})


def test_a_lab_s_own_program_is_held_to_the_same() -> None:
    class Program:
        def l_start(self, value: Any) -> Iterator[Any]:
            yield value

    class Fine:
        other = 1

        async def l_start(self, value: Any) -> None:
            """It is run by the node."""

    with pytest.raises(AutopilotNetError, match="the listen for START of program Program is a generator function"):
        listens_of(Program())
    assert list(listens_of(Fine())) == ["START"]


@pytest.mark.parametrize("way", ["function", "async"])
def test_a_generator_that_is_returned_is_told_at_home(pair: Pair, way: str) -> None:
    def listen(value: Any) -> Any:
        return WAYS[way](value)

    pair.both(listens={"Y": listen})
    pair.reaches("Y", None)
    assert "the listen for Y returned a generator" in pair.heard["hub"].until("ERROR").value["exception"]


@pytest.mark.parametrize("late", [True, False])
def test_a_callback_that_would_never_run_is_told(pair: Pair, late: bool) -> None:
    leaf = pair.both()

    async def callback(_: Delivery) -> None:
        """It would have to wait in the thread that settles."""

    if late:
        sent = leaf.send("hub", "X", repeat=True, expires_after=DEADLINE_S)
        sent.wait(DEADLINE_S)
        with pytest.raises(AutopilotNetError, match="returned a coroutine, which nobody runs"):
            sent.then(callback)
    else:
        sent = leaf.send("nobody", "X", repeat=True, expires_after=0.05)
        sent.then(callback)
        with pytest.raises(DeliveryExpired):
            sent.wait(DEADLINE_S)
        assert "returned a coroutine" in pair.heard["hub"].until("ERROR").value["exception"]


def test_a_loop_is_made_for_who_needs_one_and_closed_once() -> None:
    loop = Loop()
    assert loop.finished(5, "it") == 5
    loop.close()
    assert finished(asyncio_five(), "it") == 5


async def asyncio_five() -> int:
    return 5
