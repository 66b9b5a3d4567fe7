"""`autopilot_net`, by its public names alone, as a lab uses it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from autopilot_net import DeliveryExpired, Message, Net_Node, Pilot_Station, Terminal_Station
from sim.bench.load import HELLO, KEY, Gauge, flood, frame, small, times
from sim.bench.stage import BenchError
from sim.bench.usage import count_calls, usage

__all__ = ["asker", "echo", "frames", "idle", "messages", "paced", "pilot", "program_sink", "sink"]

PROGRAM, RIG = "_T", "rig"
LOCALHOST = "localhost"
WAIT_S = 30.0
TRIES, TRY_S = 30, 1.0


def nothing(message: Message) -> None:
    """The listen for HELLO, which is confirmed."""


def _greet(node: Net_Node) -> None:
    """Wait until the terminal's station is reached, which the stations on the way back have to know of."""
    for _ in range(TRIES):
        with contextlib.suppress(DeliveryExpired):
            if node.send("T", HELLO, repeat=True, expires_after=TRY_S).wait():
                return
    raise BenchError(f"{node.id} did not reach the terminal's station within {TRIES * TRY_S:.0f} s")


class _Counted:
    """Has a station count the calls of Python functions in its process, if it is told to."""

    counts_calls = False

    def run(self) -> None:
        """What the station's process does."""
        if self.counts_calls:
            count_calls()
        super().run()  # type: ignore[misc]  # of the station


class _TerminalStation(_Counted, Terminal_Station):
    """A terminal's station whose calls may be counted."""


class _PilotStation(_Counted, Pilot_Station):
    """A pilot's station whose calls may be counted."""


class _Echo(_TerminalStation):
    """Sends back what comes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.listens |= {KEY: self.l_echo, HELLO: nothing}

    def l_echo(self, message: Message) -> None:
        """Send it back."""
        self.send(message.sender, KEY, message.value, repeat=False)


class _Taking:
    """A listen that counts what it takes."""

    def __init__(self, wire: Any, count: int) -> None:
        self.gauge = Gauge(wire, count)

    def __call__(self, message: Message) -> None:
        self.gauge.take(message.value["t"])


def _serve(wire: Connection, station: Any, *, program: str = "", counts_calls: bool) -> None:
    """Run a station until the bench says that all is over, and a program on it that does nothing, if one is named."""
    station.counts_calls = counts_calls
    station.start()
    try:
        with Net_Node(program, station.id, station.port, {}) if program else contextlib.nullcontext():
            wire.send(station.port)
            wire.recv()
    finally:
        station.release()


def sink(wire: Connection, count: int, counts_calls: bool) -> None:
    """The terminal's station, whose listen counts messages."""
    listens: dict[str, Callable[[Message], Any]] = {KEY: _Taking(wire, count), HELLO: nothing}
    _serve(wire, _TerminalStation(id="T", listen_port=0, listens=listens), counts_calls=counts_calls)


def echo(wire: Connection) -> None:
    """A station that sends back what comes."""
    _serve(wire, _Echo(id="T", listen_port=0), counts_calls=False)


def pilot(wire: Connection, id: str, above: str, port: int, program: str, counts_calls: bool) -> None:
    """A pilot's station below another. It shakes hands once its program is there: the one that is named, or another."""
    settings: dict[str, Any] = {"push_ip": LOCALHOST, "push_port": port, "push_id": above, "ping_interval": None}
    station = _PilotStation(id, listen_port=0, **settings)
    _serve(wire, station, program=program, counts_calls=counts_calls)


def program_sink(wire: Connection, port: int, count: int) -> None:
    """The terminal's program, which counts the trials that its station hands to it."""
    listens: dict[str, Callable[[Message], Any]] = dict.fromkeys(("HANDSHAKE", "STATE", "ERROR"), nothing)
    with Net_Node(PROGRAM, "T", port, {**listens, "DATA": _Taking(wire, count)}) as node:
        _greet(node)
        wire.send("here")
        wire.recv()


def messages(wire: Connection, port: int, count: int, at: str, id: str, key: str, is_confirmed: bool) -> None:
    """A node on the station `at` that sends messages to the terminal as fast as can be."""

    def send() -> None:
        sent = [node.send("T", key, small(number), repeat=is_confirmed) for number in range(count)]
        if is_confirmed:
            for delivery in sent:
                delivery.wait()

    with Net_Node(id, at, port, {}) as node:
        _greet(node)
        flood(wire, send)


def asker(wire: Connection, port: int, count: int) -> None:
    """Ask, and wait for the answer, `count` times. Tells how long each took."""
    came = threading.Event()

    def once(number: int) -> None:
        came.clear()
        node.send("T", KEY, small(number), repeat=False)
        if not came.wait(WAIT_S):
            raise BenchError(f"no answer to message {number} within {WAIT_S:.0f} s")

    with Net_Node("source", "T", port, {KEY: lambda _: came.set()}) as node:
        _greet(node)
        times(wire, count, once)


def frames(wire: Connection, port: int, count: int, shape: tuple[int, ...]) -> None:
    """A stream of frames of a camera, as fast as can be."""
    image = frame(shape)
    with Net_Node("source", "T", port, {}) as node:
        _greet(node)
        stream = node.get_stream("camera", KEY, min_size=1, to="T", q_size=16)
        flood(wire, lambda: stream.extend({"n": n, "t": time.monotonic(), "image": image} for n in range(count)))


def paced(wire: Connection, port: int, count: int, id: str, rate_hz: float) -> None:
    """A node that sends at a steady pace."""

    def send() -> None:
        due, wakes = time.monotonic(), threading.Event()
        for number in range(count):
            node.send("T", KEY, small(number), repeat=True)
            due += 1 / rate_hz
            wakes.wait(max(0.0, due - time.monotonic()))

    with Net_Node(id, "T", port, {}) as node:
        _greet(node)
        flood(wire, send)


def idle(wire: Connection, port: int, seconds: float) -> None:
    """A node with an open stream that does nothing. Tells which share of a core that takes."""
    with Net_Node("source", "T", port, {}) as node:
        _greet(node)
        stream = node.get_stream("camera", KEY, min_size=1, to="T")
        wire.send("ready")
        wire.recv()
        begin = usage()
        threading.Event().wait(seconds)
        end = usage()
        stream.close()
        wire.send((end.cpu_s - begin.cpu_s) / (end.t - begin.t))
        wire.recv()
