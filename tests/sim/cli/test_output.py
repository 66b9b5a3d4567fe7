"""Output that cannot be encoded or is read no more changes no exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli.output import forgiving, spelled_out
from tests import ROOT

PAIR = [sys.executable, "-m", "sim", "topologies/pair.yaml", "--virtual", "--no-storm", "--no-page", "--seed", "1"]


def rehearsed(reports: Path, *words: str, encoding: str = "utf-8", stdout: int = subprocess.PIPE) -> tuple[int, str]:
    """The exit code of a short rehearsal, and what it printed."""
    done = subprocess.run(
        [*PAIR, "--report", str(reports), *words],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    return done.returncode, (done.stdout or b"").decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_marks_that_the_encoding_lacks_are_spelled_out(encoding: str, tmp_path: Path) -> None:
    code, printed = rehearsed(tmp_path, encoding=encoding)
    assert code == 0, printed
    assert "ok session" in printed
    assert "HELD" in printed


def test_what_cannot_be_written_changes_no_exit_code(tmp_path: Path) -> None:
    """The pipe is closed before anything is printed, as `| head -1` does after a line."""
    read, write = os.pipe()
    os.close(read)
    try:
        assert rehearsed(tmp_path, stdout=write) == (0, "")
        assert rehearsed(tmp_path, "--json", stdout=write) == (0, "")
    finally:
        os.close(write)


def test_every_letter_can_be_spelled_out() -> None:
    error = UnicodeEncodeError("ascii", "a ✓→µ\U0001f600\udcff.", 2, 7, "why")
    assert spelled_out(error) == ("ok->u\\U0001f600\\udcff", 7)
    with pytest.raises(UnicodeDecodeError):
        spelled_out(UnicodeDecodeError("ascii", b"\xff", 0, 1, "why"))


def test_a_stream_that_was_closed_or_replaced_is_left_alone(tmp_path: Path) -> None:
    with forgiving(None) as nowhere:
        nowhere.write("✓")
    with (tmp_path / "out").open("w") as replaced:
        assert forgiving(replaced) is replaced
