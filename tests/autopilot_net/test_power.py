"""A loss of power at every write to the file of what was promised: what was promised before it holds after it."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from autopilot_net.durable import Batch, Durable
from autopilot_net.errors import DurableRefused
from autopilot_net.protocol.durable_records import Handled, Kept, Saved, SeenUnnumbered
from autopilot_net.protocol.effects import Forget, Store
from tests.autopilot_net.power_cut import Cut, Image, cuts
from tests.autopilot_net.sqlite_vfs import (
    Name,
    Recording,
    Sync,
    SyncNames,
    Truncate,
    Unreachable,
    Write,
    recorded,
    unsynced,
)
from tests.autopilot_net.test_durable import as_it_may_come, steps

NAME = "n.sqlite"
ENDPOINTS = ["n", "n_cam", "n_lick"]
State = tuple[Any, ...]


def what_is_in(saved: Saved) -> State:
    """As a value: the order of what was seen counts, and a life of which nothing is left is none."""
    late = Saved(saved.incarnation, handled=dict(saved.handled))
    late.prune()
    handled = {life: of for life, of in late.handled.items() if of}
    return saved.incarnation, dict(saved.next_seq), dict(saved.kept), handled, list(saved.seen)


def as_state(saved: dict[str, Saved], next_number: int) -> State:
    """All that a file gives back. An endpoint of which it knows nothing is a new one."""
    return tuple(what_is_in(saved.get(one, Saved("new"))) for one in ENDPOINTS), next_number


@dataclass
class Witness:
    """Calls a `Durable`, and knows beside it what is to be found after each call that has returned.

    One call is at most one commit, so that the file is to be in one of these states, and in no other.
    """

    path: Path
    recording: Recording
    sync: str
    kind: type[Durable] = Durable
    saved: dict[str, Saved] = field(default_factory=dict)
    next_number: int = 0
    states: list[State] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states.append(self._state())

    def _state(self) -> State:
        return as_state(self.saved, self.next_number)

    @contextmanager
    def _call(self) -> Iterator[None]:
        with self.recording.call():
            yield
            self.states.append(self._state())

    def open(self) -> None:
        with self._call():
            self.durable = self.kind(self.path, "n", sync=self.sync)
            self._numbers = self.durable.numbers()

    def load(self, endpoint: str) -> None:
        with self._call():
            saved = self.durable.load(endpoint, f"first life of {endpoint}")
            self.saved.setdefault(endpoint, saved)

    def keep(self, *asked: tuple[str, Store | Forget]) -> None:
        with self._call():
            for endpoint, effect in asked:
                self.durable.put(endpoint, [effect])
                if isinstance(effect, Store):
                    self.saved[endpoint].store(effect.record)
                else:
                    self.saved[endpoint].forget(effect.to, effect.seq)
            self.durable.flush()

    def number(self) -> None:
        with self._call():
            number = next(self._numbers)
            if number >= self.next_number:
                assert number == self.next_number
                self.next_number += 1_000

    def close(self) -> None:
        with self._call():
            self.durable.close()


def laid_out(image: Image, folder: Path) -> Path:
    """The files that were left, in a folder of their own."""
    folder.mkdir(exist_ok=True)
    for name, data in image.items():
        (folder / name).write_bytes(data)
    return folder / NAME


def found(image: Image, folder: Path) -> tuple[dict[str, Saved], int]:
    """What is in the file that was left. It can be written, too: a number is taken, and that is a commit."""
    try:
        durable = Durable(laid_out(image, folder), "n", sync="full")
        try:
            return {one: durable.load(one, "new") for one in ENDPOINTS}, next(durable.numbers())
        finally:
            durable.close()
    finally:
        for file in folder.iterdir():
            file.unlink()


@dataclass
class Verdict:
    """How many cuts there were, and what was wrong with which."""

    cuts: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # what was promised
    invented: list[str] = field(default_factory=list)  # a state that never was: parts of commits, or another order

    def wrong(self) -> list[str]:
        """All of it."""
        return [*self.refused, *self.lost, *self.invented]


def judged(witness: Witness, of: Iterator[Cut], folder: Path) -> Verdict:
    """Restore from every cut, and compare with what the witness knows."""
    verdict, known = Verdict(), dict[int, State | str]()
    with unsynced():
        for cut in of:
            verdict.cuts += 1
            if cut.key not in known:
                try:
                    known[cut.key] = as_state(*found(cut.image, folder / "left"))
                except DurableRefused as error:
                    known[cut.key] = str(error)
            judge(witness.states, cut, known[cut.key], verdict)
    return verdict


def judge(states: list[State], cut: Cut, left: State | str, verdict: Verdict) -> None:
    """One of them."""
    if isinstance(left, str):
        verdict.refused.append(f"{cut.where}: {left}")
    elif left not in states[: max(cut.begun, cut.returned) + 1]:
        verdict.invented.append(cut.where)
    elif left not in states[cut.returned : max(cut.begun, cut.returned) + 1]:
        verdict.lost.append(cut.where)


# -- what is done to the file ---------------------------------------------------------------------------------------


def kept(seq: int, *, to: str = "T", size: int = 60) -> Store:
    return Store(Kept(to, seq, f"n_{seq}", ("T",), bytes([seq % 256]) * size, 5, until=1e9 + seq))


def handled(seq: int, low: int, *, inc: str = "x", waits: tuple[str, ...] = ()) -> Store:
    return Store(Handled("T", "n", inc, seq, low, waits=waits, id=f"T_{seq}", via=("T",)))


def lives(witness: Witness) -> None:
    """Three of a node with two streams: it speaks, handles, is confirmed, and hears from Autopilot's own."""
    for life in range(3):
        witness.open()
        for endpoint in ENDPOINTS:
            witness.load(endpoint)
        witness.number()
        for seq in range(life * 2 + 1, life * 2 + 3):
            witness.keep(("n", kept(seq)), ("n_cam", kept(seq, to="b", size=900)))
            witness.keep(("n", handled(seq, max(1, seq - 2), waits=(f"n_{seq}",))), ("n_lick", kept(seq, to="T")))
            witness.keep(("n", handled(seq, max(1, seq - 2))), ("n", Forget("T", seq)), ("n", kept(seq, to="é")))
            witness.keep(("n", Store(SeenUnnumbered("old", f"o_{seq}", "12:00"))), ("n_cam", Forget("b", seq - 1)))
            witness.keep(("n", handled(1, 1, inc=f"{life}.{seq}")))  # lives of its sender's, of which four are known
        witness.close()


def volume(witness: Witness) -> None:
    """So much that the log is carried over into the file, and begun anew, while it is in use."""
    witness.open()
    witness.load("n")
    for seq in range(1, 16):
        witness.keep(("n", kept(seq, size=350_000)), ("n", handled(seq, seq)), ("n", Forget("T", seq - 1)))
    witness.close()


def one_life(witness: Witness) -> None:
    """Of a node and a stream."""
    witness.open()
    witness.load("n")
    witness.load("n_cam")
    for seq in range(1, 4):
        witness.number()
        witness.keep(("n", kept(seq)), ("n", handled(seq, max(1, seq - 2))), ("n", Forget("T", seq - 1)))
        witness.keep(("n_cam", kept(seq, size=3_000)))
    witness.close()


def witnessed(folder: Path, work: Callable[[Witness], None], *, sync: str = "full", **more: Any) -> Witness:
    """Who saw `work` on a file of that folder, in which there is none, or what `more` says of it."""
    folder.mkdir(exist_ok=True)
    try:
        with recorded(folder) as recording:
            witness = Witness(folder / NAME, recording, sync, **more)
            work(witness)
    except Unreachable as error:
        pytest.skip(str(error))
    return witness


def tried(witness: Witness, folder: Path, **how: Any) -> Verdict:
    """The verdict on every cut, or on those that `how` names."""
    return judged(witness, cuts(witness.recording, random.Random(1), **how), folder)


def around_the_checkpoints(recording: Recording) -> set[int]:
    """The numbers of some operations on the file itself, of those on its log that come next, and of a few others."""
    own = {op.file for op, _, _ in recording.ops if isinstance(op, Name) and op.name == NAME}
    ops = [op for op, _, _ in recording.ops]
    to_file = [n for n, op in enumerate(ops) if isinstance(op, Write | Truncate | Sync) and op.file in own]
    borders = {n for n in to_file if n - 1 not in to_file or n + 1 not in to_file}
    log_begins = {n for n, op in enumerate(ops) if isinstance(op, Write) and op.file not in own and op.at < 5_000}
    chance = random.Random(2)
    some = [*chance.sample(to_file, 5), *chance.sample(sorted(log_begins), 3), *chance.sample(range(len(ops)), 3)]
    return borders | set(some)


def kinds_of_writes(recording: Recording) -> set[str]:
    """The files that were written to: by what comes after the name."""
    names = {op.file: op.name for op, _, _ in recording.ops if isinstance(op, Name)}
    return {names[op.file].removeprefix(NAME) for op, _, _ in recording.ops if isinstance(op, Write)}


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder, in memory where there is such a place: thousands of files come and go, and none has to last."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made).resolve()


@pytest.fixture
def folder() -> Iterator[Path]:
    with in_memory() as made:
        yield made


# -- and what comes of it -------------------------------------------------------------------------------------------


def test_wherever_the_power_goes_all_that_was_promised_is_there_and_nothing_else(folder: Path) -> None:
    witness = witnessed(folder / "n", lives)
    assert kinds_of_writes(witness.recording) >= {"", "-wal", "-journal"}
    verdict = tried(witness, folder)
    assert verdict.wrong() == []
    assert verdict.cuts > 1_500


def test_without_waiting_for_the_disk_the_last_moments_are_lost_and_nothing_else(folder: Path) -> None:
    """And to a kill, not even those: what a process wrote, the system has."""
    witness = witnessed(folder / "n", lives, sync="normal")
    verdict = tried(witness, folder, several=1)
    assert verdict.refused + verdict.invented == []
    assert verdict.cuts > 1_000
    assert len(verdict.lost) > 300
    assert not [where for where in verdict.lost if where.endswith((": all before it", ": all of it"))]


@pytest.mark.parametrize("sync", ["full", "normal"])
def test_nothing_is_broken_when_the_power_goes_while_the_log_is_carried_over_or_begun_anew(
    folder: Path, sync: str
) -> None:
    witness = witnessed(folder / "n", volume, sync=sync)
    verdict = tried(witness, folder, several=1, at=around_the_checkpoints(witness.recording))
    assert verdict.refused + verdict.invented == []
    assert sync == "normal" or verdict.lost == []
    assert verdict.cuts > 60


@settings(max_examples=4, phases=[Phase.generate])  # what was drawn is told as it is: to shrink it takes minutes
@given(steps=steps, size=st.integers(1, 4), per_life=st.integers(1, 6))
def test_no_course_of_events_is_worse(steps: list[Any], size: int, per_life: int) -> None:
    def work(witness: Witness) -> None:
        effects = [("n", effect) for effect in as_it_may_come(steps)]
        commits = [effects[at : at + size] for at in range(0, len(effects), size)][:10]
        for at in range(0, len(commits) + 1, per_life):
            witness.open()
            witness.load("n")
            for commit in commits[at : at + per_life]:
                witness.keep(*commit)
            witness.number()
            witness.close()

    with in_memory() as folder:
        verdict = tried(witnessed(folder / "n", work), folder, several=1)
    assert verdict.wrong() == []
    assert verdict.cuts > 100


def next_life(witness: Witness) -> None:
    """What anyone does first, and no more."""
    witness.open()
    for endpoint in ENDPOINTS:
        witness.load(endpoint)
    witness.number()
    last = witness.saved["n"].next_seq.get("T", 1)
    witness.keep(("n", kept(last)), ("n", handled(last, last)))
    witness.close()


@pytest.mark.parametrize("first", ["full", "normal"])
def test_the_power_may_go_again_while_the_next_life_finds_out_what_is_left(folder: Path, first: str) -> None:
    chance, total = random.Random(3), 0
    before = list(cuts(witnessed(folder / "n", lives, sync=first).recording, chance, several=1))
    for number, cut in enumerate(chance.sample(before, 4)):
        with unsynced():
            saved, next_number = found(cut.image, folder / "left")
        again = laid_out(cut.image, folder / f"{number}").parent
        known = {one: what for one, what in saved.items() if what.incarnation != "new"}
        witness = witnessed(again, next_life, saved=known, next_number=next_number)
        verdict = tried(witness, folder, several=1)
        assert verdict.wrong() == [], cut.where
        total += verdict.cuts
    assert total > 400


def test_where_a_file_cannot_have_two_names_it_is_whole_or_not_there_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the FAT of a card."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    witness = witnessed(folder / "n", next_life)
    assert [file.name for file in (folder / "n").iterdir()] == [NAME]
    verdict = tried(witness, folder)
    assert verdict.wrong() == []
    assert verdict.cuts > 300


@pytest.mark.parametrize("sync", ["full", "normal"])
def test_where_a_disk_may_put_off_a_sync_it_is_asked_for_one_that_it_does_not(folder: Path, sync: str) -> None:
    """As on macOS: there, an ordinary one leaves to the disk when it writes, and what."""
    recording = witnessed(folder / "n", one_life, sync=sync).recording
    assert sum(isinstance(op, Sync) for op, _, _ in recording.ops) > 5
    assert recording.weak_syncs == 0


# -- and whether it would be seen -----------------------------------------------------------------------------------


class Unsynced(Durable):
    """It never waits for the disk."""

    def _open(self, owner: str, sync: str) -> None:
        super()._open(owner, sync)
        self._db.execute("PRAGMA synchronous = OFF")


class SyncedLater(Durable):
    """It waits for the disk when the log is carried over."""

    def _open(self, owner: str, sync: str) -> None:
        super()._open(owner, "normal")


class Unlogged(Durable):
    """What is to be taken back is in memory alone."""

    def _open(self, owner: str, sync: str) -> None:
        super()._open(owner, sync)
        self._db.execute("PRAGMA journal_mode = MEMORY")


class Hasty(Durable):
    """It says that all is kept, and keeps it when there is more of it."""

    def flush(self) -> None:
        if len(self._queue) > 3:
            super().flush()


class Piecemeal(Durable):
    """What was put together is committed one by one."""

    def _commit(self, batch: Batch) -> None:
        for one in batch:
            super()._commit([one])


class Forgetful(Durable):
    """It keeps no account of the numbers it gives."""

    def _keep_reserved(self) -> None:
        pass


def found_wrong(verdict: Verdict) -> set[str]:
    return {what for what in ("refused", "lost", "invented") if getattr(verdict, what)}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Unsynced, {"refused", "lost", "invented"}),
        (SyncedLater, {"lost"}),
        (Unlogged, {"refused"}),
        (Hasty, {"lost"}),
        (Piecemeal, {"invented"}),
        (Forgetful, {"lost"}),
    ],
)
def test_what_breaks_a_promise_is_seen(folder: Path, kind: type[Durable], wrong: set[str]) -> None:
    assert found_wrong(tried(witnessed(folder / "n", one_life, kind=kind), folder, several=2)) >= wrong


@pytest.mark.parametrize("kind", [Sync, SyncNames])
def test_a_disk_that_heeds_no_sync_loses_what_was_promised(folder: Path, kind: type[Sync | SyncNames]) -> None:
    """So that those syncs are what all this rests on."""
    witness = witnessed(folder / "n", one_life)
    witness.recording.ops = [one for one in witness.recording.ops if not isinstance(one[0], kind)]
    assert "lost" in found_wrong(tried(witness, folder, several=1))


# -- and whether the system is asked, too ---------------------------------------------------------------------------

COMMITS = """
import os, sys
from autopilot_net.durable import Durable
from autopilot_net.protocol.effects import Store
from autopilot_net.protocol.durable_records import Kept
durable = Durable(sys.argv[1], "n", sync=sys.argv[2])
durable.load("n", "life")
for seq in range(1, 21):
    durable.put("n", [Store(Kept("T", seq, f"n_{seq}", (), b"", 5))])
    durable.flush()
    os.write(1, b"returned\\n")
os._exit(0)
"""


@pytest.mark.parametrize("sync", ["full", "normal"])
def test_the_system_is_asked_to_sync_before_a_commit_returns(tmp_path: Path, sync: str) -> None:
    """By what it is really asked: the file system of ours might err."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace here")
    log = tmp_path / "strace"
    trace = [strace, "-f", "-y", "-o", str(log), "-e", "trace=fsync,fdatasync,write"]
    done = subprocess.run(
        [*trace, sys.executable, "-c", COMMITS, str(tmp_path / NAME), sync], capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"no process may be traced here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    parts = log.read_text().split("returned\\n")
    assert len(parts) == 21
    synced = [any("sync(" in line and f"{NAME}-wal>" in line for line in part.splitlines()) for part in parts[1:-1]]
    assert synced == [sync == "full"] * 19
