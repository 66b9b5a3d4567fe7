"""Labs for tests: a host without a world for roles, and stations in processes of their own with something to hear."""

from __future__ import annotations

import contextlib
import heapq
import importlib
import itertools
import json
import multiprocessing
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from autopilot_net import Delivery, FileRefused, Message, Net_Node, Pilot_Station, Station, Terminal_Station
from autopilot_net.protocol.clock import ClockOffset
from autopilot_net.roles.pilot import Pilot
from tests import ROOT
from tests.patience import DEADLINE_S

S = TypeVar("S", bound=Station)
T = TypeVar("T")

METHODS = ["fork", "forkserver", "spawn"]  # ways to start a process



def message(sender: str, key: str, value: Any = None, *, to: str = "", came_from: str = "", **extra: Any) -> Message:
    """A message as it is when it has come over the wire."""
    fields = {"id": f"{sender}_{key}", "to": to or "me", "sender": sender, "key": key, "value": value}
    read = Message(Message(**{**fields, **extra}).serialize())
    read.came_from = came_from or sender
    return read


# -- a host without a world --------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """One message that a role had its host send."""

    to: str
    key: str
    value: Any
    repeat: bool | None
    flags: list[str]
    extra: dict[str, Any]
    handle: Delivery = field(compare=False)

    def arrived(self, at: str, *, came_from: str = "") -> Message:
        """It, as its recipient reads it, with the sender `at`."""
        flags = dict.fromkeys(self.flags, True)
        return message(at, self.key, self.value, to=self.to, came_from=came_from, flags=flags, **self.extra)


class Drawer:
    """Files in memory. What begins with a slash, or climbs, is refused."""

    def __init__(self, **whole: bytes) -> None:
        self.whole = dict(whole)
        self.parts: dict[str, bytes] = {}
        self.is_full = False

    def read(self, path: str, offset: int, length: int) -> bytes:
        """See `Files`."""
        if offset < 0:
            raise FileRefused("no part of a file")
        return self.whole[self._checked(path)][offset : offset + length]

    def size_and_digest(self, path: str) -> tuple[int, str]:
        """See `Files`."""
        if self._checked(path) not in self.whole:
            raise FileRefused(f"{path} is not here")
        return len(self.whole[path]), sha256(self.whole[path]).hexdigest()

    def lacks(self, path: str) -> bool:
        """See `Files`."""
        return self._checked(path) not in self.whole

    def part_size(self, path: str) -> int:
        """See `Files`."""
        return len(self.parts.get(self._checked(path), b""))

    def write_part(self, path: str, offset: int, data: bytes) -> None:
        """See `Files`."""
        if self.is_full:
            raise FileRefused("the drawer is full")
        self.parts[path] = self.parts.get(self._checked(path), b"")[:offset] + data

    def finish(self, path: str, digest: str) -> bool:
        """See `Files`."""
        data = self.parts.pop(self._checked(path))
        if digest and sha256(data).hexdigest() != digest:
            return False
        self.whole[path] = data
        return True

    def _checked(self, path: str) -> str:
        if path.startswith("/") or ".." in path:
            raise FileRefused(f"{path} leads out of the drawer")
        return path


class FakeHost:
    """Values in, values out: what a role does is in `sent`, `learned` and `promises`; time moves by `wait` alone."""

    def __init__(self, id: str, parent: str | None = None, *, neighbours: Iterable[str] = ()) -> None:
        self.id = id
        self.parent = parent
        self.drawer = Drawer()
        self.neighbours = set(neighbours)
        self.theirs: set[str] = set()  # who is not known to be ours
        self.late: set[str] = set()
        self.sent: list[Sent] = []
        self.learned: dict[str, str] = {}
        self.promises: list[Delivery] = []
        self.done_beside: list[str] = []
        self.time = 0.0
        self.offset: ClockOffset | None = None
        self._later: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = itertools.count()

    @property
    def files(self) -> Drawer:
        """See `Host`."""
        return self.drawer

    @files.setter
    def files(self, files: Any) -> None:
        self.drawer = files

    def send(
        self, to: str, key: str, value: Any, *, repeat: bool | None, flags: Iterable[str], **extra: Any
    ) -> Delivery:
        """See `Host`."""
        handle = Delivery(f"{self.id}_{next(self._numbers)}", to, sought=repeat is not False)
        self.sent.append(Sent(to, key, value, repeat, list(flags), extra, handle))
        return handle

    def promise(self) -> Delivery:
        """See `Host`."""
        self.promises.append(Delivery("promise", self.id))
        return self.promises[-1]

    def learn(self, name: str, peer: str) -> None:
        """See `Host`."""
        self.learned[name] = peer

    def has(self, peer: str) -> bool:
        """See `Host`."""
        return peer in self.neighbours

    def is_ours(self, name: str) -> bool:
        """See `Host`."""
        return name not in self.theirs

    def is_late(self, peer: str) -> bool:
        """See `Host`."""
        return peer in self.late

    def now(self) -> float:
        """See `Host`."""
        return self.time

    def clock(self) -> ClockOffset | None:
        """See `Host`."""
        return self.offset

    def after(self, seconds: float, call: Callable[[], Any]) -> None:
        """See `Host`."""
        heapq.heappush(self._later, (self.time + seconds, next(self._numbers), call))

    def beside(self, call: Callable[[], T], then: Callable[[Callable[[], T]], Any], *, about: str) -> None:
        """See `Host`. There is nobody to wait for it, so that it is done at once."""
        self.done_beside.append(about)
        future: Future[T] = Future()
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        then(future.result)

    def stop(self) -> None:
        """See `Host`."""

    def wait(self, seconds: float) -> None:
        """Let time pass, and call what falls due meanwhile."""
        until = self.time + seconds
        while self._later and self._later[0][0] <= until:
            self.time, _, call = heapq.heappop(self._later)
            call()
        self.time = until

    def take(self) -> list[Sent]:
        """What was sent since the last look."""
        sent, self.sent = self.sent, []
        return sent


# -- stations and nodes ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started_by(method: str) -> Iterator[None]:
    """Stations made inside start by `method`."""
    former = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    multiprocessing.set_forkserver_preload(["autopilot_net", "tests.harness"])
    try:
        yield
    finally:
        multiprocessing.set_start_method(former, force=True)


class Heard:
    """What the listens of a node were called with, for a test to wait on."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = threading.Condition()

    def listen(self, message: Message) -> None:
        """A listen for any key."""
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def listens(self, *keys: str) -> dict[str, Callable[..., Any]]:
        """Listens for `keys`."""
        return dict.fromkeys(keys, self.listen)

    def of(self, key: str) -> list[Message]:
        """What came under `key` so far."""
        return [one for one in self.messages if one.key == key]

    def until(self, key: str, is_it: Callable[[Message], bool] = lambda _: True, *, times: int = 1) -> Message:
        """Wait for a message under `key` that `is_it`; the last of them, once there are so many."""

        def matches() -> list[Message]:
            return [one for one in self.of(key) if is_it(one)]

        with self._news:
            came = self._news.wait_for(lambda: len(matches()) >= times, DEADLINE_S)
        assert came, f"no {key} that was waited for among {self.messages}"
        return matches()[-1]


class Looking:
    """A part of a station that tells whoever asks what it looks like from inside its process, and does odd jobs."""

    @staticmethod
    def add(station: Station) -> None:
        """Listen for LOOK, DO, FAIL, REPEAT, HOLD, QUIT and TERMINATE."""
        station.listens |= {
            "LOOK": Look(station, "look"),
            "DO": Look(station, "do"),
            "FAIL": Look(station, "fail"),
            "REPEAT": Look(station, "repeat"),
            "HOLD": Look(station, "hold"),
            "QUIT": Look(station, "quit"),
            "TERMINATE": Look(station, "terminate"),
        }


@dataclass
class Look:
    """A listen that can be pickled."""

    station: Station
    job: str

    def __call__(self, message: Message) -> Any:
        """Do the job."""
        return getattr(self, self.job)(message)

    def look(self, message: Message) -> Any:
        """Tell what is known here."""
        station = self.station
        facts: dict[str, Any] = {
            "routes": station.routes,
            "senders": station.senders,
            "push_outbox": list(station.push_outbox),
            "send_outbox": list(station.send_outbox),
            "pid": os.getpid(),
            "clock": None if station.clock_offset is None else msgspec.to_builtins(station.clock_offset),
            "counters": dict(station.core.driver.counters),
        }
        if isinstance(station, Terminal_Station | Pilot_Station):
            role: Any = station.role
            facts["pilots"] = getattr(role, "pilots", None)
            facts["children"] = getattr(role, "children", None)
            facts["state"] = role.state if isinstance(role, Pilot) else None
        return station.send(str(message.came_from), "SEEN", facts)

    def do(self, message: Message) -> Any:
        """Call the function that is named, with the station, and tell what it returned."""
        module, _, name = str(message.value).partition(":")
        result = getattr(importlib.import_module(module), name)(self.station)
        return self.station.send(str(message.came_from), "SEEN", {"result": result})

    def fail(self, message: Message) -> None:
        """Raise."""
        raise ZeroDivisionError(f"asked to by {message.sender}")

    def repeat(self, message: Message) -> Any:
        """Call what may be called more often than need be, and say that it was."""
        self.station.repeat()
        return self.station.send(str(message.came_from), "SEEN", {"repeated": True})

    def hold(self, message: Message) -> Any:
        """Be killed in this handler, the first time; be done with it in the next life."""
        marker = Path(message.value["marker"])
        if not marker.exists():
            marker.touch()
            self.station.send(str(message.came_from), "SEEN", {"held": True})
            threading.Event().wait()
        facts = {"redelivered": bool(message.get("redelivered")), "id": message.id}
        return self.station.send(str(message.came_from), "SEEN", facts)

    def quit(self, message: Message) -> None:
        """Release the station in a handler of its own, which goes on for a moment."""
        self.station.release()
        self.station.core.driver.io_thread.join(0.3)

    def terminate(self, message: Message) -> None:
        """Get a SIGTERM in this thread, which leaves the main thread waiting for what it waits for."""
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


class At(Protocol):
    """A station to connect to, ours or not."""

    id: str

    @property
    def port(self) -> int:
        """Where it listens."""


class Lab:
    """A terminal and what is below it, in processes; `close` ends all of it, last made first."""

    def __init__(self) -> None:
        self.stations: dict[str, Station] = {}
        self.heard: dict[str, Heard] = {}
        self.nodes: dict[str, Net_Node] = {}

    def terminal(self, id: str = "T", **settings: Any) -> Terminal_Station:
        """A terminal's station, started."""
        return self.begin(Terminal_Station(id=id, **{"listen_port": 0, **settings}))

    def pilot(self, id: str, parent: At, **settings: Any) -> Pilot_Station:
        """A pilot's station below `parent`, started."""
        settings = {"listen_port": 0, "ping_interval": None, **settings}
        return self.begin(Pilot_Station(id, push_port=parent.port, push_id=parent.id, **settings))

    def node(self, id: str, station: Station | None, *keys: str, **settings: Any) -> Net_Node:
        """A node on `station` that hears `keys`."""
        self.heard[id] = Heard()
        upstream, port = (station.id, station.port) if station else ("nobody", 1)
        listens = {**self.heard[id].listens("SEEN", *keys), **settings.pop("listens", {})}
        self.nodes[id] = Net_Node(id, upstream, port, listens, **settings)
        return self.nodes[id]

    def look(self, id: str) -> dict[str, Any]:
        """What the station `id` knows, told to a node on it that asks."""
        asker = next(node for node in self.nodes.values() if node.upstream == id)
        seen = len(self.heard[asker.id].of("SEEN"))
        asker.send(id, "LOOK", repeat=True)
        return dict(self.heard[asker.id].until("SEEN", times=seen + 1).value)

    def inside(self, id: str, function: Callable[[Any], Any]) -> Any:
        """What `function`, of a module's, returns when it is called with the station `id` in that one's process."""
        asker = next(node for node in self.nodes.values() if node.upstream == id)
        seen = len(self.heard[asker.id].of("SEEN"))
        asker.send(id, "DO", f"{function.__module__}:{function.__name__}", repeat=True)
        return self.heard[asker.id].until("SEEN", times=seen + 1).value["result"]

    def look_until(self, id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask until `holds`."""
        for _ in range(2_000):
            if holds(facts := self.look(id)):
                return facts
        raise AssertionError(f"{id} knows {facts}")

    def close(self) -> None:
        """End all of it."""
        for node in reversed(self.nodes.values()):
            node.release()
        for station in reversed(self.stations.values()):
            station.release()

    def begin(self, station: S) -> S:
        """Start a station that is made."""
        Looking.add(station)
        station.start()
        self.stations[station.id] = station
        return station


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab that is closed whatever happens."""
    made = Lab()
    try:
        yield made
    finally:
        made.close()


def shake_hands(node: Net_Node, parent: str, **facts: Any) -> None:
    """What a pilot's program does first."""
    pilot = node.upstream
    value = {"pilot": pilot, "ip": "", "state": "IDLE", "prefs": {}, **facts}
    assert node.send(parent, "HANDSHAKE", value, repeat=True).wait(DEADLINE_S)


# -- other pythons -----------------------------------------------------------------------------------------------------


def small_lab(method: str) -> None:
    """Begin a lab by `method`, send a trial through it, end it, and say so. For another Python."""
    multiprocessing.set_start_method(method)
    with lab() as it:
        rig = it.pilot("rig_1", it.terminal())
        program = it.node("_T", it.stations["T"], "DATA", "HANDSHAKE")
        it.node("_rig_1", rig).send("T", "DATA", {"pilot": "rig_1", "n": 1}, repeat=True).wait(DEADLINE_S)
        assert it.heard["_T"].until("DATA").value == {"pilot": "rig_1", "n": 1}
        print(type(rig).__name__, program.msgs_received > 0, rig.msgs_received.value, "by", method)


def two_stations(method: str) -> None:
    """Begin two stations by `method`, say what processes they are, and wait to be killed. For another Python."""
    multiprocessing.set_start_method(method)
    stations = [Station(id, listen_port=0) for id in "ab"]
    for station in stations:
        station.start()
    print(*(station.pid for station in stations), flush=True)
    sys.stdin.read()


class NeverStation(Station):
    """One that never listens."""

    def begin_role(self) -> None:
        """Wait for nothing."""
        threading.Event().wait()


class LateStation(Station):
    """One that is ready only once its parent is no more."""

    def begin_role(self) -> None:
        """Say what process this is, and wait."""
        print(os.getpid(), flush=True)
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()


def late_station() -> None:
    """Begin a station that will not be ready while this process lives. For another Python."""
    multiprocessing.set_start_method("forkserver")
    LateStation("late", listen_port=0).start()


def ended(pid: int) -> bool:
    """Wait until the process is over, whoever its parent is by now; False if the deadline came first."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], DEADLINE_S)[0])
    finally:
        os.close(process)


@contextlib.contextmanager
def python(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another Python that runs `code`, in which this module can be imported and a warning is an error.

    It has a folder of its own for what a process leaves behind that is killed.
    """
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def said_by(code: str) -> tuple[str, str]:
    """What another Python that runs `code` writes, and what it complains of."""
    with python(code) as process:
        return process.communicate(timeout=3 * DEADLINE_S)


def confirmed(trace: Path) -> list[str]:
    """The ids of what a station has confirmed: it may be over before those who sent it have read so."""
    effects = [json.loads(line) for line in trace.read_text().splitlines()]
    heads = [effect["head"] for effect in effects if effect["do"] == "Transmit"]
    return [found[1] for head in heads if (found := re.search(r'"key":"CONFIRM","value":"(\w+)"', head))]
