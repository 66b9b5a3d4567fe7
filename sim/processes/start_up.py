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

from msgspec import Struct

from sim.lab.topology import Machine, Topology
from sim.scenario.payloads import noise

__all__ = ["RunContext", "hold_port", "make_files", "preload", "uninterrupted"]


class RunContext(Struct, frozen=True):
    """The lab, the seed, the folder of the run, and the process group that each process joins."""

    topology: Topology
    seed: int
    folder: Path
    group: int

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


def hold_port() -> socket.socket:
    """A socket that is bound to a free port of loopback and does not listen, so that a killed station gets its port
    back.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def make_files(topology: Topology, folder: Path, *, seed: int) -> None:
    """Put the files that tasks name into `folder`: copies of the lab's own, and synthetic ones of the given sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kilobytes in topology.files.synthetic_kb.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise("uint8", (int(kilobytes * 1000),), seed).tobytes())
    named = {str(sound) for machine in topology.machines for sound in machine.task.get("sounds", [])}
    for name in sorted(named - set(topology.files.synthetic_kb)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((topology.file_dir / name).read_bytes())


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
