"""The command `bench`: what it prints, what it keeps, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.patience import patient


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patient(100),
        check=False,
    )


def test_a_bench_prints_a_table_and_keeps_a_report_that_a_later_one_is_compared_with(tmp_path: Path) -> None:
    kept = tmp_path / "before.json"
    quick = ("--quick", "--rounds", "1", "--only", "round trip")
    first = command(*quick, "--save", str(kept))
    assert first.returncode == 0, first.stderr
    assert "round trip: there and back, one at a time" in first.stdout
    assert first.stdout.splitlines()[-1].startswith("MEASURED: 2 rows; ")
    told = json.loads(kept.read_text())
    for sample in told["samples"]:
        sample["figures"]["value"] *= 0.01 if sample["side"] == "ours" else 1.0
    for row in told["rows"]:
        if row["ratio"]:
            row["ratio"]["median"] *= 0.01
    kept.write_text(json.dumps(told))
    again = command(*quick, "--compare", str(kept), "--quiet")
    assert again.returncode == 1
    assert again.stdout.startswith("SLOWER: round trip: ratio to bare 0.")
    assert len(again.stdout.splitlines()) == 1


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
