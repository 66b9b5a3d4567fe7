"""How the tests wait, and how long hypothesis searches: `dev` by default, `ci` where the environment says CI."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import zmq
from hypothesis import settings
from zmq.utils.garbage import GarbageCollectorThread

from tests import ROOT
from tests.autopilot_net.interop.autopilot_env import NoAutopilot, autopilot_python
from tests.patience import DEADLINE_S

T = TypeVar("T")
Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]

LOOK_EVERY_S = 0.002

# A suite that is started by `nohup … &` inherits an ignored SIGINT, and hands it on to what its tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The rehearsals that tests start in processes of their own find there what hypothesis has read in our sources.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
settings.register_profile("dev", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often what a kill at a random point may break is tried."""
    parser.addoption("--runs", type=int, default=1, help="how many seeds each test of a SIGKILL is run with")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a `seed` is run with so many."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--runs")))


def eventually(condition: Callable[[], T], timeout: float = DEADLINE_S) -> T:
    """Wait until `condition()` is true, and return what it said; fail when it is not by then."""
    deadline = time.monotonic() + timeout
    never = threading.Event()
    while not (said := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s"
        never.wait(LOOK_EVERY_S)
    return said


class _Keeping(Context):
    """A context that holds its sockets, so that none is found unclosed before the test is over."""

    _kept: Any = ()

    def socket(self, *args: Any, **options: Any) -> Socket:
        made = super().socket(*args, **options)
        self._kept = (*self._kept, made)
        return made


@pytest.fixture
def context() -> Iterator[Context]:
    """A zmq context of the test's own. Whatever it left open is closed."""
    made = _Keeping()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def port() -> Iterator[int]:
    """A port for the test: see `held_port`."""
    with held_port() as held:
        yield held


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port that nobody listens at and nobody else gets, on which a test can listen, again and again."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        chosen = int(holder.getsockname()[1])
        if sys.platform != "linux":  # elsewhere a port that is held so cannot be listened at
            holder.close()
        yield chosen


@pytest.fixture(scope="session")
def autopilot() -> str:
    """A Python that has Autopilot. Where it cannot be had, the tests that want it skip, unless they must not."""
    try:
        return autopilot_python()
    except NoAutopilot as why:
        if os.environ.get("REQUIRE_AUTOPILOT"):
            raise
        pytest.skip(str(why))


@pytest.fixture
def no_thread_stays() -> Iterator[None]:
    """Whatever the test started has ended by its end, but for the thread that pyzmq starts once and for good."""

    def threads() -> set[threading.Thread]:
        return {each for each in threading.enumerate() if not isinstance(each, GarbageCollectorThread)}

    before = threads()
    yield
    eventually(lambda: threads() <= before)


def plain(context: Context, kind: int, **options: Any) -> Socket:
    """A socket as zmq makes it, but for `options`, which are named as zmq's own."""
    made = context.socket(kind)
    made.setsockopt(zmq.LINGER, 0)
    for name, value in options.items():
        made.setsockopt(getattr(zmq, name), value)
    return made
