"""Every side of every work, with few messages: it comes to figures, and leaves no process."""

from __future__ import annotations

import psutil
import pytest

from sim.bench.stage import Stage
from sim.bench.works import OURS, WORKS

FEW = 60
TWICE = [("confirmed", "bare"), ("chain 5", "bare"), ("chain 5", "ours")]  # played by another work, but for a number
SIDES = [(work.name, side) for work in WORKS.values() for side in work.sides if (work.name, side) not in TWICE]


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_a_side_plays_its_work(name: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.bench.works.IDLE_S", 0.1)
    monkeypatch.setattr("sim.bench.works.SENDERS", 2)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Stage(counts_calls=side == OURS) as stage:
        figures = WORKS[name].sides[side](stage, 3 if name == "star" else FEW)
    assert figures["value"] > 0
    if side == OURS and WORKS[name].is_rate and name != "virtual":
        assert figures["sender_calls"] > 1
        assert figures["recipient_calls"] > 1
    left = {child.pid: child.name() for child in psutil.Process().children(recursive=True) if child.pid not in before}
    assert [name for name in left.values() if "tracker" not in name and "python" not in name] == []

