"""A large file on its way between two stations: it costs little memory, delays nobody, and goes on after a SIGKILL.

The limits below are generous, for a machine that does much else.
`python -m tests.autopilot_net.stations.test_files [MiB]`, 1024 if nothing is said, prints what it takes on an idle one,
to be held to 64 MiB of growth and a p99 of 50 ms.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from autopilot_net import Delivery, Message, Net_Node, Pilot_Station, Terminal_Station
from autopilot_net.files import FileFolder
from autopilot_net.roles.file_client import AHEAD, PART
from tests.conftest import eventually
from tests.harness import Lab, lab, shake_hands, started_by
from tests.patience import DEADLINE_S

MIB = 1 << 20
EVERY_S = 0.01  # of each of the two who send meanwhile


@pytest.fixture(scope="module", autouse=True)
def _by_forkserver() -> Iterator[None]:
    with started_by("forkserver"):
        yield


def large_file(path: Path, size: int) -> None:
    """A file of holes with something in them, which no two parts of it have in common: made at once, on little disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for offset in range(0, size, 8 * MIB):
            file.seek(offset)
            file.write(os.urandom(MIB // 4))
        file.truncate(size)


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def task(path: str) -> dict[str, object]:
    return {"stim": {"sounds": {"L": [{"type": "File", "path": path}]}}}


def tick(message: Message) -> None:
    """A listen of a station that does nothing."""


def p99_of(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


@dataclass
class Meanwhile:
    """What others send, and what two processes weigh, while something else goes on."""

    took_s: list[float] = field(default_factory=list)
    before: int = 0  # how many of these were sent before
    peak: dict[int, int] = field(default_factory=dict)

    def p99_s(self) -> float:
        """Of what was sent while it went on."""
        return p99_of(self.took_s[self.before :])

    def p99_before_s(self) -> float:
        """Of what was sent before: what this machine takes just now."""
        return p99_of(self.took_s[: self.before])

    @contextmanager
    def watch(self, pids: list[int]) -> Iterator[None]:
        """Keep the highest weight of each process, in bytes above what it weighed before."""
        over = threading.Event()
        processes = [psutil.Process(pid) for pid in pids]
        before = {process.pid: process.memory_info().rss for process in processes}

        def look() -> None:
            while not over.wait(EVERY_S):
                for process in processes:
                    grown = process.memory_info().rss - before[process.pid]
                    self.peak[process.pid] = max(self.peak.get(process.pid, 0), grown)

        with _threads([look], over):
            yield

    @contextmanager
    def send(self, ways: list[tuple[Net_Node, str, str]]) -> Iterator[None]:
        """Send `key` from each node to each recipient, 100 times a second, whether it is answered or not."""
        over = threading.Event()

        def keep_on(node: Net_Node, to: str, key: str) -> None:
            while not over.wait(EVERY_S):
                began = time.monotonic()
                node.send(to, key, {"pilot": "rig_1"}, repeat=True).then(partial(self._answered, began))

        with _threads([partial(keep_on, *way) for way in ways], over):
            yield


    def _answered(self, began: float, _: Delivery) -> None:
        self.took_s.append(time.monotonic() - began)


@contextmanager
def _threads(runs: Sequence[Callable[[], None]], over: threading.Event) -> Iterator[None]:
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(DEADLINE_S)


def rig_with_files(it: Lab, folder: Path) -> None:
    """A terminal that has files, and a rig that has none, each with its program."""
    top = it.terminal(file_dir=folder / "T")
    rig = it.pilot("rig_1", top, file_dir=folder / "rig_1", listens={"TICK": tick}, trace=folder / "asked.jsonl")
    it.node("_T", top, "HANDSHAKE", "DATA", "ERROR", "STATE", repeat_interval=2.0)
    shake_hands(it.node("_rig_1", rig, "START", "STOP"), "T")


def transfer(folder: Path, size: int) -> tuple[float, Meanwhile]:
    """Fetch a file of `size` bytes, and say how long it took, and what it cost the others."""
    large_file(folder / "T" / "film", size)
    seen = Meanwhile()
    with lab() as it:
        rig_with_files(it, folder)
        ways = [(it.nodes["_rig_1"], "T", "DATA"), (it.nodes["_T"], "rig_1", "TICK")]
        pids = [int(station.pid or 0) for station in it.stations.values()]
        with seen.send(ways), seen.watch(pids):
            it.heard["_T"].until("DATA", times=100)
            seen.before = len(seen.took_s)
            began = time.monotonic()
            start = it.nodes["_T"].send("rig_1", "START", task("film"), repeat=True)
            assert start.wait(6 * DEADLINE_S)
            took = time.monotonic() - began
        assert not it.heard["_T"].of("ERROR")
    assert digest_of(folder / "rig_1" / "film") == digest_of(folder / "T" / "film")
    return took, seen


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_large_file_costs_little_memory_and_delays_nobody(tmp_path: Path) -> None:
    _, seen = transfer(tmp_path, 128 * MIB)
    assert max(seen.peak.values()) < 32 * MIB, "a quarter of the file"
    assert len(seen.took_s) > seen.before > 0
    assert seen.p99_s() < 0.5, f"{seen.p99_before_s()} s before it began"


class SlowFiles(FileFolder):
    """Files of which the one called `slow` takes as long to digest, and to finish, as the test wants."""

    def __init__(self, root: str, gate: str) -> None:
        super().__init__(root)
        self._gate = gate

    def size_and_digest(self, path: str) -> tuple[int, str]:
        self._wait(path)
        return super().size_and_digest(path)

    def finish(self, path: str, digest: str) -> bool:
        self._wait(path)
        return super().finish(path, digest)

    def _wait(self, path: str) -> None:
        if path == "slow" and os.path.exists(self._gate):
            with open(self._gate, "rb") as gate:  # which opens when somebody else opens it for writing
                gate.read()


class SlowTerminal(Terminal_Station):
    """A terminal whose disk is slow."""

    def begin_role(self) -> None:
        super().begin_role()
        self.role.host.files = SlowFiles(str(self.file_dir), f"{self.file_dir}.gate")


class SlowPilot(Pilot_Station):
    """A rig whose card is slow."""

    def begin_role(self) -> None:
        super().begin_role()
        self.role.host.files = SlowFiles(str(self.file_dir), f"{self.file_dir}.gate")


@pytest.mark.parametrize("slow", ["T", "rig_1"])
def test_while_a_disk_is_slow_nothing_waits_but_the_task_that_needs_it(tmp_path: Path, slow: str) -> None:
    for name in ("slow", "fast"):
        large_file(tmp_path / "T" / name, MIB)
    gate = tmp_path / f"{slow}.gate"
    os.mkfifo(gate)
    with lab() as it:
        top = it.begin(SlowTerminal(listen_port=0, file_dir=tmp_path / "T"))
        for name in ("rig_1", "rig_2"):
            kind = SlowPilot if name == slow else Pilot_Station
            rig = kind(name, push_port=top.port, listen_port=0, file_dir=tmp_path / name, ping_interval=None)
            it.node("_" + name, it.begin(rig), "START", "STOP")
        program = it.node("_T", top, "HANDSHAKE", "DATA", "STATE", "ERROR")
        for name in ("rig_1", "rig_2"):
            shake_hands(it.nodes["_" + name], "T")
        start = program.send("rig_1", "START", task("slow"), repeat=True)
        holder = os.open(gate, os.O_WRONLY)  # waits until somebody waits
        try:
            assert program.send("rig_2", "START", task("fast"), repeat=True).wait(DEADLINE_S)
            assert it.nodes["_rig_1"].send("T", "DATA", {"pilot": "rig_1"}, repeat=True).wait(DEADLINE_S)
            assert it.nodes["_rig_1"].send("rig_1", "STATE", "IDLE", repeat=True).wait(DEADLINE_S)
            assert not start.settled
        finally:
            gate.unlink()
            os.close(holder)
        assert start.wait(DEADLINE_S)
        assert digest_of(tmp_path / "rig_1" / "slow") == digest_of(tmp_path / "T" / "slow")


# -- lives -------------------------------------------------------------------------------------------------------------


class Transfer:
    """A file on its way that is interrupted."""

    SIZE = 48 * MIB

    def __init__(self, it: Lab, folder: Path) -> None:
        self.lab, self.folder = it, folder
        self.file, self.part = folder / "rig_1" / "film", folder / "rig_1" / ".film.part"
        large_file(folder / "T" / "film", self.SIZE)
        rig_with_files(it, folder)
        self.start = it.nodes["_T"].send("rig_1", "START", task("film"), repeat=True)

    def interrupt(self, id: str) -> int:
        """Kill the station `id` when some of the file is here; how much of it is."""
        eventually(lambda: self.part.exists() and self.part.stat().st_size > 8 * MIB)
        station = self.lab.stations[id]
        station.kill()
        station.join()
        if id == "T":  # what it had said already has yet to be written
            asker = self.lab.nodes["_rig_1"]
            assert asker.send("rig_1", "TICK", repeat=True).wait(DEADLINE_S)
        assert not self.file.exists()
        return self.part.stat().st_size

    def is_never_seen_before_it_is_whole(self) -> None:
        """Look at it until the task begins."""
        def is_over() -> bool:
            assert not self.file.exists() or self.file.stat().st_size == self.SIZE
            return self.start.settled

        eventually(is_over)
        assert self.start.wait(DEADLINE_S)
        assert digest_of(self.file) == digest_of(self.folder / "T" / "film")
        assert not self.part.exists()

    def asked(self, trace: str) -> list[int]:
        """The offsets that the rig asked for, in our way, or in theirs where the terminal was away."""
        text = (self.folder / trace).read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        heads = [line["head"] for line in lines if line["do"] == "Transmit" and line["peer"] == "T"]
        return [int(found[1]) for head in heads if (found := re.search(r'"film".*"offset":(\d+),"length"', head))]


def test_a_transfer_goes_on_where_it_was_when_the_terminal_is_back(tmp_path: Path) -> None:
    with lab() as it:
        transfer = Transfer(it, tmp_path)
        transfer.interrupt("T")
        there = it.stations["T"].port
        it.terminal(listen_port=there, file_dir=tmp_path / "T")
        transfer.is_never_seen_before_it_is_whole()
    asked = transfer.asked("asked.jsonl")
    assert sorted(set(asked)) == list(range(0, Transfer.SIZE, PART))
    reached = list(itertools.accumulate(asked, max))
    lost = 4 * AHEAD * PART  # what was on its way, and that of which it was on its way that it had come
    assert all(offset > far - lost for offset, far in zip(asked, reached, strict=True))


def test_a_transfer_goes_on_where_it_was_when_the_rig_is_back(tmp_path: Path) -> None:
    with lab() as it:
        transfer = Transfer(it, tmp_path)
        here = transfer.interrupt("rig_1")
        settings: dict[str, Any] = {"listen_port": it.stations["rig_1"].port, "file_dir": tmp_path / "rig_1"}
        it.pilot("rig_1", it.stations["T"], trace=tmp_path / "again.jsonl", **settings)
        transfer.is_never_seen_before_it_is_whole()
    asked = transfer.asked("again.jsonl")
    assert asked[0] == here
    assert asked == list(range(here, Transfer.SIZE, PART))


def test_autopilots_own_get_the_whole_file_in_one_message(tmp_path: Path) -> None:
    large_file(tmp_path / "T" / "film", MIB)
    with lab() as it:
        top = it.terminal(file_dir=tmp_path / "T")
        theirs = it.node("rig_9", top, "FILE")
        theirs.send("T", "FILE", "film", repeat=True).wait(DEADLINE_S)
        (answer,) = it.heard["rig_9"].of("FILE")
    assert set(answer.value) == {"path", "file"}
    assert base64.b64decode(answer.value["file"]) == (tmp_path / "T" / "film").read_bytes()


def main(size: int) -> None:
    """Print what a transfer takes."""
    with tempfile.TemporaryDirectory() as folder, started_by("forkserver"):
        took, seen = transfer(Path(folder), size)
    weights = ", ".join(f"{peak / MIB:.1f}" for peak in seen.peak.values())
    print(f"{size // MIB} MiB in {took:.1f} s; the stations grew by {weights} MiB")
    print(f"p99 of the others {seen.p99_s() * 1e3:.1f} ms, and before it began {seen.p99_before_s() * 1e3:.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else 1024) * MIB)
