"""A bug of the clocks is found by a rehearsal in virtual time, since each machine has a clock of its own there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutate.bug import Bug, put_into
from tests.mutate.bugs import clocks
from tests.mutate.runs import RUNS, play


@pytest.mark.parametrize("bug", clocks.BUGS, ids=lambda bug: bug.name)
def test_a_rehearsal_finds_that(tmp_path: Path, bug: Bug) -> None:
    put_into(tmp_path, bug)
    played = play(RUNS[bug.by], tmp_path)
    assert (played.verdict, played.first.partition(":")[0]) == ("broke", "clocks"), played.first
