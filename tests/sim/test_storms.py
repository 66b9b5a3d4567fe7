"""A storm is judged by what was journalled while it was played."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario import Example, Op
from sim.storms import play_storm
from tests.sim.search.played_lab import FLOW, LAB, OPAQUE, OPS, SEND, TWICE, PlayedLab


@pytest.fixture
def lab(tmp_path: Path) -> PlayedLab:
    return PlayedLab(LAB, seed=1, folder=tmp_path / "lab")


@pytest.mark.parametrize(("op", "check"), [(SEND, "confirm"), (FLOW, "streams"), (TWICE, "confirm"), (OPAQUE, "hops")])
def test_a_storm_is_judged_by_what_is_new_in_the_journal(lab: PlayedLab, op: Op, check: str) -> None:
    storms = [Example(ops=OPS)] * 3
    lab.breaks = lambda broken: broken == op and len(lab.played) == 2
    verdicts = [play_storm(lab, storm, n, seed=1).broke for n, storm in enumerate(storms)]  # type: ignore[arg-type]
    assert list(map(bool, verdicts)) == [False, True, False]
    assert {broken.check for broken in verdicts[1]} == {check}
