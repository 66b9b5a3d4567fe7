"""What a lab needs before its first process starts, and what each process is told when it does."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from sim.emulator.strangers import OUTSIDE
from sim.lab.topology import Machine, Topology
from sim.processes.clocks.faketime import start_fork_server
from sim.scenario.files import file_names, leftover, leftovers, synthetic
from sim.world import LabError

__all__ = ["RunContext", "hold_port", "make_files", "preload", "started", "uninterrupted"]

T = TypeVar("T")


class RunContext(Struct, frozen=True):
    """The lab, the seed, the folder of the run, and the process group that each process joins.

    The program of the machine `debug` stays in the terminal of the rehearsal, the process `pid`, instead.
    """

    topology: Topology
    seed: int
    folder: Path
    group: int
    debug: str = ""
    pid: int = 0

    @property
    def journal(self) -> Path:
        """The folder of journals and traces."""
        return self.folder / "journal"

    def durable(self, machine: Machine, part: str) -> Path | None:
        """The file of a durable machine's `station`, `program` or `probe`; None if the machine is not durable."""
        return self.folder / "durable" / f"{machine.id}.{part}.sqlite" if machine.durable else None


def preload() -> None:
    """Have the fork server import once what every process needs. Call it before the first process starts."""
    multiprocessing.set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(["sim.processes.machines"])
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a thread pool in each of 80 processes only slows them down
    start_fork_server()


def started(part: T | None) -> T:
    """A part of a lab. Raises `LabError` if the lab was not started."""
    if part is None:
        raise LabError("the lab was not started")
    return part


def hold_port() -> socket.socket:
    """A socket that is bound to a free port of loopback and does not listen, so that a killed station gets its port
    back.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def make_files(topology: Topology, folder: Path, *, seed: int) -> None:
    """Put files into the machines' folders in `folder`, each named by its machine.

    The terminal gets those that tasks name: copies of the lab's own, and synthetic ones. Two rigs get a part of one.
    Beside its folder lies a file that it must not give away.
    """
    terminal = folder / topology.terminal.id
    terminal.mkdir(parents=True, exist_ok=True)
    sizes = {name: int(kb * 1000) for name, kb in topology.files.synthetic_kb.items()}
    for name in file_names(topology):
        content = None if name in sizes else (topology.file_dir / name).read_bytes()
        _write(terminal / name, synthetic(name, sizes[name], seed=seed) if content is None else content)
    _write(terminal / OUTSIDE, b"Nobody may have this over the network.\n")
    for machine, (name, damaged) in leftovers(topology).items():
        path = folder / machine / name
        part = path.with_name(f".{path.name}.part")  # as the library names it
        _write(part, leftover((terminal / name).read_bytes(), damaged=damaged))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C inside: ending processes and writing the report are finished, however often it is pressed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
