"""What the tests of several modules start, and what ends with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.autopilot_net.node_pair import Pair
from tests.autopilot_net.posts import Lab
from tests.autopilot_net.zmq_ends import Bare, Bares, bare_dealer
from tests.conftest import Context
from tests.harness import Lab as StationLab
from tests.harness import lab as station_lab
from tests.harness import shake_hands, started_by


@pytest.fixture(scope="module")
def by_forkserver() -> Iterator[None]:
    """The stations of the module are started by a server, which takes less time than a Python for each."""
    with started_by("forkserver"):
        yield


@pytest.fixture
def lab(context: Context, no_thread_stays: None) -> Iterator[Lab]:
    """Stations in this process, and nodes below them."""
    made = Lab(context)
    yield made
    made.end()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[StationLab]:
    """A terminal and a rig, with their programs."""
    with station_lab() as it:
        rig = it.pilot("rig_1", it.terminal(), trace=tmp_path / "rig_1.jsonl")
        it.node("_T", it.stations["T"], "HANDSHAKE", "STATE", "DATA", "ERROR")
        shake_hands(it.node("_rig_1", rig, "START", "STOP"), "T")
        yield it


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two nodes with no station between."""
    made = Pair()
    yield made
    for node in made.nodes:
        node.release()


@pytest.fixture
def bare() -> Iterator[Bares]:
    """Makes peers of nothing but TCP."""
    with contextlib.ExitStack() as stack:

        def make(identity: bytes, port: int) -> Bare:
            made = bare_dealer(identity, port)
            stack.callback(made.die)
            return made

        yield make
