"""The command `bench`: what it prints, what it keeps, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sim.bench.results import load_report
from sim.cli.bench import show
from tests import ROOT
from tests.patience import patient
from tests.sim.bench.made_up_bench import report, small


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def test_a_bench_prints_a_table_and_keeps_a_report(tmp_path: Path) -> None:
    kept = tmp_path / "before.json"
    quick = ("--quick", "--rounds", "1", "--only", "round trip")
    first = command(*quick, "--save", str(kept))
    assert first.returncode == 0, first.stderr
    assert "round trip: there and back, one at a time" in first.stdout
    assert first.stdout.splitlines()[-1].startswith("MEASURED: 2 rows; ")
    assert [row.work for row in load_report(kept).rows] == ["round trip", "round trip"]


def test_one_that_is_slower_than_a_former_one_says_so_last(capsys: pytest.CaptureFixture[str]) -> None:
    then, now = report(small((100.0, 50.0))), report(small((100.0, 20.0)))
    assert show(now, then, as_json=False, quiet=True) == 1
    assert capsys.readouterr().out == "SLOWER: small: ratio to bare 0.50 then, 0.20 now\n"
    assert show(then, now, as_json=False, quiet=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "MEASURED: 2 rows; 0 of 1 goals are reached"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "small,fast"], "--only small,fast: there is no fast; there are small, confirmed,"),
        (["--rounds", "0"], "--rounds 0: there must be at least one"),
        (["--compare", "README.md"], "--compare: README.md is no report of a bench"),
        (["--compare", "nowhere.json"], "--compare: [Errno 2]"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(arguments: list[str], sentence: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
