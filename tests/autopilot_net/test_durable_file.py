"""The file that keeps promises: what is refused as no sound file of ours, and who may have it open."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autopilot_net import DurableRefused
from autopilot_net.durable import Durable
from tests.autopilot_net.durable_samples import filled, kept_one, state, text_file
from tests.conftest import eventually
from tests.harness import python
from tests.patience import DEADLINE_S

# -- what is refused ---------------------------------------------------------------------------------------------------


def short_text_file(path: Path) -> None:
    path.write_text("x")


def text_file_beside_a_journal(path: Path) -> None:
    text_file(path)
    Path(f"{path}-journal").write_bytes(b"anything")


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE trials (n)")
        db.execute("INSERT INTO trials VALUES (1)")
    db.close()


def foreign_database_killed_in_a_transaction(path: Path) -> None:
    """Whoever opens it next would roll it back: that is for its owner to do."""
    code = (
        f"import os, sqlite3; db = sqlite3.connect({str(path)!r}, isolation_level=None); "
        "db.execute('PRAGMA cache_size = 1'); db.execute('CREATE TABLE trials (n)'); db.execute('BEGIN'); "
        "[db.execute('INSERT INTO trials VALUES (randomblob(5000))') for _ in range(50)]; os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert Path(f"{path}-journal").exists()


def another_version(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def another_owner(path: Path) -> None:
    durable = Durable(path, "somebody")
    durable.close()


def truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size - 4096)


def truncated_to_its_header(path: Path) -> None:
    filled(path)
    os.truncate(path, 512)


def overwritten(path: Path) -> None:
    filled(path)
    raw = bytearray(path.read_bytes())
    raw[4096:8192] = bytes(4096)
    path.write_bytes(raw)


def without_a_table(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE handled")
    db.close()


WRONG: list[tuple[Callable[[Path], None], str]] = [
    (text_file, "was not written by this version"),
    (short_text_file, "was not written by this version"),
    (text_file_beside_a_journal, "was not written by this version"),
    (foreign_database, "was not written by this version"),
    (foreign_database_killed_in_a_transaction, "was not written by this version"),
    (another_version, "was not written by this version"),
    (another_owner, "keeps what somebody promised"),
    (truncated, "is damaged"),
    (truncated_to_its_header, "is damaged"),
    (overwritten, "is damaged"),
    (without_a_table, "is damaged"),
]


@pytest.mark.parametrize(("make", "why"), WRONG, ids=lambda it: getattr(it, "__name__", ""))
def test_what_is_no_sound_file_of_ours_is_refused_in_a_sentence_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    path = tmp_path / "n.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(DurableRefused, match=why) as refused:
        Durable(path, "n")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("flip", range(150))
def test_a_bit_that_flipped_is_noticed_or_makes_no_difference(tmp_path: Path, flip: int) -> None:
    path = filled(tmp_path / "n.sqlite", count=8)
    expected = state(path)
    chance, raw = random.Random(flip), bytearray(path.read_bytes())
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)
    try:
        loaded = state(path)
    except DurableRefused:
        return
    assert loaded[:2] == expected[:2]
    assert loaded[2] > expected[2]


def no_folder(tmp_path: Path) -> tuple[Path, str]:
    return tmp_path / "missing" / "n.sqlite", "there is no folder"


def folder(tmp_path: Path) -> tuple[Path, str]:
    return tmp_path, "cannot be opened"


def folder_that_takes_no_file(tmp_path: Path) -> tuple[Path, str]:
    if os.geteuid() or sys.platform != "linux":
        (tmp_path / "locked").mkdir(mode=0o500)
        return tmp_path / "locked" / "n.sqlite", "cannot be written"
    return Path("/proc/n.sqlite"), "cannot be written"  # what the superuser may not do either


@pytest.mark.parametrize("place", [no_folder, folder, folder_that_takes_no_file])
def test_where_no_file_can_be_is_refused_in_a_sentence(
    tmp_path: Path, place: Callable[[Path], tuple[Path, str]]
) -> None:
    path, why = place(tmp_path)
    with pytest.raises(DurableRefused, match=why) as refused:
        Durable(path, "n")
    assert "damaged" not in str(refused.value)
    assert not path.is_file()


def test_a_wrong_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DurableRefused, match="'normal' or 'full', not 'fulll'"):
        Durable(tmp_path / "n.sqlite", "n", sync="fulll")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_both_kinds_of_sync_keep(tmp_path: Path, sync: str) -> None:
    path = tmp_path / "n.sqlite"
    for seq in (1, 2):
        durable = Durable(path, "n", sync=sync)
        durable.put("n", [kept_one(seq)])
        durable.flush()
        durable.close()
    assert len(state(path)[0].kept) == 2


HOLD = """
import sys
from autopilot_net.durable import Durable
held = Durable({path!r}, "n")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_in_use_is_refused_and_is_there_for_the_next_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with python(HOLD.format(path=str(path))) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DurableRefused, match="is in use by another process"):
            Durable(path, "n")
        holder.kill()
        holder.wait()
        Durable(path, "n").close()


def test_a_second_use_in_the_same_process_does_not_let_a_third_in_from_another(tmp_path: Path) -> None:
    """The system forgets a process's locks on a file when any part of it closes that file."""
    path = tmp_path / "n.sqlite"
    first = Durable(path, "n")
    with pytest.raises(DurableRefused, match="is in use"):
        Durable(path, "n")
    with python(HOLD.format(path=str(path))) as other:
        assert "is in use by another process" in other.communicate(timeout=3 * DEADLINE_S)[1]
    first.close()


# -- threads, kills and full disks -------------------------------------------------------------------------------------


def test_a_file_that_is_killed_while_it_is_made_is_whole_or_empty(tmp_path: Path) -> None:
    code = "import sys; from autopilot_net.durable import Durable; sys.stdin.readline(); Durable({path!r}, 'n')"
    for n in range(6):
        path = tmp_path / f"{n}.sqlite"
        with python(code.format(path=str(path))) as maker:
            assert maker.stdin is not None
            maker.stdin.write("\n")
            maker.stdin.flush()
            eventually(lambda path=path: path.exists() or maker.poll() is not None)  # type: ignore[misc]
            maker.send_signal(signal.SIGKILL)
            maker.wait()
        Durable(path, "n").close()
